//! What others did to the instance, and what a person asked for once: whether to act on it.

use super::draft::{Draft, Verdict};
use crate::resources::{
    CortecsInstance, annotations,
    instance::DriftPolicy,
    instance_status::{CortecsInstanceStatus, Phase},
};

/// Whether an instance that others stopped or deleted stays so: the policy accepts it, and since it last ran neither
/// the spec has changed nor a restart was asked for.
pub fn accepts_drift(resource: &CortecsInstance, status: &CortecsInstanceStatus) -> bool {
    let handled = status.last_handled_restart_at.as_deref();
    let generation = resource.metadata.generation.unwrap_or_default();
    status.reached_generation == Some(generation)
        && resource.spec.drift_policy == DriftPolicy::Accept
        && !annotations::restart_is_asked_for(resource, handled)
}

/// [`accepts_drift`], as far as is decided.
pub(super) fn drift_is_accepted(draft: &Draft<'_>) -> bool {
    accepts_drift(draft.input.resource, &draft.status)
}

/// Whether `cortecs.ai/restartedAt` has a value that was not acted on yet.
pub(super) fn restart_is_asked_for(draft: &Draft<'_>) -> bool {
    let handled = draft.status.last_handled_restart_at.as_deref();
    annotations::restart_is_asked_for(draft.input.resource, handled)
}

/// What is written or already so satisfies the restart that was asked for.
pub(super) fn handle_restart(draft: &mut Draft<'_>) {
    if let Some(asked) = draft.annotation(annotations::RESTARTED_AT) {
        draft.status.last_handled_restart_at = Some(asked.to_owned());
    }
}

pub(super) fn drift_accepted() -> Verdict {
    Verdict::resting(
        Phase::Stopped,
        "DriftAccepted",
        "someone else stopped or deleted the instance, and driftPolicy accepts it: change the spec or set cortecs.ai/restartedAt to run it again",
    )
}
