//! What the open starts of other resources hold up, and what they may have made.

use crate::{facts::memory::WritingStart, pacing::pressure::Wait};

use super::{
    resolve::{is_bind, lost},
    *,
};

pub(super) const WORKERS: [u32; 2] = [1, 2];

/// A resource without an instance that wants one, beside an open start that asks for so many workers.
pub(super) fn beside(workers: u32) -> Scene {
    let mut scene = Scene::new(json!({}), json!({}));
    scene.others = vec![resource("other", json!({}), open(workers, 1))];
    scene.remembered = vec![("other", looked_at(4))];
    scene.observe();
    scene
}

/// What is remembered of an open start of unknown outcome for which so many lists were taken after its settle time.
pub(super) fn looked_at(settled_lists: u32) -> Memory {
    let mut memory = remembered_start(1, 900, Outcome::Unknown(at(1000)));
    memory.start.as_mut().unwrap().settled_lists = settled_lists;
    memory
}

/// The status of an open start.
fn open(workers: u32, id: u128) -> Value {
    let mut start = intent(id, "2026-01-01T00:00:00Z", &[]);
    start["args"]["numWorkers"] = json!(workers);
    json!({ "account": home(), "start": start })
}

/// The memory of a resource for which the intent of a start of so many workers is being written since this second.
pub(super) fn writing_start(workers: u32, second: u64) -> Memory {
    let mut start = intent(1, "2026-01-01T00:00:00Z", &[]);
    start["args"]["numWorkers"] = json!(workers);
    let writing = WritingStart {
        intent: serde_json::from_value(start).unwrap(),
        account: serde_json::from_value(home()).unwrap(),
        since: at(second),
    };
    Memory {
        writing_start: Some(Arc::new(writing)),
        ..Memory::default()
    }
}

/// An instance whose number of workers the answer leaves out.
fn unclear(id: &str) -> Instance {
    let mut unclear = instance(id, "pending");
    unclear.instance_args.num_workers = None;
    unclear
}

/// Decides at this second, on a list of that second, and remembers what is remembered of a decision.
pub(super) fn decide_at(scene: &mut Scene, second: u64, instances: &[Instance]) -> Decision {
    scene.lists([second], instances);
    scene.quorum_read_at = Some(at(second));
    let decision = scene.decide();
    scene
        .memory
        .as_mut()
        .unwrap()
        .held_up
        .clone_from(&decision.held_up);
    decision
}

#[test]
fn no_start_is_made_while_one_is_open_whose_instance_may_look_the_same() {
    for workers in WORKERS {
        let mut scene = beside(workers);
        let decision = decide_at(&mut scene, 1000, &[]);
        assert_eq!(reconciling(&decision), Some("ResolvingStart"));
        assert!(decision.status.slot().start.is_none() && decision.queue.is_none());
    }
}

/// In flight, an equal start is interchangeable with this one; an unequal one is not.
#[test]
fn a_start_in_flight_holds_up_unequal_starts_only() {
    for (workers, starts) in [(1, true), (2, false)] {
        let mut scene = beside(workers);
        let memory = remembered_start(1, 990, Outcome::InFlight);
        scene.remembered = vec![("other", memory)];
        let decision = decide_at(&mut scene, 1000, &[]);
        assert_eq!(
            decision.status.slot().start.is_some(),
            starts,
            "{workers} workers"
        );
    }
}

/// Two hundred resources that wait for one another must not write each time that it is another one.
#[test]
fn a_resource_that_waits_for_another_start_writes_that_once() {
    let mut scene = beside(1);
    let decision = decide_at(&mut scene, 1000, &[]);
    assert_eq!(decision.step, written(Purpose::Report));
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    scene.others[0]["metadata"]["name"] = json!("another");
    let decision = decide_at(&mut scene, 1001, &[]);
    assert!(decision.step == Step::Rest && decision.busy && decision.held_up.is_some());
}

