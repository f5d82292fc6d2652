//! Runs end when they should, and accounts limit what their users ask for. The clock on the wall says 2026-01-03T00:00:00Z.

use cortecs_resources::{
    conditions::READY,
    instance_status::{NextTransition, TransitionAction, TransitionReason},
};

use super::*;

/// A resource whose instance was asked for at midnight of the day before and was seen in this state.
fn seen(spec: Value, state: &str) -> Scene {
    let args = args();
    let status = json!({
        "account": home(), "instanceId": "i-1", "instanceArgs": args, "requestedArgs": args, "observedGeneration": 1,
        "lastStartTime": "2026-01-02T00:00:00Z", "instanceStatus": { "status": state },
    });
    let mut scene = Scene::new(spec, status);
    scene.list(999, &[instance("i-1", state)]);
    scene
}

fn stop() -> Step {
    Step::Call(ApiCall::Stop {
        instance_id: "i-1".into(),
    })
}

fn ready(decision: &Decision) -> (&str, &str) {
    let ready = find_condition(&decision.status.conditions, READY).unwrap();
    (&ready.status, &ready.reason)
}

fn next(decision: &Decision) -> Option<(String, TransitionReason)> {
    let next = decision.status.next_transition.as_ref()?;
    let NextTransition { action, at, reason } = next;
    assert_eq!(*action, TransitionAction::Stop);
    Some((at.to_string(), *reason))
}

/// The next decision, after the status of this one was written.
fn then(scene: &mut Scene, decision: Decision) -> Decision {
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

#[test]
fn after_the_end_a_changed_spec_or_a_restart_begins_another_run() {
    let mut scene = seen(json!({ "maxRuntimeSeconds": 60 }), "running");
    let decision = scene.decide();
    scene.list(1000, &[instance("i-1", "stopped")]);
    let ended = then(&mut scene, decision);
    scene.resource["status"] = serde_json::to_value(ended.status).unwrap();
    let restarts = |scene: &mut Scene| {
        let decision = scene.decide();
        let restarts = matches!(
            decision.step,
            Step::Write(Write::Status(Purpose::RestartIntent(_)))
        );
        let status = &decision.status;
        assert!(restarts && status.slot().run_end.is_none(), "{decision:?}");
        assert_eq!(next(&decision).unwrap().0, "2026-01-03T00:01:00Z");
    };
    let mut asked = scene.resource.clone();
    scene.resource["metadata"]["generation"] = json!(2);
    restarts(&mut scene);
    asked["metadata"]["annotations"] = json!({ "cortecs.ai/restartedAt": "now" });
    scene.resource = asked;
    restarts(&mut scene);
    // The order comes before the stop: what runs goes on, as another run.
    scene.list(1001, &[instance("i-1", "running")]);
    scene.resource["metadata"]["annotations"] = json!({});
    scene.resource["metadata"]["generation"] = json!(2);
    let decision = scene.decide();
    assert!(!decision.step.is_call(), "{decision:?}");
    assert_eq!(next(&decision).unwrap().0, "2026-01-03T00:01:00Z");
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
    let fits = json!({ "maxWorkers": 1, "models": ["org/name"], "hardwareTypes": ["NVIDIA_L4_1"], "maxRuntimeSeconds": 60 });
    let decision = limited(fits, json!({}));
    assert!(matches!(
        decision.step,
        Step::Write(Write::Status(Purpose::StartIntent(_)))
    ));
    assert_eq!(next(&decision).unwrap().0, "2026-01-03T00:01:00Z");
}
