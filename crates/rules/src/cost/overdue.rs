//! Whether the stop of an instance is overdue. Only the resource is asked, so that this can be known before anything else is.

use cortecs_resources::{CortecsInstance, instance::DeletionPolicy, transition::TransitionAction};
use jiff::{SignedDuration, Timestamp};

use super::run_limit::{end_of_run, runs};

/// Since when the instance of the resource should have been stopped, if that is longer ago than `limit`: by its status, by the recorded
/// end of its run, or by its present spec. The limit of the account counts only as the status shows it.
pub fn overdue_since(
    resource: &CortecsInstance,
    limit: SignedDuration,
    now: Timestamp,
) -> Option<Timestamp> {
    let spec = &resource.spec;
    let status = resource.status.as_ref().filter(|status| runs(status))?;
    let is_left = resource.metadata.deletion_timestamp.is_some()
        && spec.deletion_policy == DeletionPolicy::Orphan;
    if spec.suspend || is_left {
        return None;
    }
    let slot = status.slot();
    let generation = resource.metadata.generation;
    let recorded = slot.run_end.as_ref();
    let recorded = recorded.filter(|end| Some(end.generation) == generation);
    let asked = end_of_run(spec, slot.last_start_time, None);
    let next = status.next_transition.as_ref();
    let next = next.filter(|next| next.action == TransitionAction::Stop);
    let times = [
        next.map(|next| next.at),
        recorded.map(|end| end.at),
        asked.map(|(at, _)| at),
    ];
    let since = times.into_iter().flatten().min()?;
    (now.duration_since(since) > limit).then_some(since)
}

/// What has become of a resource whose stop was overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The instance is seen to be stopped.
    Stopped,
    /// The instance is gone, or the resource is.
    Gone,
    /// By its present spec the resource may run on.
    NotDue,
    /// The stop is still overdue.
    Overdue,
}

/// What has become of the resource; `None`: it was removed.
pub fn outcome(
    resource: Option<&CortecsInstance>,
    limit: SignedDuration,
    now: Timestamp,
) -> Outcome {
    let Some(status) = resource.and_then(|resource| resource.status.as_ref()) else {
        return Outcome::Gone;
    };
    match resource.and_then(|resource| overdue_since(resource, limit, now)) {
        Some(_) => Outcome::Overdue,
        None if status.instance_id.is_none() => Outcome::Gone,
        None if !runs(status) => Outcome::Stopped,
        None => Outcome::NotDue,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-01-01T12:00:00Z";

    fn resource(change: Value) -> CortecsInstance {
        let mut value = json!({
            "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
            "metadata": { "name": "a", "generation": 3 },
            "spec": { "modelId": "m" },
            "status": {
                "instanceId": "i-1",
                "instanceStatus": { "status": "running" },
                "journal": { "slots": { "current": { "lastStartTime": "2026-01-01T10:00:00Z" } } },
            },
        });
        merge(&mut value, change);
        serde_json::from_value(value).unwrap()
    }

    fn merge(into: &mut Value, change: Value) {
        match (into, change) {
            (Value::Object(into), Value::Object(change)) => {
                for (key, value) in change {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (into, change) => *into = change,
        }
    }

    fn since(change: Value) -> Option<String> {
        let limit = SignedDuration::from_mins(10);
        let since = overdue_since(&resource(change), limit, NOW.parse().unwrap());
        since.map(|at| at.to_string())
    }

    fn next(at: &str) -> Value {
        json!({ "status": { "nextTransition": { "action": "Stop", "at": at, "reason": "MaxRuntimeReached" } } })
    }

    fn with(mut change: Value, more: Value) -> Value {
        merge(&mut change, more);
        change
    }

    #[test]
    fn a_stop_is_overdue_only_by_more_than_the_limit() {
        assert_eq!(since(json!({})), None);
        assert_eq!(since(next("2026-01-01T11:50:00Z")), None);
        let at = "2026-01-01T11:49:59Z";
        assert_eq!(since(next(at)).as_deref(), Some(at));
    }

    #[test]
    fn the_spec_and_the_recorded_end_count_as_well() {
        let expired = json!({ "spec": { "expireTime": "2026-01-01T11:00:00Z" } });
        assert_eq!(since(expired).as_deref(), Some("2026-01-01T11:00:00Z"));
        let reached = json!({ "spec": { "maxRuntimeSeconds": 3600 } });
        assert_eq!(since(reached).as_deref(), Some("2026-01-01T11:00:00Z"));
        let end = |generation: i64| {
            let end = json!({ "reason": "Expired", "at": "2026-01-01T11:00:00Z", "generation": generation });
            json!({ "status": { "journal": { "slots": { "current": { "runEnd": end } } } } })
        };
        assert!(since(end(3)).is_some());
        assert_eq!(since(end(2)), None, "the spec is another one since");
    }

    #[test]
    fn what_does_not_run_and_what_is_left_alone_is_not_overdue() {
        let overdue = next("2026-01-01T09:00:00Z");
        assert!(since(overdue.clone()).is_some());
        for change in [
            json!({ "spec": { "suspend": true } }),
            json!({ "status": { "instanceId": null } }),
            json!({ "status": { "instanceStatus": { "status": "stopped" } } }),
            json!({ "spec": { "deletionPolicy": "Orphan" }, "metadata": { "deletionTimestamp": NOW } }),
        ] {
            assert_eq!(
                since(with(overdue.clone(), change.clone())),
                None,
                "{change}"
            );
        }
        let deleted = json!({ "metadata": { "deletionTimestamp": NOW } });
        assert!(since(with(overdue, deleted)).is_some());
    }

    #[test]
    fn what_became_of_it_is_read_from_the_resource() {
        let outcome = |change: Value| {
            let resource = resource(change);
            let limit = SignedDuration::from_mins(10);
            super::outcome(Some(&resource), limit, NOW.parse().unwrap())
        };
        let overdue = next("2026-01-01T09:00:00Z");
        assert_eq!(outcome(overdue.clone()), Outcome::Overdue);
        let stopped = json!({ "status": { "instanceStatus": { "status": "stopped" } } });
        assert_eq!(outcome(with(overdue.clone(), stopped)), Outcome::Stopped);
        let gone = json!({ "status": { "instanceId": null } });
        assert_eq!(outcome(with(overdue, gone)), Outcome::Gone);
        assert_eq!(outcome(next("2026-01-01T13:00:00Z")), Outcome::NotDue);
        let removed = super::outcome(None, SignedDuration::ZERO, NOW.parse().unwrap());
        assert_eq!(removed, Outcome::Gone);
    }
}
