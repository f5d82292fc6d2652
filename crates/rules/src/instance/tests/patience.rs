//! How long a start waits for the open start of another resource before it overtakes that one.

use super::{
    others::{WORKERS, beside, decide_at, looked_at},
    *,
};
use crate::facts::failure::FailureKind;

/// Whether the decision is to overtake the other start.
fn overtakes(decision: &Decision) -> bool {
    matches!(decision.step, Step::Write(Write::Overtake { .. }))
}

#[test]
fn a_start_that_does_not_come_to_an_end_is_overtaken_after_a_settle_time_and_a_quarter() {
    for workers in WORKERS {
        let mut scene = beside(workers);
        let overtake = Step::Write(Write::Overtake {
            start_of: ObjectKey::new("ns", "other"),
            intent: Uuid::from_u128(1),
        });
        let patience = (SETTLE + SETTLE / 4).as_secs();
        for second in [1000, 1001, 1000 + patience - 1] {
            let decision = decide_at(&mut scene, second, &[]);
            assert_eq!(reconciling(&decision), Some("ResolvingStart"), "{second}");
            assert!(!overtakes(&decision), "{second}");
            // Nothing wakes it when the patience ends.
            let left = at(1000 + patience).since(at(second));
            assert_eq!(decision.look_again, Some(left));
        }
        let decision = decide_at(&mut scene, 1000 + patience, &[]);
        assert_eq!(decision.step, overtake);

        slot(&mut scene.others[0])["start"]["overtaken"] = json!(true);
        let decision = decide_at(&mut scene, 1001 + patience, &[]);
        assert!(decision.status.slot().start.is_some());
    }
}

/// A start of the same account that has not had its lists gets four more settle times; one of another account has lists of its own.
#[test]
fn a_start_whose_lists_have_just_begun_to_work_gets_more_time() {
    let patience = (SETTLE + SETTLE / 4).as_secs();
    for (lists, client_id, more) in [
        (0, "client", 4),
        (3, "client", 4),
        (4, "client", 0),
        (0, "another", 0),
        (3, "another", 1),
    ] {
        let mut scene = beside(1);
        scene.others[0]["status"]["account"]["clientId"] = json!(client_id);
        scene.remembered = vec![("other", looked_at(lists))];
        decide_at(&mut scene, 1000, &[]);
        let end = 1000 + patience + more * SETTLE.as_secs();
        for (second, overtaken) in [(end - 1, false), (end, true)] {
            let decision = decide_at(&mut scene, second, &[]);
            let as_expected = overtakes(&decision) == overtaken;
            assert!(as_expected, "{lists} lists, {client_id}: {second}");
        }
    }
}

/// While there is no good list, the other start could not come to an end either.
#[test]
fn the_patience_begins_anew_when_lists_work_again() {
    let mut scene = beside(1);
    decide_at(&mut scene, 1000, &[]);
    scene.now = at(1000 + 10 * SETTLE.as_secs());
    let problem = (FailureKind::Transient, "lost".to_owned());
    scene.view.fleet.as_mut().unwrap().problem = Some(problem);
    let decision = scene.decide();
    assert!(decision.held_up.is_some() && !overtakes(&decision));
    let late = 1001 + 10 * SETTLE.as_secs();
    scene.fleet(|fleet| {
        fleet.problem = None;
        fleet.good_since = at(late);
    });
    scene
        .memory
        .as_mut()
        .unwrap()
        .held_up
        .clone_from(&decision.held_up);
    let decision = decide_at(&mut scene, late, &[]);
    assert!(decision.held_up.is_some() && !overtakes(&decision));
}

/// A start that this process has not looked at is waited for anew; of those that it has looked at, the wait for one is the wait for all.
#[test]
fn the_patience_is_with_the_call_of_a_start() {
    let patience = (SETTLE + SETTLE / 4).as_secs();
    for (is_known, overtaken) in [(false, false), (true, true)] {
        let mut scene = beside(1);
        decide_at(&mut scene, 1000, &[]);
        slot(&mut scene.others[0])["start"]["id"] = json!(Uuid::from_u128(2));
        let mut memory = remembered_start(2, 900, Outcome::Unknown(at(1000)));
        memory.start.as_mut().unwrap().settled_lists = 4;
        scene.remembered = match is_known {
            true => vec![("other", memory)],
            false => Vec::new(),
        };
        let decision = decide_at(&mut scene, 1000 + patience, &[]);
        assert!(decision.held_up.is_some());
        assert_eq!(overtakes(&decision), overtaken);
    }
}

/// It may be about to be resolved as soon as a get works again.
#[test]
fn a_start_whose_gets_fail_gets_more_time() {
    let patience = (SETTLE + SETTLE / 4).as_secs();
    for (answer, client_id, more) in [
        (lookup::Answer::Failed, "client", 4),
        (lookup::Answer::NotFound, "client", 0),
        (lookup::Answer::Failed, "another", 0),
    ] {
        let mut scene = beside(1);
        scene.others[0]["status"]["account"]["clientId"] = json!(client_id);
        let mut memory = looked_at(4);
        let attempt = memory.start.as_mut().unwrap();
        let failed = Lookup::next(None, at(1100), answer);
        attempt.lookups.insert("i-1".to_owned(), failed);
        scene.remembered = vec![("other", memory)];
        decide_at(&mut scene, 1000, &[]);
        let end = 1000 + patience + more * SETTLE.as_secs();
        assert!(
            !overtakes(&decide_at(&mut scene, end - 1, &[])),
            "{answer:?} {client_id}"
        );
        assert!(
            overtakes(&decide_at(&mut scene, end, &[])),
            "{answer:?} {client_id}"
        );
    }
}

/// A start that this process has not looked at yet gets the time in which its lists have to come, if they are this account's.
#[test]
fn a_start_that_was_not_looked_at_gets_more_time() {
    let patience = (SETTLE + SETTLE / 4).as_secs();
    for (client_id, more) in [("client", SETTLE.as_secs()), ("another", 0)] {
        let mut scene = beside(1);
        scene.others[0]["status"]["account"]["clientId"] = json!(client_id);
        scene.remembered.clear();
        decide_at(&mut scene, 1000, &[]);
        let end = 1000 + patience + more;
        let before = decide_at(&mut scene, end - 1, &[]);
        assert!(!overtakes(&before), "{client_id}");
        assert!(overtakes(&decide_at(&mut scene, end, &[])), "{client_id}");
    }
}

/// A resource may not have been looked at while lists failed, as the account's calls were paused.
#[test]
fn the_patience_begins_when_lists_work_again_even_if_the_resource_was_not_looked_at_meanwhile() {
    let late = 1000 + 10 * SETTLE.as_secs();
    for (good_since, is_overtaken) in [(900, true), (late - 1, false)] {
        let mut scene = beside(1);
        decide_at(&mut scene, 1000, &[]);
        scene.view.fleet.as_mut().unwrap().good_since = at(good_since);
        let decision = decide_at(&mut scene, late, &[]);
        assert_eq!(overtakes(&decision), is_overtaken);
    }
}
