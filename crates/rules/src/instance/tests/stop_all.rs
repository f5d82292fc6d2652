//! The account orders to stop everything, or has done so.

use cortecs_resources::conditions::READY;

use super::{bound::seen, *};
use crate::facts::stop_order::StopOrder;

/// A resource that leaves what others stop as it is. Its status shows this state; the instance is stopped by now.
fn accepting(shown: &str) -> Scene {
    let mut scene = seen(json!({ "driftPolicy": "Accept" }), "stopped");
    scene.resource["status"]["instanceStatus"] = json!({ "status": shown });
    slot(&mut scene.resource)["reachedGeneration"] = json!(1);
    slot(&mut scene.resource)["lastStartTime"] = json!("2026-01-01T00:00:00Z");
    scene
}

fn order(scene: &mut Scene, ended: Option<&str>) {
    let ended = ended.map(|ended| ended.parse().unwrap());
    scene.fleet(|fleet| fleet.stop = Some(StopOrder { ended }));
}

fn ready(decision: &Decision) -> &str {
    &find_condition(&decision.status.conditions, READY)
        .unwrap()
        .reason
}

fn restarts(decision: &Decision) -> bool {
    matches!(
        decision.step,
        Step::Write(Write::Status(Purpose::RestartIntent(_)))
    )
}

/// The next decision, after the status was written.
fn then(scene: &mut Scene, decision: Decision) -> Decision {
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    scene.decide()
}

#[test]
fn nothing_is_started_or_restarted_until_the_mode_is_active_again() {
    for state in ["pending", "running"] {
        let mut scene = seen(json!({}), "stopped");
        scene.resource["status"]["instanceStatus"] = json!({ "status": state });
        scene.account(|a| a.mode = AccountMode::StopAll);
        order(&mut scene, None);
        let decision = scene.decide();
        assert_eq!(stalled(&decision), Some("AccountHeld"));
        let decision = then(&mut scene, decision);
        assert_eq!((decision.step.clone(), decision.busy), (Step::Rest, false));
        scene.account(|a| a.mode = AccountMode::Active);
        assert!(restarts(&then(&mut scene, decision)));
    }
}

#[test]
fn an_ordered_stop_is_no_drift_and_what_others_stopped_before_is() {
    // Without an order it is left so.
    assert_eq!(ready(&accepting("running").decide()), "DriftAccepted");
    let mut scene = accepting("running");
    scene.account(|a| a.mode = AccountMode::StopAll);
    order(&mut scene, None);
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("AccountHeld"));
    assert_eq!(decision.status.slot().reached_generation, None);
    // The record of the order may be gone by then.
    scene.account(|a| a.mode = AccountMode::Active);
    scene.fleet(|fleet| fleet.stop = None);
    assert!(restarts(&then(&mut scene, decision)));

    // It was stopped before the order, and is left so.
    let mut before = accepting("stopped");
    order(&mut before, None);
    assert_eq!(ready(&before.decide()), "DriftAccepted");
}

#[test]
fn a_stop_that_is_first_seen_after_the_order_is_explained_by_its_record() {
    for (ended, expected) in [
        ("2026-01-02T00:00:00Z", true),
        // It was started long after that order.
        ("2025-12-31T00:00:00Z", false),
    ] {
        let mut scene = accepting("running");
        order(&mut scene, Some(ended));
        let decision = scene.decide();
        assert_eq!(
            restarts(&decision),
            expected,
            "{ended}: {:?}",
            decision.step
        );
        assert_eq!(ready(&decision) == "DriftAccepted", !expected);
    }
}

#[test]
fn a_stopped_or_suspended_resource_is_not_run_by_the_end_of_the_order() {
    for spec in [json!({ "state": "Stopped" }), json!({ "suspend": true })] {
        let mut scene = seen(spec, "stopped");
        scene.resource["status"]["instanceStatus"] = json!({ "status": "running" });
        order(&mut scene, Some("2026-01-02T00:00:00Z"));
        let decision = scene.decide();
        assert_eq!(decision.step, written(Purpose::Report));
        assert_eq!(then(&mut scene, decision).step, Step::Rest);
    }
}

#[test]
fn the_account_whose_mode_holds_is_named() {
    let mut scene = seen(json!({}), "stopped");
    scene.account(|account| {
        account.mode = AccountMode::StopAll;
        account.mode_of = Some(Box::new(ObjectKey::new("ns", "second")));
    });
    let decision = scene.decide();
    let ready = find_condition(&decision.status.conditions, READY).unwrap();
    let says = "account ns/second has mode StopAll";
    assert!(ready.message.contains(says), "{}", ready.message);
}
