//! Starts that the API has answered with an instance.

use super::{resolve::is_bind, start::open, *};

#[test]
fn an_accepted_start_is_recorded_by_its_intent() {
    let accepted = Arc::new(instance("i-1", "pending"));
    let mut scene = open(Outcome::Accepted(Arc::clone(&accepted)));
    let wanted = Step::Write(Write::RecordAccepted {
        intent: Uuid::from_u128(1),
        instance: accepted,
    });
    assert_eq!(scene.decide().step, wanted);
    scene.now = at(1000 + SETTLE.as_secs());
    assert!(matches!(
        scene.decide().step,
        Step::Write(Write::RecordAccepted { .. })
    ));
    // Later than that it is left to be resolved.
    scene.now = at(1000 + SETTLE.as_secs() + 1);
    assert!(!matches!(
        scene.decide().step,
        Step::Write(Write::RecordAccepted { .. })
    ));
}

/// An answer that could not be recorded in time: what it named is the only candidate.
#[test]
fn an_answer_that_was_not_recorded_names_the_instance() {
    let accepted = Arc::new(instance("i-2", "pending"));
    let mut scene = open(Outcome::Accepted(accepted));
    let all = ["i-1", "i-2", "i-3"].map(|id| instance(id, "running"));
    scene.lists([SETTLED + 1], &all);
    scene.found(&["i-1", "i-2", "i-3"]);
    scene.quorum_read_at = Some(at(SETTLED + 1));
    assert!(is_bind(&scene.decide().step, "i-2"));
    // An equal start that is older has no claim to it.
    let older = json!({ "account": home(), "start": intent(6, "2026-01-01T00:00:00Z", &[]) });
    scene.others = vec![resource("older", json!({}), older)];
    assert!(is_bind(&scene.decide().step, "i-2"));
}

/// An answer that could not be recorded in time, and no list shows what it named: a get tells.
#[test]
fn what_a_start_was_answered_with_is_bound_if_a_get_finds_it() {
    let settled = SETTLED + SETTLE.as_secs() / 2;
    let unrecorded = || {
        let mut scene = open(Outcome::Accepted(Arc::new(instance("i-1", "pending"))));
        scene.lists([settled + 1, settled + 2], &[]);
        scene.quorum_read_at = Some(at(settled + 2));
        scene
    };
    let get = Step::Call(ApiCall::Get {
        instance_id: "i-1".into(),
    });
    let mut scene = unrecorded();
    assert_eq!(scene.decide().step, get);
    scene.found(&["i-1"]);
    assert!(is_bind(&scene.decide().step, "i-1"));
    let mut scene = unrecorded();
    // That the API did not find it before lists had to show it proves nothing.
    scene.missing("i-1", settled - 1);
    assert_eq!(scene.decide().step, get);
    scene.missing("i-1", settled + 2);
    assert_eq!(scene.decide().step, written(Purpose::VoidStart));
}