/// Between two pauses of an API that asks for fewer calls, the status goes on to say that the API fails.
#[test]
fn a_resource_that_waits_for_another_start_writes_nothing_at_the_end_of_a_pause() {
    for (trouble, shown) in [
        (Some("slow down"), "RetryingAfterError"),
        (None, "ResolvingStart"),
    ] {
        let mut scene = beside(1);
        let fleet = scene.view.fleet.as_mut().unwrap();
        fleet.trouble = Some("slow down".into());
        fleet.wait = Some(Wait::Until(at(1005)));
        let decision = decide_at(&mut scene, 1000, &[]);
        assert_eq!(reconciling(&decision), Some("RetryingAfterError"));
        scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
        let fleet = scene.view.fleet.as_mut().unwrap();
        fleet.trouble = trouble.map(Into::into);
        fleet.wait = None;
        let decision = decide_at(&mut scene, 1006, &[]);
        assert!(decision.held_up.is_some());
        assert_eq!(reconciling(&decision), Some(shown));
        assert_eq!(decision.step == Step::Rest, trouble.is_some());
    }
}

/// The watch may bring an intent before the write of it is answered.
#[test]
fn an_intent_that_is_being_written_is_no_start_of_unknown_outcome() {
    let mut scene = beside(1);
    scene.remembered = vec![("other", writing_start(1, 1000))];
    let decision = decide_at(&mut scene, 1000, &[]);
    assert!(decision.status.slot().start.is_some());
}

/// Where the catalog cannot tell the model of one of the two, any instance may be of either.
#[test]
fn a_start_whose_model_is_not_certain_holds_up_all_and_is_held_up_by_all() {
    for (unsure, theirs_unsure, waits) in [
        (false, false, false),
        (true, false, true),
        (false, true, true),
    ] {
        let mut scene = beside(1);
        slot(&mut scene.others[0])["start"]["args"]["modelId"] = json!("org--another");
        slot(&mut scene.others[0])["start"]["anyModel"] = json!(theirs_unsure);
        scene.resource["spec"]["hardwareTypeId"] = json!("NVIDIA_L4_1");
        scene.resource["spec"]["contextLength"] = json!(16_000);
        if unsure {
            scene.model = Some(failing_catalog());
        }
        let decision = decide_at(&mut scene, 1000, &[]);
        assert_eq!(
            decision.held_up.is_some(),
            waits,
            "{unsure} {theirs_unsure}"
        );
    }
}

/// What a start may have made whose model is not certain is contested, and not known to others.
#[test]
fn what_a_start_of_any_model_may_have_made_is_not_bound() {
    let mut scene = lost(&[]);
    let mut other = open(1, 1);
    other["start"]["args"]["modelId"] = json!("ORG--NAME");
    other["start"]["anyModel"] = json!(true);
    scene.others = vec![resource("other", json!({}), other)];
    scene.found(&["i-1"]);
    let one = [instance("i-1", "pending")];
    let decision = decide_at(&mut scene, 1001, &one);
    assert_eq!(reconciling(&decision), Some("ResolvingStart"));
    decide_at(&mut scene, SETTLED + 1, &one);
    let decision = decide_at(&mut scene, SETTLED + 2, &one);
    assert_eq!(stalled(&decision), Some("StartUnresolved"));
}

/// The same for the start whose model is not certain itself, also beside one that was overtaken.
#[test]
fn a_start_of_any_model_asks_about_what_another_may_have_made() {
    for overtaken in [false, true] {
        let mut scene = lost(&[]);
        slot(&mut scene.resource)["start"]["args"]["modelId"] = json!("ORG--NAME");
        slot(&mut scene.resource)["start"]["anyModel"] = json!(true);
        let mut other = open(1, 1);
        other["start"]["overtaken"] = json!(overtaken);
        scene.others = vec![resource("other", json!({}), other)];
        scene.found(&["i-1"]);
        let one = [instance("i-1", "pending")];
        decide_at(&mut scene, SETTLED + 1, &one);
        let decision = decide_at(&mut scene, SETTLED + 2, &one);
        assert_eq!(stalled(&decision), Some("StartUnresolved"));
        let start = decision.status.slot().start.as_ref().unwrap();
        assert_eq!(start.candidate_ids, ["i-1"]);
    }
}

