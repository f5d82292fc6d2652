//! Runs end when they should, and accounts limit what their users ask for. The clock on the wall says 2026-01-03T00:00:00Z.

use cortecs_resources::{
    conditions::READY,
    transition::{NextTransition, TransitionAction, TransitionReason},
};

use super::*;
use crate::instance::record_write::{self, NotTaken};

/// A resource whose instance was asked for at midnight of the day before and was seen in this state.
pub(super) fn seen(spec: Value, state: &str) -> Scene {
    let args = args();
    let status = json!({
        "account": home(), "instanceId": "i-1", "instanceArgs": args, "requestedArgs": args, "observedGeneration": 1,
        "lastStartTime": "2026-01-02T00:00:00Z", "instanceStatus": { "status": state },
    });
    let mut scene = Scene::new(spec, status);
    scene.list(999, &[instance("i-1", state)]);
    scene
}

pub(super) fn stop() -> Step {
    Step::Call(ApiCall::Stop {
        instance_id: "i-1".into(),
    })
}

pub(super) fn ready(decision: &Decision) -> (&str, &str) {
    let ready = find_condition(&decision.status.conditions, READY).unwrap();
    (&ready.status, &ready.reason)
}

pub(super) fn next(decision: &Decision) -> Option<(String, TransitionReason)> {
    let next = decision.status.next_transition.as_ref()?;
    let NextTransition { action, at, reason } = next;
    assert_eq!(*action, TransitionAction::Stop);
    Some((at.to_string(), *reason))
}

/// The next decision, after the status of this one was written.
pub(super) fn then(scene: &mut Scene, decision: Decision) -> Decision {
    scene.resource["status"] = serde_json::to_value(decision.status).unwrap();
    scene.decide()
}

#[test]
fn a_run_ends_after_the_longest_time_and_that_is_recorded_before_the_stop() {
    let mut scene = seen(json!({ "maxRuntimeSeconds": 86_400 }), "running");
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    let end = decision.status.slot().run_end.clone().unwrap();
    assert_eq!(
        (end.reason, end.generation),
        (TransitionReason::MaxRuntimeReached, 1)
    );
    // The stop is overdue until the instance is stopped.
    let due = ("2026-01-03T00:00:00Z".to_owned(), end.reason);
    assert_eq!(next(&decision), Some(due.clone()));
    let decision = then(&mut scene, decision);
    assert_eq!(decision.step, stop());
    scene.list(1000, &[instance("i-1", "stopped")]);
    let decision = scene.decide();
    assert_eq!(ready(&decision), ("True", "MaxRuntimeReached"));
    assert_eq!(next(&decision), None);
    assert_eq!(then(&mut scene, decision).step, Step::Rest);
}

/// A resource that goes ten minutes after it has expired.
fn expired(expires: &str, more: Value, state: &str) -> Scene {
    let mut spec = json!({ "expireTime": expires, "ttlSecondsAfterExpired": 600 });
    spec.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    let mut scene = seen(spec, state);
    if state == "none" {
        scene.resource["status"] =
            stored(json!({ "observedGeneration": 1, "lastStartTime": "2026-01-02T00:00:00Z" }));
        scene.list(999, &[]);
    }
    scene
}

#[test]
fn what_has_expired_is_deleted_once_its_instance_is_stopped() {
    let goes = |scene: &mut Scene| {
        let first = scene.decide();
        // The end is recorded first.
        let decision = if first.step == written(Purpose::Report) {
            then(scene, first)
        } else {
            first
        };
        decision.step == Step::Write(Write::DeleteResource)
    };
    let past = "2026-01-02T23:50:00Z";
    for (expires, more, state, expected) in [
        (past, json!({}), "stopped", true),
        (past, json!({}), "none", true),
        (past, json!({}), "running", false),
        (past, json!({ "state": "Stopped" }), "stopped", true),
        (past, json!({ "suspend": true }), "stopped", false),
        // The definition does not permit that.
        (
            past,
            json!({ "deletionPolicy": "Orphan" }),
            "stopped",
            false,
        ),
        ("2026-01-02T23:50:01Z", json!({}), "stopped", false),
    ] {
        let mut scene = expired(expires, more.clone(), state);
        assert_eq!(goes(&mut scene), expected, "{expires} {more} {state}");
    }
    let mut scene = expired(past, json!({}), "stopped");
    scene.resource["status"]["journal"]["slots"]["current"]["restart"] =
        json!({ "id": Uuid::from_u128(5), "requestedAt": "2026-01-02T23:49:00Z" });
    assert!(!goes(&mut scene), "a restart is open");
}

