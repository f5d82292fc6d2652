//! Whether the stop of an instance is overdue. Only the resource and its account are asked, so that this can be known before anything else is.

use cortecs_resources::{
    CortecsInstance, instance::DeletionPolicy, instance_status::CortecsInstanceStatus,
    transition::TransitionAction,
};
use jiff::{SignedDuration, Timestamp};

use super::run_limit::{end_of_run, runs};

/// Since when the instance of the resource should have been stopped, if that is longer ago than `limit`: by its status, by the recorded
/// end of its run, by its present spec, or by its account's `maxRuntimeSeconds`, which is `of_account`.
pub fn overdue_since(
    resource: &CortecsInstance,
    of_account: Option<i32>,
    limit: SignedDuration,
    now: Timestamp,
) -> Option<Timestamp> {
    let spec = &resource.spec;
    let status = resource.status.as_ref().filter(|status| may_run(status))?;
    let is_left = resource.metadata.deletion_timestamp.is_some()
        && spec.deletion_policy == DeletionPolicy::Orphan;
    if spec.suspend || is_left {
        return None;
    }
    let slot = status.slot();
    let generation = resource.metadata.generation;
    let recorded = slot.run_end.as_ref();
    let recorded = recorded.filter(|end| Some(end.generation) == generation);
    let next = status.next_transition.as_ref();
    let next = next.filter(|next| next.action == TransitionAction::Stop);
    // A time that is shown counts for the account's limit: that may have changed since, and a later decision corrects it.
    let of_account = of_account.filter(|_| next.is_none());
    let asked = end_of_run(spec, slot.last_start_time, of_account);
    let times = [
        next.map(|next| next.at),
        recorded.map(|end| end.at),
        asked.map(|(at, _)| at),
    ];
    let since = times.into_iter().flatten().min()?;
    (now.duration_since(since) > limit).then_some(since)
}

/// Whether an instance runs or may run: a start or a restart is recorded before its call, so while one is open the status shows what was
/// before it.
fn may_run(status: &CortecsInstanceStatus) -> bool {
    runs(status) || has_open_restart(status) || status.slot().start.is_some()
}

fn has_open_restart(status: &CortecsInstanceStatus) -> bool {
    status.instance_id.is_some() && status.slot().restart.is_some()
}

/// Whether a start is open: an instance may run, and no record names it.
pub fn has_open_start(resource: &CortecsInstance) -> bool {
    let status = resource.status.as_ref();
    status.is_some_and(|status| status.slot().start.is_some())
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
    of_account: Option<i32>,
    limit: SignedDuration,
    now: Timestamp,
) -> Outcome {
    let Some(status) = resource.and_then(|resource| resource.status.as_ref()) else {
        return Outcome::Gone;
    };
    match resource.and_then(|resource| overdue_since(resource, of_account, limit, now)) {
        Some(_) => Outcome::Overdue,
        None if status.instance_id.is_none() => Outcome::Gone,
        None if !runs(status) && !has_open_restart(status) => Outcome::Stopped,
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
        let since = overdue_since(&resource(change), None, limit, NOW.parse().unwrap());
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

    /// A call that was written ahead may have had its effect after the operator died.
    #[test]
    fn an_open_restart_and_an_open_start_count_whatever_the_status_shows() {
        let slot = |name: &str| {
            let mut intent = json!({
                "id": "00000000-0000-0000-0000-000000000001", "requestedAt": "2026-01-01T10:00:00Z",
            });
            if name == "start" {
                intent["args"] = json!({ "modelId": "m" });
            }
            json!({ "status": { "journal": { "slots": { "current": { name: intent } } } } })
        };
        let hour = json!({ "spec": { "maxRuntimeSeconds": 3600 } });
        let stopped = json!({ "status": { "instanceStatus": { "status": "stopped" } } });
        let unbound = json!({ "status": { "instanceId": null, "instanceStatus": null } });
        let due = Some("2026-01-01T11:00:00Z".to_owned());
        for (before, call) in [(stopped, slot("restart")), (unbound, slot("start"))] {
            let before = with(hour.clone(), before);
            assert_eq!(since(before.clone()), None);
            let open = with(before, call);
            assert_eq!(since(open.clone()), due);
            let suspended = json!({ "spec": { "suspend": true } });
            assert_eq!(since(with(open.clone(), suspended)), None);
            let longer = json!({ "spec": { "maxRuntimeSeconds": 86_400 } });
            assert_eq!(since(with(open, longer)), None);
        }
    }

    #[test]
    fn the_limit_of_the_account_counts_where_no_time_is_shown() {
        let since = |change: Value, of_account: i32| {
            let limit = SignedDuration::from_mins(10);
            let now = NOW.parse().unwrap();
            overdue_since(&resource(change), Some(of_account), limit, now)
        };
        assert!(since(json!({}), 3600).is_some());
        assert_eq!(since(json!({}), 86_400), None);
        assert_eq!(since(next("2026-01-01T13:00:00Z"), 3600), None);
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
            super::outcome(Some(&resource), None, limit, NOW.parse().unwrap())
        };
        let overdue = next("2026-01-01T09:00:00Z");
        assert_eq!(outcome(overdue.clone()), Outcome::Overdue);
        let stopped = json!({ "status": { "instanceStatus": { "status": "stopped" } } });
        assert_eq!(
            outcome(with(overdue.clone(), stopped.clone())),
            Outcome::Stopped
        );
        let open = json!({ "status": { "journal": { "slots": { "current": { "restart": {
            "id": "00000000-0000-0000-0000-000000000001", "requestedAt": "2026-01-01T10:00:00Z",
        } } } } } });
        let restarted = with(with(overdue.clone(), open.clone()), stopped.clone());
        assert_eq!(outcome(restarted), Outcome::Overdue);
        assert_eq!(outcome(with(open, stopped.clone())), Outcome::NotDue);
        let gone = json!({ "status": { "instanceId": null } });
        assert_eq!(outcome(with(overdue, gone)), Outcome::Gone);
        assert_eq!(outcome(next("2026-01-01T13:00:00Z")), Outcome::NotDue);
        let removed = super::outcome(None, None, SignedDuration::ZERO, NOW.parse().unwrap());
        assert_eq!(removed, Outcome::Gone);
    }
}
