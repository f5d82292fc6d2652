//! The API took a stop or a delete and does not say what came of it: a list has to show it, and nothing is repeated meanwhile.

use super::{
    bound::{seen, stop},
    *,
};
use crate::facts::bound::Bound;

fn scene(spec: Value) -> Scene {
    seen(spec, "running")
}

impl Scene {
    fn now_at(&mut self, second: u64) -> &mut Self {
        self.now = at(second);
        self
    }

    fn bound_of(&mut self) -> &mut Bound {
        self.memory_of_bound()
    }

    /// The API took a stop, answered at this second.
    fn stop_accepted(&mut self, second: u64) {
        let bound = self.bound_of();
        (bound.stop_accepted, bound.removal_tried) = (true, true);
        bound.stops += 1;
        bound.called = Some(at(second));
    }

    fn delete_accepted(&mut self, second: u64, count: u32) {
        let bound = self.bound_of();
        bound.removal_tried = true;
        bound.delete_accepted = Some((at(second), count));
    }

    /// Nothing is called; a list that begins after this second is asked for.
    fn waits_for_list(&mut self, after: u64) {
        let decision = self.decide();
        assert!(!decision.step.is_call(), "{:?}", decision.step);
        assert_eq!(decision.list_after, Some(at(after)));
        assert!(decision.busy && decision.look_again.is_some());
    }
}

fn delete() -> Step {
    Step::Call(ApiCall::Delete {
        instance_id: "i-1".into(),
    })
}

#[test]
fn of_a_deleted_resource_the_stop_is_waited_for_and_then_made_again() {
    let mut scene = scene(json!({ "deletionPolicy": "Delete" })).deleting();
    assert_eq!(scene.decide().step, stop());
    scene.stop_accepted(1002);
    scene.now_at(1010).waits_for_list(1002);
    // Two seconds later the stop may be made again, if a later list shows that it was of no effect.
    scene.lists([1003], &[instance("i-1", "running")]);
    scene.now_at(1003).waits_for_list(1002);
    assert_eq!(scene.now_at(1004).decide().step, stop());
    scene.stop_accepted(1004);
    scene.lists([1007], &[instance("i-1", "running")]);
    scene.now_at(1007).waits_for_list(1004);
    scene.lists([1007, 1008], &[instance("i-1", "stopped")]);
    assert_eq!(scene.decide().step, delete());
}

#[test]
fn a_delete_is_waited_for_and_then_made_again() {
    let mut scene = scene(json!({ "deletionPolicy": "Delete" })).deleting();
    scene.bound_of().stop_answered = true;
    assert_eq!(scene.decide().step, delete());
    scene.delete_accepted(1002, 1);
    scene.now_at(1030).waits_for_list(1002);
    scene.lists([1031], &[instance("i-1", "stopped")]);
    assert_eq!(scene.now_at(1031).decide().step, delete());
    scene.delete_accepted(1032, 2);
    scene.lists([1033], &[instance("i-1", "stopped")]);
    scene.now_at(1033).waits_for_list(1032);
}

#[test]
fn what_lists_lack_after_that_has_to_be_gone_by_the_rule() {
    let mut scene = scene(json!({ "deletionPolicy": "Delete" })).deleting();
    scene.bound_of().stop_answered = true;
    scene.delete_accepted(1002, 1);
    scene.lists([1003], &[]);
    scene.now_at(1100).waits_for_list(1002);
    scene.lists([1004], &[]);
    scene.now_at(1101).waits_for_list(1002);
    scene.now_at(SETTLED + 2);
    assert!(matches!(
        scene.decide().step,
        Step::Call(ApiCall::Get { .. })
    ));
    scene.bound_of().lookup_failed = true;
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
}

#[test]
fn while_the_account_is_on_hold_the_calls_are_repeated_with_pauses() {
    for stops in [true, false] {
        let mut scene = scene(json!({ "deletionPolicy": "Delete" })).deleting();
        match stops {
            true => scene.stop_accepted(1002),
            false => {
                scene.bound_of().stop_answered = true;
                scene.delete_accepted(1002, 1);
            }
        }
        scene.lists([1003], &[]);
        scene.hold(true);
        let wanted = if stops { stop() } else { delete() };
        assert!(!scene.now_at(1003).decide().step.is_call());
        assert_eq!(scene.now_at(1005).decide().step, wanted);
    }
}

#[test]
fn a_replacement_deletes_once_and_starts_when_the_old_instance_is_gone() {
    let mut scene = scene(json!({ "numWorkers": 2 }));
    assert_eq!(scene.decide().step, stop());
    scene.stop_accepted(1002);
    scene.now_at(1003).waits_for_list(1002);
    scene.lists([1004], &[instance("i-1", "stopped")]);
    assert_eq!(scene.now_at(1004).decide().step, delete());
    scene.delete_accepted(1005, 1);
    scene.now_at(1020).waits_for_list(1005);
    scene.lists([1021], &[instance("i-1", "stopped")]);
    assert_eq!(scene.decide().step, delete());
    scene.delete_accepted(1022, 2);
    scene.now_at(SETTLED + 1);
    scene.lists([1200, 1201], &[]);
    assert!(matches!(
        scene.decide().step,
        Step::Call(ApiCall::Get { .. })
    ));
    scene.bound_of().lookup_failed = true;
    assert_eq!(scene.decide().step, written(Purpose::Unbind));
}

/// What this operator has deleted, nobody else has.
#[test]
fn a_delete_that_the_api_took_is_no_drift() {
    for is_accepted in [true, false] {
        let mut scene = scene(json!({ "numWorkers": 2, "driftPolicy": "Accept" }));
        slot(&mut scene.resource)["reachedGeneration"] = json!(1);
        if is_accepted {
            scene.delete_accepted(1005, 1);
        }
        scene.now_at(SETTLED + 1);
        scene.lists([1200, 1201], &[]);
        scene.bound_of().lookup_failed = true;
        let decision = scene.decide();
        assert_eq!(decision.step, written(Purpose::Unbind));
        let reason =
            find_condition(&decision.status.conditions, "Ready").map(|c| c.reason.as_str());
        assert_eq!(reason == Some("DriftAccepted"), !is_accepted, "{reason:?}");
    }
}
