//! Whether to act on a change that others made to the instance, and on a restart that a person asked for.

use cortecs_resources::{annotations, instance_status::Phase, reason::Reason};

use crate::{
    facts::{drift_policy::accepts_drift, stop_order::StopOrder},
    instance::{draft::Draft, verdict::Verdict},
};

/// [`accepts_drift`], with the status of this decision.
pub(crate) fn drift_is_accepted(draft: &Draft<'_>) -> bool {
    accepts_drift(draft.input.resource, &draft.status)
}

/// Takes note of a stop that the account has ordered: it is no drift, and what should run is restarted once the account permits. It is
/// noted in the write that first shows the instance as stopped, so also after a crash of this process.
pub(crate) fn note_ordered_stop(draft: &mut Draft<'_>) {
    let input = draft.input;
    let stop = input.account.fleet.as_ref().and_then(|fleet| fleet.stop);
    let before = input.resource.status.as_ref();
    let explains =
        |stop: StopOrder| before.is_some_and(|status| stop.explains(status, input.settings.settle));
    if stop.is_some_and(explains) {
        draft.status.slot_mut().reached_generation = None;
    }
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