#[test]
fn the_deletion_is_shown_before_and_what_kubernetes_says_against_it() {
    let mut scene = expired("2026-01-02T23:59:00Z", json!({}), "stopped");
    let first = scene.decide();
    let decision = then(&mut scene, first);
    let next = decision.status.next_transition.clone().unwrap();
    assert_eq!(
        (next.action, next.reason),
        (TransitionAction::Delete, TransitionReason::Expired)
    );
    assert_eq!(next.at.to_string(), "2026-01-03T00:09:00Z");
    assert_eq!(decision.look_again, Some(Duration::from_secs(540)));
    let mut scene = expired("2026-01-02T23:50:00Z", json!({}), "stopped");
    let first = scene.decide();
    then(&mut scene, first);
    let memory = scene.memory.as_mut().unwrap();
    let forbidden = NotTaken {
        is_refused: true,
        message: "it is forbidden".to_owned(),
        generation: 1,
    };
    record_write::not_taken(memory, forbidden, at(1000), 0.5);
    let decision = scene.decide();
    // It costs nothing, and there is no hurry.
    assert_eq!(ready(&decision), ("True", "Expired"));
    assert!(!decision.busy && decision.look_again.is_some());
    let said = find_condition(&decision.status.conditions, READY).unwrap();
    assert!(said.message.ends_with(": it is forbidden"), "{said:?}");
}

/// The resource is the record by which the late outcome of a start is recognised.
#[test]
fn what_has_expired_stays_while_a_start_that_was_given_up_may_have_made_something() {
    for (voided_at, goes) in [
        ("2026-01-02T00:00:01Z", false),
        ("2026-01-02T00:00:00Z", true),
    ] {
        let mut scene = expired("2026-01-02T00:00:00Z", json!({}), "none");
        scene.resource["status"]["journal"]["voidedStarts"] = json!([{
            "id": Uuid::from_u128(4), "requestedAt": "2026-01-01T00:00:00Z", "voidedAt": voided_at, "args": args(),
        }]);
        let first = scene.decide();
        let decision = then(&mut scene, first);
        assert_eq!(
            decision.step == Step::Write(Write::DeleteResource),
            goes,
            "{voided_at}"
        );
    }
}

#[test]
fn before_its_end_a_run_shows_when_it_ends_and_looks_again_then() {
    let mut scene = seen(json!({ "maxRuntimeSeconds": 86_460 }), "running");
    let decision = scene.decide();
    let due = (
        "2026-01-03T00:01:00Z".to_owned(),
        TransitionReason::MaxRuntimeReached,
    );
    assert_eq!(next(&decision), Some(due));
    assert_eq!(decision.look_again, Some(Duration::from_secs(60)));
    // Nothing of it is written again.
    let decision = then(&mut scene, decision);
    assert_eq!(
        (decision.step.clone(), decision.look_again),
        (Step::Rest, Some(Duration::from_secs(60)))
    );
    // While the account is not known, what was shown stays.
    scene.view.unchecked = true;
    scene.view.desired = Desired::Pending("not yet".into());
    assert_eq!(scene.decide().step, Step::Rest);
    scene.resource["metadata"]["generation"] = json!(2);
    assert_eq!(next(&scene.decide()).unwrap().0, "2026-01-03T00:01:00Z");
}

fn restarts(decision: &Decision) -> bool {
    matches!(
        decision.step,
        Step::Write(Write::Status(Purpose::RestartIntent(_)))
    )
}

/// The resource after its run has ended, and its instance was stopped.
fn ended() -> Scene {
    let mut scene = seen(json!({ "maxRuntimeSeconds": 60 }), "running");
    let decision = scene.decide();
    scene.list(1000, &[instance("i-1", "stopped")]);
    let ended = then(&mut scene, decision);
    assert_eq!(ready(&ended), ("True", "MaxRuntimeReached"));
    scene.resource["status"] = serde_json::to_value(ended.status).unwrap();
    scene
}

