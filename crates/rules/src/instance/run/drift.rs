//! Whether to act on a change that others made to the instance, and on a restart that a person asked for.

use cortecs_resources::{annotations, instance_status::Phase, reason::Reason};

use crate::{
    facts::drift_policy::accepts_drift,
    instance::{draft::Draft, verdict::Verdict},
};

/// [`accepts_drift`], with the status of this decision.
pub(crate) fn drift_is_accepted(draft: &Draft<'_>) -> bool {
    accepts_drift(draft.input.resource, &draft.status)
}

/// Whether `cortecs.ai/restartedAt` has a value that was not acted on yet.
pub(crate) fn restart_is_asked_for(draft: &Draft<'_>) -> bool {
    let handled = draft.status.last_handled_restart_at.as_deref();
    annotations::restart_is_asked_for(draft.input.resource, handled)
}

/// The restart that was asked for counts as handled.
pub(crate) fn handle_restart(draft: &mut Draft<'_>) {
    if let Some(asked) = draft.annotation(annotations::RESTARTED_AT) {
        draft.status.last_handled_restart_at = Some(asked.to_owned());
    }
}

pub(crate) fn drift_accepted() -> Verdict {
    Verdict::resting(
        Phase::Stopped,
        Reason::DriftAccepted,
        "someone else stopped or deleted the instance, and driftPolicy accepts it: change the spec or set cortecs.ai/restartedAt to run it again",
    )
}
