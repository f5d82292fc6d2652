//! What is refused or has no effect is tried again later, not at once, and what is not done says why.

use cortecs_resources::conditions::READY;

use super::*;
use crate::{
    facts::failure::FailureKind,
    instance::record_write::{self, NotTaken},
};

/// What Kubernetes refuses.
fn refusal(message: &str) -> NotTaken {
    NotTaken {
        is_refused: true,
        message: message.to_owned(),
        generation: 1,
    }
}

/// A resource that is being deleted and leaves its instance behind, while another start is open that has to be told.
fn leaving() -> (Scene, Step) {
    let status = json!({ "account": home(), "instanceId": "i-1" });
    let mut scene = Scene::new(json!({ "deletionPolicy": "Orphan" }), status).deleting();
    scene.list(999, &[instance("i-1", "running")]);
    let start = intent(9, "2026-01-01T00:00:00Z", &[]);
    let status = json!({ "account": home(), "start": start });
    scene.others = vec![resource("open", json!({}), status)];
    let tells = Step::Write(Write::LetGo {
        start_of: ObjectKey::new("ns", "open"),
        intent: Uuid::from_u128(9),
        digest: digest(Uuid::from_u128(9), "i-1"),
    });
    (scene, tells)
}

#[test]
fn a_change_of_another_resource_that_is_refused_is_shown_and_tried_again_later_each_time() {
    let (mut scene, tells) = leaving();
    assert_eq!(scene.decide().step, tells);
    for (refused, pause) in [(1000, 2), (1010, 4), (1020, 8)] {
        scene.now = at(refused);
        let memory = scene.memory.as_mut().unwrap();
        record_write::not_taken(memory, refusal("ns/open: denied"), at(refused), 1.0);
        let decision = scene.decide();
        assert_eq!(stalled(&decision), Some("WriteRefused"));
        let ready = find_condition(&decision.status.conditions, READY).unwrap();
        assert_eq!(ready.message, "ns/open: denied");
        assert_eq!(decision.step, written(Purpose::Report));
        assert_eq!(decision.look_again, Some(Duration::from_secs(pause)));
        scene.now = at(refused + pause);
        assert_eq!(scene.decide().step, tells);
    }
}

/// A refusal by the API of an earlier call does not keep a deletion.
#[test]
fn a_lasting_failure_of_a_call_keeps_nobody_from_telling_another_start() {
    let (mut scene, tells) = leaving();
    scene.observe();
    let memory = scene.memory.as_mut().unwrap();
    let failed = NotTaken {
        is_refused: false,
        ..refusal("the API refused a call")
    };
    record_write::not_taken(memory, failed, at(1000), 1.0);
    memory.failure.as_mut().unwrap().kind = FailureKind::Terminal;
    assert_eq!(scene.decide().step, tells);
}

#[test]
fn what_runs_without_its_finalizer_is_stopped_and_nothing_is_started() {
    let status = json!({ "account": home(), "instanceId": "i-1", "instanceArgs": args() });
    let mut scene = Scene::new(json!({ "state": "Stopped" }), status);
    scene.list(999, &[instance("i-1", "running")]);
    scene.resource["metadata"]["finalizers"] = json!([]);
    assert_eq!(scene.decide().step, Step::Write(Write::AddFinalizer));
    scene.observe();
    let memory = scene.memory.as_mut().unwrap();
    record_write::not_taken(memory, refusal("policy.example denied it"), at(1000), 1.0);
    let stop = ApiCall::Stop {
        instance_id: "i-1".into(),
    };
    // The refusal is no failure of the API, which would hold calls up.
    let decision = scene.decide();
    assert_eq!(decision.step, Step::Call(stop));
    let ready = find_condition(&decision.status.conditions, READY).unwrap();
    assert!(
        ready.message.contains("policy.example"),
        "{}",
        ready.message
    );
    // It is stopped by now, and is to run again.
    scene.resource["spec"]["state"] = json!("Running");
    scene.lists([1001], &[instance("i-1", "stopped")]);
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("WriteRefused"));
    assert!(decision.status.slot().restart.is_none());
}

#[test]
fn a_start_that_cannot_be_written_ahead_waits_and_says_why() {
    let mut scene = Scene::new(json!({}), json!({}));
    scene.observe();
    let memory = scene.memory.as_mut().unwrap();
    record_write::not_taken(memory, refusal("start is dropped"), at(1000), 1.0);
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("WriteRefused"));
    assert_eq!(decision.look_again, Some(Duration::from_secs(2)));
    assert!(decision.status.slot().start.is_none());
    scene.lists([1002], &[]);
    assert!(scene.decide().status.slot().start.is_some());
}

#[test]
fn an_annotation_that_is_taken_off_is_written_again_after_a_minute() {
    let status = json!({ "account": home(), "instanceId": "i-1" });
    let mut scene = Scene::new(json!({}), status);
    scene.list(999, &[instance("i-1", "running")]);
    scene.sealed_id = Some(SealedId::None);
    let seal = Step::Write(Write::Seal {
        instance_id: "i-1".into(),
    });
    assert_eq!(scene.decide().step, seal);
    let fails = |scene: &mut Scene, now| {
        let memory = scene.memory.as_mut().unwrap();
        record_write::seal_failed(memory, "no room".to_owned(), at(now));
    };
    fails(&mut scene, 1000);
    for (second, sealed) in [(1000, false), (1059, false), (1060, true)] {
        scene.now = at(second);
        assert_eq!(scene.decide().step == seal, sealed, "{second}");
    }
    // The pauses become longer, up to an hour.
    for _ in 0..10 {
        fails(&mut scene, 1060);
    }
    for (second, sealed) in [(1060 + 3599, false), (1060 + 3600, true)] {
        scene.now = at(second);
        assert_eq!(scene.decide().step == seal, sealed, "{second}");
    }
}

#[test]
fn a_model_that_the_catalog_does_not_have_is_asked_for_every_ten_minutes() {
    let mut scene = Scene::new(json!({}), json!({}));
    scene.model = Some(Err(CatalogProblem {
        terminal: true,
        message: "not found".into(),
        nearest: Vec::new(),
    }));
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("InvalidArguments"));
    assert_eq!(decision.look_again, Some(Duration::from_secs(600)));
    assert!(!decision.busy);
}

#[test]
fn changed_arguments_wait_for_the_end_of_a_suspension_or_for_the_next_start() {
    let status = json!({
        "account": home(), "instanceId": "i-1", "instanceArgs": args(), "requestedArgs": { "modelId": "org/name", "numWorkers": 1 },
    });
    for (spec, says) in [
        (json!({ "suspend": true }), "no longer suspended"),
        (
            json!({ "suspend": true, "updateStrategy": { "type": "OnDelete" } }),
            "no longer suspended",
        ),
        (
            json!({ "updateStrategy": { "type": "OnDelete" } }),
            "OnDelete",
        ),
    ] {
        let mut spec = spec;
        spec["numWorkers"] = json!(4);
        let mut scene = Scene::new(spec, status.clone());
        scene.list(999, &[instance("i-1", "running")]);
        let decision = scene.decide();
        let ready = find_condition(&decision.status.conditions, READY).unwrap();
        let message = &ready.message;
        assert!(message.contains(says), "{message}");
        let speaks_of_both = message.contains("OnDelete") && message.contains("suspended");
        assert!(!speaks_of_both, "{message}");
    }
}
