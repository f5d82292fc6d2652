//! The API says of the bound instance what this version does not know.

use cortecs_resources::{annotations::RESTARTED_AT, conditions::READY, instance_status::Phase};

use super::*;

/// A resource that was used until now, and whose instance is in this state since.
fn in_state(spec: Value, state: &str) -> Scene {
    let args = args();
    let status = json!({
        "account": home(), "instanceId": "i-1", "instanceArgs": args, "requestedArgs": args,
        "instanceStatus": { "status": "running" }, "observedGeneration": 1, "reachedGeneration": 1,
        "phase": "Running", "lastStartTime": "2026-01-02T00:00:00Z",
        "conditions": [{
            "type": "Available", "status": "True", "reason": "EndpointUsable", "message": "",
            "lastTransitionTime": "2026-01-02T00:00:00Z",
        }],
    });
    let mut scene = Scene::new(spec, status);
    scene.list(999, &[odd(state)]);
    scene
}

fn odd(state: &str) -> Instance {
    let mut odd = serde_json::to_value(instance("i-1", "running")).unwrap();
    odd["instance_status"]["status"] = json!(state);
    serde_json::from_value(odd).unwrap()
}

#[test]
fn what_is_broken_is_told_at_once_and_what_is_unknown_after_the_deadline() {
    let broken = in_state(json!({}), "failed").decide();
    assert_eq!(stalled(&broken), Some("UnknownState"));
    assert_eq!(broken.status.phase, Some(Phase::Failed));
    assert!(!broken.busy, "it is listed at the idle interval");
    let said = find_condition(&broken.status.conditions, READY).unwrap();
    assert!(said.message.contains("\"failed\""), "{}", said.message);

    // It has not been usable for a minute.
    for (deadline, left) in [(120, Some(60)), (60, None)] {
        let spec = json!({ "progressDeadlineSeconds": deadline });
        let mut unknown = in_state(spec, "resting");
        let available = &mut unknown.resource["status"]["conditions"][0];
        available["status"] = json!("False");
        available["lastTransitionTime"] = json!("2026-01-02T23:59:00Z");
        let decision = unknown.decide();
        let expected = Some("UnknownState");
        match left {
            Some(left) => {
                assert_eq!(reconciling(&decision), expected);
                assert_eq!(decision.look_again, Some(Duration::from_secs(left)));
            }
            None => {
                assert_eq!(stalled(&decision), expected);
                assert!(!decision.busy);
            }
        }
    }
}

#[test]
fn orders_are_obeyed_whatever_the_state_is() {
    let stop = Step::Call(ApiCall::Stop {
        instance_id: "i-1".into(),
    });
    for state in ["failed", "resting"] {
        let mut stopped = in_state(json!({ "state": "Stopped" }), state);
        assert_eq!(stopped.decide().step, stop, "{state}");
        let mut restarted = in_state(json!({}), state).annotated(RESTARTED_AT, "now");
        assert_eq!(restarted.decide().step, stop, "{state}");
        let mut deleted = in_state(json!({}), state).deleting();
        assert_eq!(deleted.decide().step, stop, "{state}");
        let mut changed = in_state(json!({ "numWorkers": 2 }), state);
        changed.resource["metadata"]["generation"] = json!(2);
        changed.capacity = crate::facts::capacity::Capacity::Unknown;
        assert_eq!(changed.decide().step, stop, "{state}");
        // A stop that has no effect is followed by a delete.
        changed.observe();
        let bound = changed.memory_of_bound();
        (bound.stop_answered, bound.stops, bound.called) = (true, 1, Some(at(998)));
        let delete = Step::Call(ApiCall::Delete {
            instance_id: "i-1".into(),
        });
        assert_eq!(changed.decide().step, delete, "{state}");
    }
}

#[test]
fn orders_that_are_in_vain_are_told_and_given_again() {
    for (spec, deleting) in [
        (json!({ "state": "Stopped" }), false),
        (json!({}), false),
        (json!({ "deletionPolicy": "Stop" }), true),
    ] {
        let mut scene = in_state(spec.clone(), "failed").annotated(RESTARTED_AT, "now");
        if deleting {
            scene = scene.deleting();
        }
        scene.observe();
        let now = scene.now;
        let bound = scene.memory_of_bound();
        (bound.stop_answered, bound.stops, bound.called) = (true, 2, Some(now));
        let decision = scene.decide();
        assert_eq!(stalled(&decision), Some("UnknownState"), "{spec}");
        assert!(decision.look_again.is_some());
        scene.now = now.after(Duration::from_secs(300));
        scene.lists([1299], &[odd("failed")]);
        let stop = ApiCall::Stop {
            instance_id: "i-1".into(),
        };
        assert_eq!(scene.decide().step, Step::Call(stop), "{spec}");
    }
}

#[test]
fn what_is_suspended_is_only_shown() {
    for state in ["failed", "resting"] {
        let decision = in_state(json!({ "suspend": true }), state).decide();
        assert_eq!(decision.step, written(Purpose::Report), "{state}");
    }
}
