//! When a run has to end, and whether it has: `maxRuntimeSeconds`, `expireTime` and `stopAt`.

use cortecs_api::types::InstanceState;
use cortecs_resources::{
    CortecsInstance, annotations,
    instance::{BillingInterval, CortecsInstanceSpec, StopAt},
    instance_status::CortecsInstanceStatus,
    journal::RunEnd,
    transition::TransitionReason,
    user_time::UserTime,
};
use jiff::{SignedDuration, Timestamp};

const HOUR: i64 = 3600;

/// When the run that was asked for at `started` has to end, and why; `None`: never. `of_account`: the account's `maxRuntimeSeconds`.
pub fn end_of_run(
    spec: &CortecsInstanceSpec,
    started: Option<Timestamp>,
    of_account: Option<i32>,
) -> Option<(Timestamp, TransitionReason)> {
    let expires = spec.expire_time.as_ref().and_then(UserTime::timestamp);
    let expires = expires.map(|at| (at, TransitionReason::Expired));
    let limits = [spec.max_runtime_seconds, of_account];
    let longest = limits.into_iter().flatten().min();
    let reached = started.zip(longest).and_then(|(started, seconds)| {
        let at = started.checked_add(SignedDuration::from_secs(seconds.into()));
        Some((at.ok()?, TransitionReason::MaxRuntimeReached))
    });
    let (at, reason) = [expires, reached]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)?;
    // A paid hour is not used up beyond what the account permits.
    let of_account = started.zip(of_account).and_then(|(started, seconds)| {
        let most = SignedDuration::from_secs(seconds.into());
        started.checked_add(most).ok()
    });
    let at = stop_at(spec, started, at);
    Some((of_account.map_or(at, |most| at.min(most)), reason))
}

/// When the resource is to be deleted because it has expired; `None`: never.
pub fn end_of_resource(spec: &CortecsInstanceSpec) -> Option<Timestamp> {
    let expires = spec.expire_time.as_ref().and_then(UserTime::timestamp)?;
    let ttl = SignedDuration::from_secs(spec.ttl_seconds_after_expired?.into());
    expires.checked_add(ttl).ok()
}

/// When the stop is made for a run that has to end at `at`: with `EndOfBillingInterval`, ahead of the first hour that begins then or later.
fn stop_at(spec: &CortecsInstanceSpec, started: Option<Timestamp>, at: Timestamp) -> Timestamp {
    let by_hour = spec.stop_at == StopAt::EndOfBillingInterval
        && spec.billing_interval == BillingInterval::PerHour;
    let Some(started) = started.filter(|started| by_hour && *started < at) else {
        return at;
    };
    let ran = at.as_second().saturating_sub(started.as_second());
    let hours = ran.saturating_add(HOUR - 1) / HOUR;
    let left = (hours * HOUR).saturating_sub(spec.lead_seconds.into());
    let end = started.checked_add(SignedDuration::from_secs(left));
    end.unwrap_or(at)
}

/// Whether an instance is bound and was not seen to be stopped.
pub fn runs(status: &CortecsInstanceStatus) -> bool {
    let shown = status.instance_status.as_ref();
    let stopped = shown.is_some_and(|s| s.status == InstanceState::Stopped.as_str());
    status.instance_id.is_some() && !stopped
}

