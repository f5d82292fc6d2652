//! What the message of `Ready` says beside the state: what is ignored, and what cannot be written.

use cortecs_resources::annotations::{REQUESTED_AT, RESOLVE_START, RESTARTED_AT};

use super::input::Input;
use crate::facts::notes;

/// The notes on the resource.
pub(crate) fn of(input: &Input<'_>) -> Vec<String> {
    let orders = [RESTARTED_AT, REQUESTED_AT, RESOLVE_START];
    let ignored = notes::ignored_annotations(input.resource, &orders);
    ignored.into_iter().chain(unsealed(input)).collect()
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