/// Of two unequal intents that are written at the same time one would be taken back, so the second one is not written.
#[test]
fn no_intent_is_written_while_an_unequal_one_is_being_written() {
    for (workers, since, waits) in [(1, 999, false), (2, 999, true), (2, 900, false)] {
        let mut scene = beside(workers);
        // Nothing has brought the intent yet.
        scene.others[0]["status"] = json!({});
        scene.remembered = vec![("other", writing_start(workers, since))];
        let decision = decide_at(&mut scene, 1000, &[]);
        assert_eq!(decision.held_up.is_some(), waits, "{workers} {since}");
        assert_eq!(decision.status.slot().start.is_none(), waits);
    }
}

/// Two processes that write at the same time: one of the two goes on.
#[test]
fn of_two_unequal_starts_that_are_written_the_older_one_is_made() {
    for (requested_at, made) in [
        ("2026-01-01T00:00:00Z", false),
        ("2026-01-03T00:00:00Z", true),
    ] {
        let status = json!({ "account": home(), "start": intent(5, "2026-01-02T00:00:00Z", &[]) });
        let mut scene = Scene::new(json!({}), status);
        scene.others = vec![resource("other", json!({}), open(2, 1))];
        slot(&mut scene.others[0])["start"]["requestedAt"] = json!(requested_at);
        let memory = |id: u128| Memory {
            start: Some(Attempt::written(Uuid::from_u128(id), at(1000))),
            ..Memory::default()
        };
        scene.remembered = vec![("other", memory(1))];
        scene.memory = Some(memory(5));
        let step = scene.decide().step;
        assert_eq!(
            matches!(step, Step::Call(ApiCall::Start { .. })),
            made,
            "{step:?}"
        );
        assert!(made || step == written(Purpose::DropStart), "{step:?}");
    }
}

/// The order of the ids says nothing, and neither does the age of the start.
#[test]
fn what_an_unequal_start_may_have_made_is_not_bound_and_a_person_is_asked_in_the_end() {
    for requested_at in ["2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z"] {
        let mut scene = lost(&[]);
        scene.others = vec![resource("other", json!({}), open(2, 1))];
        slot(&mut scene.others[0])["start"]["requestedAt"] = json!(requested_at);
        let both = [unclear("i-1"), unclear("i-2")];
        scene.found(&["i-1", "i-2"]);
        for second in [1001, SETTLED - 1] {
            let decision = decide_at(&mut scene, second, &both);
            assert_eq!(reconciling(&decision), Some("ResolvingStart"));
        }
        decide_at(&mut scene, SETTLED + 1, &both);
        let decision = decide_at(&mut scene, SETTLED + 2, &both);
        assert_eq!(stalled(&decision), Some("StartUnresolved"));
        assert_eq!(
            decision.status.slot().start.as_ref().unwrap().candidate_ids,
            ["i-1", "i-2"]
        );
    }
}

#[test]
fn what_is_told_apart_is_bound() {
    let mut scene = lost(&[]);
    scene.others = vec![resource("other", json!({}), open(2, 1))];
    let both = [unclear("i-1"), instance("i-2", "pending")];
    scene.found(&["i-1", "i-2"]);
    assert!(is_bind(&decide_at(&mut scene, 1001, &both).step, "i-2"));
}

/// As many as one list shows: each takes another one.
#[test]
fn equal_starts_are_resolved_from_one_list() {
    let mut scene = lost(&[]);
    scene.others = vec![
        resource("older", json!({}), open(1, 1)),
        resource("younger", json!({}), open(1, 2)),
    ];
    slot(&mut scene.others[1])["start"]["requestedAt"] = json!("2026-01-03T00:00:00Z");
    scene.found(&["i-1", "i-2", "i-3"]);
    let all = ["i-1", "i-2", "i-3"].map(|id| instance(id, "pending"));
    assert!(is_bind(&decide_at(&mut scene, 1001, &all).step, "i-2"));
    // The only one is the oldest start's, as long as that one can come to an end by itself.
    let decision = decide_at(&mut scene, 1002, &all[..1]);
    assert_eq!(reconciling(&decision), Some("ResolvingStart"));
    let ended = 1003 - SETTLE.as_secs();
    let stuck = remembered_start(1, 0, Outcome::Unknown(at(ended)));
    scene.remembered = vec![("older", stuck)];
    assert!(is_bind(&decide_at(&mut scene, 1003, &all[..1]).step, "i-1"));
}

