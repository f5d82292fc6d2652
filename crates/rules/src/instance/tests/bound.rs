//! What a bound instance needs.

use cortecs_resources::{conditions::READY, reason::Reason};

use super::*;
use crate::facts::failure::Failure;

pub(super) fn bound(spec: Value) -> Scene {
    Scene::new(
        spec,
        json!({ "account": home(), "instanceId": "i-1", "instanceArgs": args(), "requestedArgs": asked() }),
    )
}

/// The default spec's arguments, as it states them.
pub(super) fn asked() -> Value {
    json!({ "modelId": "org--name", "billingInterval": "per_minute", "numWorkers": 1 })
}

/// A bound instance in this state, listed at second 1001.
pub(super) fn seen(spec: Value, state: &str) -> Scene {
    let mut scene = bound(spec);
    scene.observe();
    scene.lists([1001], &[instance("i-1", state)]);
    scene
}

pub(super) fn stop() -> Step {
    Step::Call(ApiCall::Stop {
        instance_id: "i-1".into(),
    })
}

#[test]
fn a_running_instance_is_shown_and_then_left_alone() {
    let mut scene = seen(json!({}), "running");
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    assert_eq!(
        decision.status.base_url.as_deref(),
        Some("https://i.example/v1")
    );
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    let again = scene.decide();
    assert_eq!(
        (again.step, again.busy, again.list_after, again.look_again),
        (Step::Rest, false, None, None)
    );
}

/// A stop that is refused or takes its time, for five minutes of lists every 5 s.
#[test]
fn while_a_stop_takes_its_time_no_list_is_asked_for_beyond_the_one_after_it() {
    let mut scene = seen(json!({ "state": "Stopped" }), "running");
    let (mut stops, mut asked) = (0, 0);
    for second in (1002..1302).step_by(5) {
        scene.lists([second], &[instance("i-1", "running")]);
        let decision = scene.decide();
        if decision.step == stop() {
            stops += 1;
            let memory = scene.memory_of_bound();
            memory.called = Some(at(second + 1));
            memory.stops += 1;
        }
        scene.now = at(second + 2);
        let after = scene.decide();
        asked += u32::from(scene.asks_for_list(&after));
        assert!(after.busy);
    }
    assert!((5..10).contains(&stops), "{stops} stops");
    assert_eq!(asked, stops, "lists asked for");
}

/// What somebody stopped stays stopped, and is not deleted.
#[test]
fn accepted_drift_goes_before_a_replacement() {
    let spec = json!({ "driftPolicy": "Accept", "updateStrategy": { "type": "OnDelete" }, "numWorkers": 2 });
    let mut scene = seen(spec, "stopped");
    slot(&mut scene.resource)["reachedGeneration"] = json!(1);
    scene.observe();
    let decision = scene.decide();
    assert!(!decision.step.is_call(), "{:?}", decision.step);
    let ready = find_condition(&decision.status.conditions, READY).unwrap();
    assert_eq!(ready.reason, "DriftAccepted");
}

/// The deadline is that of an attempt. An instance that was usable since has a new one from the moment it ceases to be.
#[test]
fn what_was_usable_for_days_gets_its_deadline_anew() {
    let mut scene = seen(json!({ "progressDeadlineSeconds": 60 }), "pending");
    slot(&mut scene.resource)["lastStartTime"] = json!("2025-12-01T00:00:00Z");
    slot(&mut scene.resource)["reachedGeneration"] = json!(1);
    available_since(&mut scene, "True", "2025-12-01T00:05:00Z");
    let decision = scene.decide();
    assert_eq!(reconciling(&decision), Some("Starting"));
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    assert_eq!(reconciling(&scene.decide()), Some("Starting"));
    available_since(&mut scene, "False", "2026-01-02T23:58:59Z");
    assert_eq!(stalled(&scene.decide()), Some("ProgressDeadlineExceeded"));
}

/// It was usable for a moment while something else was being recorded.
#[test]
fn what_was_usable_before_it_was_ready_gets_its_deadline_anew_too() {
    let mut scene = seen(json!({ "progressDeadlineSeconds": 60 }), "pending");
    slot(&mut scene.resource)["lastStartTime"] = json!("2026-01-02T23:58:00Z");
    available_since(&mut scene, "True", "2026-01-02T23:59:00Z");
    assert_eq!(reconciling(&scene.decide()), Some("Starting"));
    available_since(&mut scene, "False", "2026-01-02T23:59:30Z");
    assert_eq!(reconciling(&scene.decide()), Some("Starting"));
}

/// The status has the condition `Available` since then.
fn available_since(scene: &mut Scene, status: &str, since: &str) {
    scene.resource["status"]["conditions"] = json!([{
        "type": "Available", "status": status, "reason": "WorkersNotReady", "message": "", "lastTransitionTime": since,
    }]);
}

