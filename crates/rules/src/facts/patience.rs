//! How long an object waits for what it needs before a person is asked.

use cortecs_resources::{
    conditions::{RECONCILING, STALLED, find_condition},
    reason::Reason,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Whether the object has been reconciling for the deadline, or was stalled for this reason before. `is_current`: the conditions
/// speak of the present spec.
pub fn is_overdue(
    conditions: &[Condition],
    reason: Reason,
    is_current: bool,
    deadline: SignedDuration,
    now: Timestamp,
) -> bool {
    let stalled = find_condition(conditions, STALLED).and_then(Reason::of);
    let since = find_condition(conditions, RECONCILING).map(|c| c.last_transition_time.0);
    (is_current && stalled == Some(reason))
        || since.is_some_and(|since| now.duration_since(since) >= deadline)
}
