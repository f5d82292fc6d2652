//! Condition types and reasons, and the one way to set a condition.
//!
//! `Reconciling` and `Stalled` follow kstatus: present only when True, never together.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::reason::Reason;

/// The state that the spec asks for is reached.
pub const READY: &str = "Ready";
/// The endpoint is usable: at least one worker runs and `baseUrl` is set.
pub const AVAILABLE: &str = "Available";
/// All `numWorkers` run.
pub const WORKERS_READY: &str = "WorkersReady";
/// Work is in progress. Present only when True.
pub const RECONCILING: &str = "Reconciling";
/// A person must act. Present only when True.
pub const STALLED: &str = "Stalled";

/// Longest message written into a condition, in characters (the API server allows 32768 bytes).
pub const MAX_MESSAGE_LENGTH: usize = 1024;

/// Sets the condition `kind`. `lastTransitionTime` moves only when the condition's status changes.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    kind: &str,
    status: bool,
    reason: Reason,
    message: &str,
    generation: i64,
    now: Timestamp,
) {
    let status = if status { "True" } else { "False" };
    let message = bounded(message);
    if let Some(condition) = conditions.iter_mut().find(|c| c.type_ == kind) {
        if condition.status != status {
            condition.last_transition_time = whole_seconds(now);
        }
        condition.status = status.to_owned();
        condition.reason = reason.to_string();
        condition.message = message;
        condition.observed_generation = Some(generation);
    } else {
        conditions.push(Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_string(),
            message,
            observed_generation: Some(generation),
            last_transition_time: whole_seconds(now),
        });
    }
}

/// Removes the condition `kind`, if it is there.
pub fn remove_condition(conditions: &mut Vec<Condition>, kind: &str) {
    conditions.retain(|c| c.type_ != kind);
}

/// The condition `kind`, if it is there.
pub fn find_condition<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == kind)
}

/// Whether the condition `kind` is there and True.
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    find_condition(conditions, kind).is_some_and(|c| c.status == "True")
}

/// `now` without the fraction of a second, as the API server stores condition times.
pub fn whole_seconds(now: Timestamp) -> Time {
    Time(Timestamp::from_second(now.as_second()).unwrap_or(now))
}

fn bounded(message: &str) -> String {
    if message.chars().count() <= MAX_MESSAGE_LENGTH {
        return message.to_owned();
    }
    let mut cut: String = message.chars().take(MAX_MESSAGE_LENGTH - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let mut conditions = Vec::new();
        set_condition(
            &mut conditions,
            READY,
            false,
            Reason::Starting,
            "a",
            1,
            at(10),
        );
        set_condition(
            &mut conditions,
            READY,
            false,
            Reason::Pending,
            "b",
            2,
            at(20),
        );
        assert_eq!(conditions[0].last_transition_time.0, at(10));
        assert_eq!(conditions[0].reason, "Pending");
        assert_eq!(conditions[0].observed_generation, Some(2));
        set_condition(&mut conditions, READY, true, Reason::Running, "", 2, at(30));
        assert_eq!(conditions[0].last_transition_time.0, at(30));
        assert_eq!(conditions.len(), 1);
    }

    #[test]
    fn long_messages_are_cut() {
        let mut conditions = Vec::new();
        set_condition(
            &mut conditions,
            READY,
            false,
            Reason::Failed,
            &"ä".repeat(5000),
            1,
            at(0),
        );
        assert_eq!(conditions[0].message.chars().count(), MAX_MESSAGE_LENGTH);
    }
}
