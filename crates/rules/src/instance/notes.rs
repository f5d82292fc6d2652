//! What the message of `Ready` says beside the state: what is ignored, and what cannot be written.

use cortecs_resources::{
    INSTANCE_FINALIZER,
    annotations::{REQUESTED_AT, RESOLVE_START, RESTARTED_AT},
    reason::Reason,
};
use kube::ResourceExt;

use super::input::Input;
use crate::facts::notes;

/// The notes on the resource.
pub(crate) fn of(input: &Input<'_>) -> Vec<String> {
    let orders = [RESTARTED_AT, REQUESTED_AT, RESOLVE_START];
    let ignored = notes::ignored_annotations(input.resource, &orders);
    ignored
        .into_iter()
        .chain(unsealed(input))
        .chain(without_finalizer(input))
        .collect()
}

/// The instance runs, and Kubernetes refuses the finalizer.
fn without_finalizer(input: &Input<'_>) -> Option<String> {
    let finalizers = input.resource.finalizers();
    let failure = input.memory.failure.as_ref()?;
    let is_refused = failure.reason == Reason::WriteRefused
        && !finalizers.iter().any(|f| f == INSTANCE_FINALIZER)
        && input.resource.metadata.deletion_timestamp.is_none();
    input.resource.status.as_ref()?.instance_id.as_ref()?;
    is_refused.then(|| {
        format!(
            "without its finalizer, a deletion leaves the instance behind: {}",
            failure.message
        )
    })
}

/// The bound instance cannot be named in the annotation.
fn unsealed(input: &Input<'_>) -> Option<String> {
    let failure = input.memory.seal_failure.as_ref()?;
    input.resource.status.as_ref()?.instance_id.as_ref()?;
    Some(format!(
        "annotation cortecs.ai/instance-id cannot be written, so a backup of this resource does not find the instance again: {}",
        failure.message
    ))
}