#[test]
fn progress_is_shown_until_the_deadline() {
    let mut scene = seen(json!({ "progressDeadlineSeconds": 60 }), "pending");
    let decision = scene.decide();
    assert_eq!(decision.status.progress.as_deref(), Some("2/5"));
    assert_eq!(reconciling(&decision), Some("Starting"));
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    slot(&mut scene.resource)["lastStartTime"] = json!("2026-01-02T23:58:59Z");
    available_since(&mut scene, "False", "2026-01-02T23:58:59Z");
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("ProgressDeadlineExceeded"));
    assert!(decision.busy, "it is still being watched");
}

#[test]
fn a_stop_is_ordered_once_and_then_awaited() {
    let mut scene = seen(json!({ "state": "Stopped" }), "running");
    assert_eq!(scene.decide().step, stop());
    let memory = scene.memory_of_bound();
    memory.called = Some(at(1002));
    memory.stops = 1;
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    assert!(
        scene.asks_for_list(&decision),
        "what is seen is older than the stop"
    );
    scene.lists([1003], &[instance("i-1", "running")]);
    let decision = scene.decide();
    assert_ne!(
        decision.step,
        stop(),
        "the list may lag: it is stopped again later"
    );
    assert!(
        !scene.asks_for_list(&decision) && decision.busy,
        "the stop may take its time: lists come at the active interval"
    );
    scene.now = at(1005);
    assert_eq!(scene.decide().step, stop());
    scene.lists([1005], &[instance("i-1", "stopped")]);
    assert_eq!(
        scene.decide().status.phase,
        Some(cortecs_resources::instance_status::Phase::Stopped)
    );
}

#[test]
fn a_model_that_the_catalog_does_not_know_takes_nothing_down() {
    let spec = json!({ "hardwareTypeId": "NVIDIA_L4_1", "contextLength": 16_000, "numWorkers": 2 });
    let mut scene = seen(spec, "running");
    scene.model = None;
    assert!(matches!(
        scene.decide().step,
        Step::Call(ApiCall::FetchModel { .. })
    ));
    scene.model = Some(Err(CatalogProblem {
        terminal: true,
        message: "no such model".into(),
        nearest: Vec::new(),
    }));
    assert_eq!(stalled(&scene.decide()), Some("InvalidArguments"));
    scene.model = Some(model());
    assert_eq!(scene.decide().step, stop());
}

#[test]
fn changed_arguments_replace_the_instance_if_what_replaces_it_is_sound() {
    let mut scene = seen(json!({ "numWorkers": 2 }), "running");
    assert_eq!(scene.decide().step, stop());
    scene.lists([1003], &[instance("i-1", "stopped")]);
    let delete = Step::Call(ApiCall::Delete {
        instance_id: "i-1".into(),
    });
    assert_eq!(scene.decide().step, delete);
    scene.memory_of_bound().deleted = true;
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Unbind));
    assert!(decision.status.instance_id.is_none() && decision.status.account.is_none());

    let mut unsound = seen(json!({ "numWorkers": 2, "hardwareTypeId": "X" }), "running");
    let decision = unsound.decide();
    assert_eq!(stalled(&decision), Some("InvalidArguments"));
    let mut later = seen(
        json!({ "numWorkers": 2, "updateStrategy": { "type": "OnDelete" } }),
        "running",
    );
    assert_eq!(later.decide().step, written(Purpose::Report));
}

#[test]
fn drift_is_reverted_or_accepted() {
    let ran = |spec| {
        let mut scene = seen(spec, "running");
        let status = scene.decide().status;
        scene.resource["status"] = serde_json::to_value(status).unwrap();
        scene.lists([1002], &[instance("i-1", "stopped")]);
        scene
    };
    let mut scene = ran(json!({}));
    assert!(matches!(
        scene.decide().step,
        Step::Write(Write::Status(Purpose::RestartIntent(_)))
    ));

    let mut scene = ran(json!({ "driftPolicy": "Accept" }));
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    assert_eq!(scene.decide().step, Step::Rest);
    // A change of the spec, or a restart asked for, ends that.
    let mut scene = scene.annotated("cortecs.ai/restartedAt", "now");
    assert!(matches!(
        scene.decide().step,
        Step::Write(Write::Status(Purpose::RestartIntent(_)))
    ));
}

#[test]
fn accepted_drift_outlasts_other_trouble_and_the_instances_end() {
    let mut scene = seen(json!({ "driftPolicy": "Accept" }), "running");
    let mut status = scene.decide().status;
    for seconds in [[1002, 1003], [1200, 1201]] {
        scene.resource["status"] = serde_json::to_value(&status).unwrap();
        scene.lists(seconds, &[]);
        let decision = scene.decide();
        assert_eq!(reconciling(&decision), Some("InstanceMissing"));
        status = decision.status;
    }
    scene.memory_of_bound().lookup_failed = true;
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Unbind));
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    assert!(scene.decide().status.slot().start.is_none());
}

