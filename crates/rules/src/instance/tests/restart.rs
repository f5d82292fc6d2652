//! A bound instance is restarted.

use super::{
    bound::{seen, stop},
    *,
};

#[test]
fn a_restart_is_written_ahead() {
    let mut scene = seen(json!({}), "stopped");
    let decision = scene.decide();
    assert_eq!(
        decision.step,
        Step::Write(Write::Status(Purpose::RestartIntent(scene.fresh_id)))
    );
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();

    // Found open by another process it is resolved by looking.
    scene.lists([1005], &[instance("i-1", "stopped")]);
    assert!(!matches!(
        scene.decide().step,
        Step::Call(ApiCall::Restart { .. })
    ));
    // That it is up may be older than the restart, which may still be on its way.
    scene.lists([1006], &[instance("i-1", "pending")]);
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    assert!(decision.status.slot().restart.is_some());
    assert!(decision.look_again.is_some());
    scene.lists([1190], &[instance("i-1", "running")]);
    assert_eq!(scene.decide().step, written(Purpose::DropRestart));

    scene.lists([1200, 1201], &[instance("i-1", "stopped")]);
    assert_eq!(scene.decide().step, written(Purpose::VoidRestart));
}

#[test]
fn this_processs_own_restart_is_made_once() {
    let mut scene = seen(json!({}), "stopped");
    let decision = scene.decide();
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    let attempt = Attempt::written(scene.fresh_id, scene.now);
    scene.memory.as_mut().unwrap().restart = Some(attempt);
    assert!(matches!(
        scene.decide().step,
        Step::Call(ApiCall::Restart { .. })
    ));
    scene.account(|a| a.mode = AccountMode::Hold);
    assert_eq!(scene.decide().step, written(Purpose::DropRestart));
}

#[test]
fn a_restart_that_was_asked_for_stops_first_and_is_done_once() {
    let mut scene = seen(json!({}), "running").annotated("cortecs.ai/restartedAt", "today");
    assert_eq!(scene.decide().step, stop());
    scene.lists([1003], &[instance("i-1", "stopped")]);
    let decision = scene.decide();
    assert_eq!(
        decision.step,
        Step::Write(Write::Status(Purpose::RestartIntent(scene.fresh_id)))
    );
    assert_eq!(
        decision.status.last_handled_restart_at.as_deref(),
        Some("today")
    );
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    slot(&mut scene.resource)["restart"] = Value::Null;
    scene.lists([1004], &[instance("i-1", "running")]);
    assert_ne!(scene.decide().step, stop());
}

#[test]
fn a_list_from_before_a_restart_does_not_ask_for_another() {
    let mut scene = seen(json!({}), "stopped");
    scene.memory_of_bound().called = Some(at(1002));
    let decision = scene.decide();
    assert!(scene.asks_for_list(&decision) && decision.status.slot().restart.is_none());
    scene.lists([1003], &[instance("i-1", "stopped")]);
    assert!(scene.decide().status.slot().restart.is_some());
}

#[test]
fn hold_and_lost_consent_block_restarts_but_not_stops() {
    for change in [(|a| a.mode = AccountMode::Hold) as fn(&mut Account), |a| {
        a.allowed = false
    }] {
        let mut scene = seen(json!({ "state": "Stopped" }), "running");
        scene.account(change);
        assert_eq!(scene.decide().step, stop());
        let mut scene = seen(json!({}), "stopped");
        scene.account(change);
        assert!(stalled(&scene.decide()).is_some());
        let mut scene = seen(json!({}), "running");
        scene.account(change);
        assert_eq!(stalled(&scene.decide()), None, "what runs goes on");
    }
}