/// Equal instances are interchangeable: what appears last may be the one that this start has made.
#[test]
fn a_start_is_not_given_up_before_the_settle_times_of_equal_starts_are_over() {
    let mut scene = lost(&[]);
    scene.others = vec![resource("younger", json!({}), open(1, 2))];
    slot(&mut scene.others[0])["start"]["requestedAt"] = json!("2026-01-03T00:00:00Z");
    let memory = remembered_start(2, 1050, Outcome::Unknown(at(1051)));
    scene.remembered = vec![("younger", memory)];
    for (second, given_up) in [
        (SETTLED + 1, false),
        (SETTLED + 50, false),
        (SETTLED + 51, true),
    ] {
        let step = decide_at(&mut scene, second, &[]).step;
        assert_eq!(
            step == written(Purpose::VoidStart),
            given_up,
            "{second}: {step:?}"
        );
    }
}

/// The answer to the other start may name any of the instances that have appeared.
#[test]
fn nothing_is_bound_while_an_equal_start_is_in_flight() {
    for (outcome, bound) in [(Outcome::InFlight, false), (Outcome::Written, true)] {
        let mut scene = lost(&[]);
        scene.others = vec![resource("other", json!({}), open(1, 6))];
        scene.remembered = vec![("other", remembered_start(6, 1000, outcome))];
        scene.found(&["i-1"]);
        let decision = decide_at(&mut scene, 1001, &[instance("i-1", "pending")]);
        assert_eq!(is_bind(&decision.step, "i-1"), bound, "{:?}", decision.step);
        assert!(bound || reconciling(&decision) == Some("ResolvingStart"));
    }
}

/// It has made no instance that could appear.
#[test]
fn an_equal_start_without_a_call_is_not_waited_for() {
    let mut scene = lost(&[]);
    scene.others = vec![resource("other", json!({}), open(1, 6))];
    scene.remembered = vec![("other", remembered_start(6, 1170, Outcome::Written))];
    decide_at(&mut scene, SETTLED + 1, &[]);
    let step = decide_at(&mut scene, SETTLED + 2, &[]).step;
    assert_eq!(step, written(Purpose::VoidStart));
}

/// It may have taken what this start has made, and what it has made itself may still appear.
#[test]
fn an_equal_start_that_came_to_an_end_is_waited_for_all_the_same() {
    let mut scene = lost(&[]);
    scene.others = vec![resource("older", json!({}), open(1, 1))];
    let memory = remembered_start(1, 1050, Outcome::Unknown(at(1051)));
    scene.remembered = vec![("older", memory)];
    let mut bound = owner_of("i-taken");
    bound["metadata"]["name"] = json!("older");
    bound["metadata"]["uid"] = scene.others[0]["metadata"]["uid"].clone();
    bound["metadata"]["resourceVersion"] = json!("9");
    scene.later = vec![bound];
    let taken = [instance("i-taken", "pending")];
    for (second, given_up) in [
        (SETTLED + 1, false),
        (SETTLED + 50, false),
        (SETTLED + 51, true),
    ] {
        let step = decide_at(&mut scene, second, &taken).step;
        assert_eq!(
            step == written(Purpose::VoidStart),
            given_up,
            "{second}: {step:?}"
        );
    }
}

/// Equal starts of two client ids need not see the same instances: they are made one after the other.
#[test]
fn equal_starts_of_two_client_ids_are_not_under_way_together() {
    for (client_id, starts) in [("client", true), ("another", false)] {
        let mut scene = beside(1);
        let mut memory = looked_at(0);
        memory.start.as_mut().unwrap().outcome = Outcome::InFlight;
        scene.remembered = vec![("other", memory)];
        scene.others[0]["status"]["account"]["clientId"] = json!(client_id);
        let decision = decide_at(&mut scene, 1000, &[]);
        assert_eq!(
            decision.status.slot().start.is_some(),
            starts,
            "{client_id}"
        );
    }
}
