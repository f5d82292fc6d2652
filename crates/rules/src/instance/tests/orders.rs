//! A person orders to try now: nothing that failed before is waited for.

use cortecs_resources::{
    annotations::{REQUESTED_AT, RESTARTED_AT},
    reason::Reason,
};

use super::*;
use crate::facts::failure::{Failure, FailureKind};

/// A resource whose start was refused for ten minutes.
fn refused() -> Scene {
    let mut scene = Scene::new(json!({}), json!({}));
    scene.observe();
    let memory = scene.memory.as_mut().unwrap();
    memory.fruitless = 3;
    memory.write_failures = 5;
    memory.write_retry_at = at(1600);
    memory.failure = Some(Failure {
        kind: FailureKind::Terminal,
        reason: Reason::InvalidArguments,
        message: "no".to_owned(),
        generation: 1,
        failed_at: at(999),
        retry_at: at(1599),
        count: 7,
    });
    scene
}

fn takes_order(scene: &mut Scene) -> bool {
    let resource = scene.parsed();
    scene.memory.as_mut().unwrap().takes_order(&resource)
}

#[test]
fn an_order_is_taken_once() {
    for annotation in [REQUESTED_AT, RESTARTED_AT] {
        let mut scene = refused();
        assert!(!takes_order(&mut scene));
        assert_eq!(stalled(&scene.decide()), Some("InvalidArguments"));
        let mut scene = scene.annotated(annotation, "now");
        assert!(takes_order(&mut scene), "{annotation}");
        let memory = scene.memory.as_ref().unwrap();
        assert_eq!((&memory.failure, memory.fruitless), (&None, 0));
        assert_eq!((memory.write_failures, memory.write_retry_at), (0, at(0)));
        scene.lists([1002], &[]);
        let decision = scene.decide();
        assert!(decision.status.slot().start.is_some(), "{annotation}");
        // What fails from now on is waited for.
        assert!(!takes_order(&mut scene));
        let mut scene = scene.annotated(annotation, "now, again");
        assert!(takes_order(&mut scene), "{annotation}");
    }
}

#[test]
fn an_order_that_was_handled_before_this_process_began_is_none() {
    for (annotation, handled) in [
        (REQUESTED_AT, "lastHandledRequestAt"),
        (RESTARTED_AT, "lastHandledRestartAt"),
    ] {
        let mut scene = refused().annotated(annotation, "before");
        scene.resource["status"][handled] = json!("before");
        assert!(!takes_order(&mut scene), "{annotation}");
        let mut scene = scene.annotated(annotation, &"x".repeat(257));
        assert!(!takes_order(&mut scene), "too long to be looked at");
    }
}