#[test]
fn after_the_end_a_changed_spec_or_a_restart_begins_another_run() {
    let mut scene = ended();
    scene.resource["metadata"]["generation"] = json!(2);
    let decision = scene.decide();
    assert!(restarts(&decision) && decision.status.slot().run_end.is_none());
    let mut scene = ended();
    scene.resource["metadata"]["annotations"] = json!({ "cortecs.ai/restartedAt": "now" });
    let decision = scene.decide();
    assert!(restarts(&decision) && decision.status.slot().run_end.is_none());
}

#[test]
fn an_order_that_comes_between_the_end_and_the_stop() {
    // The spec changes: what runs goes on, as another run.
    let mut scene = seen(json!({ "maxRuntimeSeconds": 60 }), "running");
    let decision = scene.decide();
    scene.resource["metadata"]["generation"] = json!(2);
    let decision = then(&mut scene, decision);
    assert!(!decision.step.is_call(), "{decision:?}");
    assert_eq!(next(&decision).unwrap().0, "2026-01-03T00:01:00Z");
    assert_eq!(then(&mut scene, decision).step, Step::Rest);
    // A restart is asked for: it stops the instance first anyway, and begins only when the account permits that.
    let mut scene = seen(json!({ "maxRuntimeSeconds": 60 }), "running");
    scene.resource["metadata"]["annotations"] = json!({ "cortecs.ai/restartedAt": "now" });
    scene.account(|account| account.mode = AccountMode::Hold);
    let decision = scene.decide();
    assert_eq!(then(&mut scene, decision).step, stop());
    scene.list(1000, &[instance("i-1", "stopped")]);
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("AccountHeld"));
    assert_eq!(then(&mut scene, decision).step, Step::Rest);
    scene.account(|account| account.mode = AccountMode::Active);
    assert!(restarts(&scene.decide()));
}

/// The time that counts is that of a run.
#[test]
fn what_does_not_run_is_not_ended_by_the_longest_run() {
    // Stopped for a while, and to run again; or stopped by others.
    let mut scene = seen(json!({ "maxRuntimeSeconds": 60 }), "stopped");
    assert!(restarts(&scene.decide()));
    // It waits for hardware.
    scene.capacity = Capacity::Available(Arc::default());
    let decision = scene.decide();
    assert_eq!(reconciling(&decision), Some("WaitingForCapacity"));
    assert_eq!(next(&decision), None);
    assert_eq!(then(&mut scene, decision).step, Step::Rest);
    let accepted = json!({ "maxRuntimeSeconds": 60, "driftPolicy": "Accept" });
    let mut scene = seen(accepted, "stopped");
    slot(&mut scene.resource)["reachedGeneration"] = json!(1);
    assert_eq!(ready(&scene.decide()).1, "DriftAccepted");
    // A start of which nothing has come yet.
    let open = json!({ "account": home(), "start": intent(1, "2026-01-02T00:00:00Z", &[]), "lastStartTime": "2026-01-02T00:00:00Z" });
    let mut scene = Scene::new(json!({ "maxRuntimeSeconds": 60 }), open);
    let decision = scene.decide();
    assert!(decision.status.slot().run_end.is_none() && next(&decision).is_none());
}

#[test]
fn what_may_not_be_restarted_is_not_stopped_for_a_restart() {
    let mut scene = seen(json!({}), "running");
    scene.resource["metadata"]["annotations"] = json!({ "cortecs.ai/restartedAt": "now" });
    scene.account(|account| account.limits.models = vec!["org/other".into()]);
    assert_eq!(stalled(&scene.decide()), Some("ExceedsLimit"));
    // Models are compared as the catalog is: however they are spelt.
    scene.account(|account| account.limits.models = vec!["Org/Name".into()]);
    assert_eq!(scene.decide().step, stop());
    // After expireTime nothing would be started: what is paid for is used up.
    let by_hour = json!({
        "expireTime": "2026-01-02T23:59:00Z", "stopAt": "EndOfBillingInterval", "billingInterval": "per_hour", "numWorkers": 2,
    });
    let mut scene = seen(by_hour, "running");
    slot(&mut scene.resource)["lastStartTime"] = json!("2026-01-02T23:30:00Z");
    let decision = scene.decide();
    assert!(!decision.step.is_call(), "{decision:?}");
    assert_eq!(next(&decision).unwrap().0, "2026-01-03T00:28:00Z");
}

