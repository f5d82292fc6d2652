//! Nothing is started, restarted or replaced on hardware that is not available.

use std::collections::BTreeSet;

use super::*;

fn free(ids: &[&str]) -> Capacity {
    Capacity::Available(Arc::new(
        ids.iter()
            .map(|id| (*id).to_owned())
            .collect::<BTreeSet<_>>(),
    ))
}

fn asks(decision: &Decision) -> bool {
    decision.step == Step::Call(ApiCall::FetchCapacity)
}

/// The resource is told why it waits, keeps no lists at the active interval, and looks again by itself.
fn waits(decision: &Decision, hardware: &str) -> bool {
    let condition = find_condition(&decision.status.conditions, RECONCILING);
    let says = condition.is_some_and(|c| c.message.contains(hardware));
    assert!(decision.look_again.is_some(), "{decision:?}");
    reconciling(decision) == Some("WaitingForCapacity") && says && !decision.busy
}

#[test]
fn the_api_is_asked_before_a_start_and_the_start_waits_for_hardware() {
    let mut scene = Scene::new(json!({}), json!({}));
    scene.capacity = Capacity::NotAsked;
    assert!(asks(&scene.decide()));
    scene.capacity = free(&["NVIDIA_L40S_1"]);
    let decision = scene.decide();
    assert!(waits(&decision, "NVIDIA_L4_1"), "{decision:?}");
    assert_eq!(decision.step, written(Purpose::Report));
    // No list is needed for that, nor a turn.
    scene.list(100, &[]);
    scene.fleet(|fleet| fleet.wait = Some(crate::pacing::pressure::Wait::Turn));
    let decision = scene.decide();
    assert!(waits(&decision, "NVIDIA_L4_1") && decision.list_after.is_none());
    scene.fleet(|fleet| fleet.wait = None);
    scene.list(999, &[]);
    for capacity in [free(&["NVIDIA_L4_1"]), Capacity::Unknown] {
        scene.capacity = capacity;
        let step = scene.decide().step;
        let starts = matches!(step, Step::Write(Write::Status(Purpose::StartIntent(_))));
        assert!(starts, "{step:?}");
    }
}

#[test]
fn pauses_grow_with_the_wait() {
    let mut scene = Scene::new(json!({}), json!({}));
    scene.capacity = free(&[]);
    let decision = scene.decide();
    assert_eq!(decision.look_again, Some(Duration::from_secs(20)));
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    let conditions = scene.resource["status"]["conditions"]
        .as_array_mut()
        .unwrap();
    for condition in conditions {
        condition["lastTransitionTime"] = json!("2026-01-02T23:00:00Z");
    }
    let decision = scene.decide();
    assert_eq!(decision.step, Step::Rest);
    assert_eq!(decision.look_again, Some(Duration::from_secs(300)));
}

#[test]
fn an_instance_that_is_taken_over_needs_no_free_hardware() {
    let mut scene = Scene::new(json!({ "adopt": { "matching": true } }), json!({}));
    scene.account(|account| account.adoption = Adoption::Unclaimed);
    scene.capacity = free(&[]);
    scene.list(999, &[instance("i-1", "running")]);
    scene.quorum_read_at = Some(scene.now);
    let step = scene.decide().step;
    let binds = matches!(step, Step::Write(Write::Status(Purpose::Bind { .. })));
    assert!(binds, "{step:?}");
    scene.list(999, &[]);
    assert!(waits(&scene.decide(), "NVIDIA_L4_1"));
}

/// A resource that is bound to i-1, which was seen in this state.
fn bound(spec: Value, state: &str) -> Scene {
    let args = args();
    let status = json!({ "account": home(), "instanceId": "i-1", "instanceArgs": args, "requestedArgs": args });
    let mut scene = Scene::new(spec, status);
    scene.list(999, &[instance("i-1", state)]);
    scene
}

#[test]
fn a_restart_waits_for_hardware() {
    let mut scene = bound(json!({}), "stopped");
    scene.capacity = Capacity::NotAsked;
    assert!(asks(&scene.decide()));
    scene.capacity = free(&[]);
    assert!(waits(&scene.decide(), "NVIDIA_L4_1"));
    scene.capacity = free(&["NVIDIA_L4_1"]);
    let step = scene.decide().step;
    let restarts = matches!(step, Step::Write(Write::Status(Purpose::RestartIntent(_))));
    assert!(restarts, "{step:?}");
}

#[test]
fn what_runs_is_not_removed_before_there_is_hardware_for_its_replacement() {
    let stop = Step::Call(ApiCall::Stop {
        instance_id: "i-1".into(),
    });
    let other = json!({ "hardwareTypeId": "NVIDIA_L40S_1", "contextLength": 16_000 });
    let mut scene = bound(other, "running");
    let mut model = (*model().unwrap()).clone();
    let configs = model.hardware_configs.as_mut().unwrap();
    configs.insert("NVIDIA_L40S_1".into(), HardwareConfig::default());
    scene.model = Some(Ok(Arc::new(model)));
    scene.capacity = Capacity::NotAsked;
    assert!(asks(&scene.decide()));
    scene.capacity = free(&["NVIDIA_L4_1"]);
    assert!(waits(&scene.decide(), "NVIDIA_L40S_1"));
    scene.capacity = free(&["NVIDIA_L40S_1"]);
    assert_eq!(scene.decide().step, stop);
    // With the same hardware and no more workers it gives back what the next one needs.
    let mut scene = bound(json!({ "billingInterval": "per_hour" }), "running");
    scene.capacity = free(&[]);
    assert_eq!(scene.decide().step, stop);
    let mut scene = bound(json!({ "numWorkers": 2 }), "running");
    scene.capacity = free(&[]);
    assert!(waits(&scene.decide(), "NVIDIA_L4_1"));
    scene.capacity = free(&["NVIDIA_L4_1"]);
    assert_eq!(scene.decide().step, stop);
}
