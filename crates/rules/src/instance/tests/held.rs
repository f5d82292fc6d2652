//! While the account is on hold nothing is started, and absence proves nothing.

use cortecs_resources::reason::Reason;

use super::*;

fn bound(spec: Value, state: &str) -> Scene {
    let status = json!({
        "account": home(), "instanceId": "i-1", "instanceArgs": args(), "requestedArgs": args(),
        "instanceStatus": { "status": state }, "reachedGeneration": 1,
    });
    let mut scene = Scene::new(spec, status);
    scene.observe();
    scene.hold(true);
    scene
}

fn is_held(decision: &Decision) -> bool {
    decision.step == written(Purpose::Report) && stalled(decision) == Some("AccountHeld")
}

#[test]
fn nothing_is_started_restarted_or_replaced() {
    let mut fresh = Scene::new(json!({}), json!({}));
    fresh.hold(true);
    assert!(is_held(&fresh.decide()));

    let mut stopped = bound(json!({}), "running");
    stopped.lists([1001], &[instance("i-1", "stopped")]);
    let decision = stopped.decide();
    assert!(is_held(&decision), "{:?}", decision.step);
    let shown = decision.status.instance_status.as_ref().unwrap();
    assert_eq!(shown.status, "stopped", "what is true is shown");

    let mut changed = bound(json!({ "numWorkers": 2 }), "running");
    changed.lists([1001], &[instance("i-1", "running")]);
    assert!(is_held(&changed.decide()));
}

#[test]
fn what_was_written_ahead_is_taken_back() {
    let status = json!({ "account": home(), "start": intent(5, "2026-01-02T00:00:00Z", &[]) });
    let mut scene = Scene::new(json!({}), status);
    scene.remember_start(Outcome::Written);
    assert!(matches!(
        scene.decide().step,
        Step::Call(ApiCall::Start { .. })
    ));
    scene.hold(true);
    assert_eq!(scene.decide().step, written(Purpose::DropStart));
}

#[test]
fn what_runs_goes_on_and_ordered_stops_do_too() {
    let mut running = bound(json!({}), "running");
    running.lists([1001], &[instance("i-1", "running")]);
    assert_eq!(stalled(&running.decide()), None);

    let mut unwanted = bound(json!({ "state": "Stopped" }), "running");
    unwanted.lists([1001], &[instance("i-1", "running")]);
    assert!(matches!(
        unwanted.decide().step,
        Step::Call(ApiCall::Stop { .. })
    ));
}

#[test]
fn what_lists_lack_is_not_gone_and_that_is_recorded() {
    let mut scene = bound(json!({}), "running");
    scene.lists([SETTLED + 1, SETTLED + 2, SETTLED + 3], &[]);
    scene.memory_of_bound().lookup_failed = true;
    let decision = scene.decide();
    assert!(is_held(&decision), "{:?}", decision.step);
    assert!(decision.status.slot().missing_since.is_some());
    assert_eq!(decision.status.instance_id.as_deref(), Some("i-1"));

    // It is back: nothing is missing any more.
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    let mut back = scene;
    back.lists([SETTLED + 4], &[instance("i-1", "running")]);
    assert_eq!(back.decide().status.slot().missing_since, None);

    // Or the hold ends without it.
    back.lists([SETTLED + 5, SETTLED + 6], &[]);
    back.hold(false);
    assert!(matches!(
        back.decide().step,
        Step::Call(ApiCall::Get { .. })
    ));
}

#[test]
fn a_restart_whose_instance_is_missing_waits() {
    let mut scene = bound(json!({}), "stopped");
    slot(&mut scene.resource)["restart"] =
        json!({ "id": Uuid::from_u128(9), "requestedAt": "2026-01-02T00:00:00Z" });
    scene.observe();
    scene.lists([SETTLED + 1, SETTLED + 2], &[]);
    scene.memory_of_bound().lookup_failed = true;
    assert!(is_held(&scene.decide()));
    scene.hold(false);
    assert_eq!(scene.decide().step, written(Purpose::Unbind));
}

#[test]
fn an_open_start_is_not_given_up_but_may_be_found() {
    let status = json!({ "account": home(), "start": intent(5, "2026-01-02T00:00:00Z", &[]) });
    let mut scene = Scene::new(json!({}), status);
    scene.observe();
    scene.hold(true);
    scene.lists([SETTLED + 1, SETTLED + 2], &[]);
    scene.quorum_read_at = Some(at(SETTLED + 2));
    let decision = scene.decide();
    assert!(is_held(&decision) && decision.status.slot().start.is_some());

    scene.lists([SETTLED + 3], &[instance("i-1", "running")]);
    scene.quorum_read_at = Some(at(SETTLED + 3));
    scene.found(&["i-1"]);
    let step = scene.decide().step;
    assert!(
        matches!(step, Step::Write(Write::Status(Purpose::Bind { .. }))),
        "{step:?}"
    );
}

#[test]
fn a_delete_is_done_only_by_its_own_answer() {
    let mut scene = bound(json!({}), "running").deleting();
    scene.lists([SETTLED + 1, SETTLED + 2], &[]);
    assert!(matches!(
        scene.decide().step,
        Step::Call(ApiCall::Stop { .. })
    ));
    let remembered = scene.memory_of_bound();
    (remembered.removal_tried, remembered.lookup_failed) = (true, true);
    remembered.stop_answered = true;
    assert!(
        matches!(scene.decide().step, Step::Call(ApiCall::Delete { .. })),
        "it is tried on"
    );
    scene.memory.as_mut().unwrap().failure = Some(crate::facts::failure::Failure {
        kind: crate::facts::failure::FailureKind::Transient,
        reason: Reason::RetryingAfterError,
        message: "not found".into(),
        generation: 1,
        failed_at: scene.now,
        retry_at: scene.now.after(Duration::from_secs(20)),
        count: 1,
    });
    let decision = scene.decide();
    assert!(is_held(&decision), "{:?}", decision.step);
    let message = &find_condition(&decision.status.conditions, STALLED)
        .unwrap()
        .message;
    assert!(message.contains("is on hold"), "{message}");
    assert_eq!(decision.look_again, Some(Duration::from_secs(20)));

    scene.hold(false);
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
    scene.hold(true);
    scene.memory_of_bound().deleted = true;
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
}