#[test]
fn what_has_expired_is_stopped_and_not_started() {
    let expired = json!({ "expireTime": "2026-01-02T12:00:00Z" });
    let mut scene = seen(expired.clone(), "running");
    let decision = scene.decide();
    assert_eq!(then(&mut scene, decision).step, stop());
    // Not even when a restart is asked for, or when the clock is set back.
    scene.resource["metadata"]["annotations"] = json!({ "cortecs.ai/restartedAt": "now" });
    scene.list(1000, &[instance("i-1", "stopped")]);
    assert_eq!(ready(&scene.decide()), ("True", "Expired"));
    scene.resource["spec"]["expireTime"] = json!("2026-01-04T00:00:00Z");
    assert_eq!(ready(&scene.decide()), ("True", "Expired"));
    scene.resource["metadata"]["generation"] = json!(2);
    assert_ne!(ready(&scene.decide()).1, "Expired");

    let mut scene = Scene::new(expired, json!({}));
    let decision = scene.decide();
    let decision = then(&mut scene, decision);
    assert_eq!(ready(&decision), ("True", "Expired"));
    assert_eq!(then(&mut scene, decision).step, Step::Rest);
}

/// The definition refuses such a time; another one may not.
#[test]
fn a_time_that_cannot_be_read_is_said_and_starts_nothing() {
    let wrong = json!({ "expireTime": "2026-01-01T00:00:00+99:99" });
    let decision = Scene::new(wrong.clone(), json!({})).decide();
    assert_eq!(stalled(&decision), Some("InvalidArguments"));
    let mut scene = seen(wrong, "running");
    assert!(!scene.decide().step.is_call());
}

#[test]
fn suspended_resources_and_those_that_are_stopped_have_no_next_transition() {
    for spec in [json!({ "suspend": true }), json!({ "state": "Stopped" })] {
        let mut spec = spec;
        spec["maxRuntimeSeconds"] = json!(60);
        let decision = seen(spec, "running").decide();
        assert_eq!(next(&decision), None);
        assert!(decision.status.slot().run_end.is_none());
    }
}

#[test]
fn the_account_limits_its_users() {
    let limited = |limits: Value, spec: Value| {
        let mut scene = Scene::new(spec, json!({}));
        scene.account(|account| account.limits = serde_json::from_value(limits.clone()).unwrap());
        scene.decide()
    };
    for (limits, spec, named) in [
        (
            json!({ "maxWorkers": 1 }),
            json!({ "numWorkers": 2 }),
            "limits.maxWorkers",
        ),
        (
            json!({ "models": ["org/other"] }),
            json!({}),
            "limits.models",
        ),
        (
            json!({ "hardwareTypes": ["NVIDIA_L40S_1"] }),
            json!({}),
            "limits.hardwareTypes",
        ),
    ] {
        let decision = limited(limits, spec);
        assert_eq!(stalled(&decision), Some("ExceedsLimit"));
        let says = find_condition(&decision.status.conditions, STALLED).unwrap();
        assert!(says.message.contains(named), "{}", says.message);
    }
    let fits = json!({ "maxWorkers": 1, "models": ["org/name"], "hardwareTypes": ["NVIDIA_L4_1"] });
    let decision = limited(fits, json!({}));
    assert!(matches!(
        decision.step,
        Step::Write(Write::Status(Purpose::StartIntent(_)))
    ));
    // A fallback that is permitted is taken, whatever is preferred.
    let mut scene = Scene::new(json!({ "hardwareFallbacks": ["NVIDIA_L40S_1"] }), json!({}));
    let mut model = (*model().unwrap()).clone();
    let configs = model.hardware_configs.as_mut().unwrap();
    configs.insert("NVIDIA_L40S_1".into(), HardwareConfig::default());
    scene.model = Some(Ok(Arc::new(model)));
    scene.account(|account| account.limits.hardware_types = vec!["NVIDIA_L40S_1".into()]);
    let start = scene.decide().status.slot().start.clone().unwrap();
    assert_eq!(
        start.args.hardware_type_id.as_deref(),
        Some("NVIDIA_L40S_1")
    );
    let mut scene = seen(json!({}), "running");
    scene.account(|account| account.limits.max_runtime_seconds = Some(86_460));
    assert_eq!(next(&scene.decide()).unwrap().0, "2026-01-03T00:01:00Z");
}