#[test]
fn what_the_api_took_otherwise_is_no_reason_to_replace() {
    let mut scene = bound(json!({ "contextLength": 33_000 }));
    slot(&mut scene.resource)["requestedArgs"]["contextLength"] = json!(33_000);
    scene.observe();
    scene.lists([1001], &[instance("i-1", "running")]);
    assert_eq!(scene.decide().step, written(Purpose::Report));
    scene.resource["spec"]["contextLength"] = json!(12_000);
    assert_eq!(scene.decide().step, stop());
}

#[test]
fn an_instance_is_gone_after_two_lists_a_failed_get_and_the_settle_time() {
    let mut scene = bound(json!({}));
    scene.observe();
    scene.lists([1001], &[]);
    let decision = scene.decide();
    assert!(decision.busy && reconciling(&decision) == Some("InstanceMissing"));
    scene.lists([1002], &[]);
    assert!(
        matches!(
            scene.decide().step,
            Step::Write(Write::Status(Purpose::Report))
        ),
        "the settle time has not passed"
    );
    scene.now = at(1000 + SETTLE.as_secs());
    let get = Step::Call(ApiCall::Get {
        instance_id: "i-1".into(),
    });
    assert_eq!(scene.decide().step, get);
    scene.memory_of_bound().lookup_failed = true;
    assert_eq!(scene.decide().step, written(Purpose::Unbind));
    // Shown once more, it starts all over.
    let now = scene.now.since_boot().as_secs();
    scene.lists([now + 1], &[instance("i-1", "running")]);
    scene.lists([now + 2, now + 3], &[]);
    assert_eq!(scene.decide().step, get);
}

#[test]
fn of_two_resources_with_one_instance_the_younger_never_touches_it() {
    let mut scene = seen(json!({ "state": "Stopped" }), "running");
    let older = resource(
        "older",
        json!({}),
        json!({ "account": home(), "instanceId": "i-1" }),
    );
    scene.others = vec![older];
    scene.others[0]["metadata"]["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
    assert_eq!(stalled(&scene.decide()), Some("InstanceClaimed"));
    scene.others[0]["metadata"]["creationTimestamp"] = json!("2027-01-01T00:00:00Z");
    assert_eq!(scene.decide().step, stop());
}

#[test]
fn suspended_resources_only_watch() {
    for (spec, state) in [
        (json!({ "suspend": true, "state": "Stopped" }), "running"),
        (json!({ "suspend": true }), "stopped"),
        (json!({ "suspend": true, "numWorkers": 4 }), "running"),
    ] {
        assert_eq!(seen(spec, state).decide().step, written(Purpose::Report));
    }
}

#[test]
fn a_failed_call_is_tried_again_after_its_wait() {
    let mut scene = seen(json!({ "state": "Stopped" }), "running");
    scene.memory.as_mut().unwrap().failure = Some(Failure {
        kind: crate::facts::failure::FailureKind::Transient,
        reason: Reason::RetryingAfterError,
        message: "stop instance failed: HTTP 503".into(),
        generation: 1,
        failed_at: at(1001),
        retry_at: at(1010),
        count: 1,
    });
    let decision = scene.decide();
    assert_eq!(reconciling(&decision), Some("RetryingAfterError"));
    assert_eq!(decision.look_again, Some(Duration::from_secs(9)));
    scene.now = at(1010);
    assert_eq!(scene.decide().step, stop());
}

#[test]
fn without_news_nothing_is_changed() {
    let mut scene = bound(json!({}));
    scene.resource["status"]["observedGeneration"] = json!(1);
    scene.view.fleet = Some(FleetView::default());
    let decision = scene.decide();
    assert_eq!(decision.step, Step::Rest);
    assert!(scene.asks_for_list(&decision));
    // Nor before the account was checked, or while it cannot be.
    scene.view.fleet = None;
    for unchecked in [true, false] {
        scene.view.unchecked = unchecked;
        scene.view.desired = Desired::Pending("the Secret cannot be read".to_owned());
        assert_eq!(scene.decide().step, Step::Rest);
    }
    // A new spec is answered.
    scene.resource["metadata"]["generation"] = json!(2);
    assert_eq!(reconciling(&scene.decide()), Some("WaitingForAccount"));
}

#[test]
fn a_reconcile_that_was_asked_for_is_handled_by_a_later_list() {
    let mut scene = seen(json!({}), "running").annotated("cortecs.ai/requestedAt", "1");
    scene.now = at(1002);
    let decision = scene.decide();
    assert!(scene.asks_for_list(&decision) && decision.status.last_handled_request_at.is_none());
    scene.lists([1003], &[instance("i-1", "running")]);
    assert_eq!(
        scene.decide().status.last_handled_request_at.as_deref(),
        Some("1")
    );
}