/// The recorded end of the last run, if it still holds: the spec is the same, and no restart was asked for since.
pub fn ended(resource: &CortecsInstance) -> Option<&RunEnd> {
    let status = resource.status.as_ref()?;
    let end = status.slot().run_end.as_ref()?;
    let handled = status.last_handled_restart_at.as_deref();
    let holds = Some(end.generation) == resource.metadata.generation
        && (end.reason == TransitionReason::Expired
            || !annotations::restart_is_asked_for(resource, handled));
    holds.then_some(end)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).unwrap()
    }

    fn spec(mut value: Value) -> CortecsInstanceSpec {
        value["modelId"] = json!("org/name");
        serde_json::from_value(value).unwrap()
    }

    /// When a run that begins at minute 0 ends, in minutes.
    fn end(value: Value, of_account: Option<i32>) -> Option<(f64, TransitionReason)> {
        let end = end_of_run(&spec(value), Some(at(0)), of_account)?;
        let seconds = end.0.as_second() - at(0).as_second();
        Some((seconds as f64 / 60.0, end.1))
    }

    #[test]
    fn the_first_limit_ends_the_run() {
        use TransitionReason::{Expired, MaxRuntimeReached};
        assert_eq!(end(json!({}), None), None);
        let both =
            |minute| json!({ "maxRuntimeSeconds": 600, "expireTime": at(minute).to_string() });
        assert_eq!(end(both(9), None), Some((9.0, Expired)));
        assert_eq!(end(both(11), None), Some((10.0, MaxRuntimeReached)));
        assert_eq!(end(both(11), Some(300)), Some((5.0, MaxRuntimeReached)));
        assert_eq!(end(both(11), Some(900)), Some((10.0, MaxRuntimeReached)));
        assert_eq!(end(json!({}), Some(60)), Some((1.0, MaxRuntimeReached)));
        // Nothing has run yet.
        let expires = spec(both(9));
        assert_eq!(end_of_run(&expires, None, None), Some((at(9), Expired)));
    }

    #[test]
    fn a_paid_hour_is_used_up() {
        let minutes = |seconds: i64, more: Value| {
            let mut value = json!({ "maxRuntimeSeconds": seconds, "billingInterval": "per_hour", "stopAt": "EndOfBillingInterval" });
            value
                .as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            end(value, None).unwrap().0
        };
        assert_eq!(minutes(60, json!({})), 58.0);
        assert_eq!(minutes(3600, json!({})), 58.0, "the next hour would begin");
        assert_eq!(minutes(3601, json!({})), 118.0);
        assert_eq!(minutes(3600, json!({ "leadSeconds": 0 })), 60.0);
        assert_eq!(minutes(60, json!({ "stopAt": "Immediately" })), 1.0);
        assert_eq!(minutes(60, json!({ "billingInterval": "per_minute" })), 1.0);
    }

    #[test]
    fn no_paid_hour_is_used_up_beyond_what_the_account_permits() {
        let by_hour = json!({ "billingInterval": "per_hour", "stopAt": "EndOfBillingInterval" });
        assert_eq!(end(by_hour.clone(), Some(600)).unwrap().0, 10.0);
        assert_eq!(end(by_hour, Some(3600)).unwrap().0, 58.0);
    }

    #[test]
    fn what_has_expired_goes_after_a_while() {
        let expires = at(9).to_string();
        for (ttl, minute) in [
            (json!(null), None),
            (json!(0), Some(9)),
            (json!(60), Some(10)),
        ] {
            let spec = spec(json!({ "expireTime": expires, "ttlSecondsAfterExpired": ttl }));
            assert_eq!(end_of_resource(&spec), minute.map(at), "{ttl}");
        }
        assert_eq!(
            end_of_resource(&spec(json!({ "ttlSecondsAfterExpired": 60 }))),
            None
        );
    }

    #[test]
    fn times_beyond_all_calendars_do_no_harm() {
        let far = json!({ "maxRuntimeSeconds": i32::MAX, "billingInterval": "per_hour", "stopAt": "EndOfBillingInterval" });
        let late = Timestamp::MAX;
        assert_eq!(end_of_run(&spec(far), Some(late), None), None);
    }

    #[test]
    fn an_end_holds_until_the_spec_changes_or_a_restart_is_asked_for() {
        let resource = |generation: i64, asked: &str, reason: &str| -> CortecsInstance {
            serde_json::from_value(json!({
                "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
                "metadata": { "name": "a", "generation": generation, "annotations": { "cortecs.ai/restartedAt": asked } },
                "spec": { "modelId": "m" },
                "status": { "lastHandledRestartAt": "once", "journal": { "slots": { "current": {
                    "runEnd": { "reason": reason, "at": "2026-01-01T00:00:00Z", "generation": 3 },
                } } } },
            }))
            .unwrap()
        };
        for (generation, asked, reason, holds) in [
            (3, "once", "MaxRuntimeReached", true),
            (3, "again", "MaxRuntimeReached", false),
            (4, "once", "MaxRuntimeReached", false),
            (3, "again", "Expired", true),
            (4, "once", "Expired", false),
        ] {
            let resource = resource(generation, asked, reason);
            assert_eq!(
                ended(&resource).is_some(),
                holds,
                "{generation} {asked} {reason}"
            );
        }
    }
}
