//! Starts that others have overtaken.

use cortecs_resources::journal::MAX_CANDIDATE_IDS;

use super::{
    others::decide_at,
    resolve::{is_bind, lost},
    unlisted::lacks,
    *,
};

fn overtaken() -> Scene {
    let mut scene = lost(&[]);
    slot(&mut scene.resource)["start"]["overtaken"] = json!(true);
    scene.observe();
    scene
}

/// An overtaken start, after the question was asked, with what a person answers.
fn answered(listed: &[Instance], answer: &str) -> Step {
    let mut scene = overtaken();
    scene.found(&["i-1"]);
    decide_at(&mut scene, SETTLED + 1, listed);
    let decision = decide_at(&mut scene, SETTLED + 2, listed);
    assert_eq!(stalled(&decision), Some("StartUnresolved"));
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    scene
        .annotated("cortecs.ai/resolve-start", answer)
        .decide()
        .step
}

#[test]
fn an_overtaken_start_ends_with_the_answer_of_a_person() {
    for listed in [&[][..], &[instance("i-1", "running")]] {
        assert_eq!(answered(listed, "none"), written(Purpose::VoidStart));
        let bound = is_bind(&answered(listed, "i-1"), "i-1");
        assert_eq!(bound, !listed.is_empty());
    }
}

/// An equal start that came to an end may have taken what this start has made: a person is asked when what that one has made must have
/// appeared too.
#[test]
fn an_overtaken_start_waits_for_an_equal_one_that_came_to_an_end() {
    let mut scene = overtaken();
    let other = json!({ "account": home(), "start": intent(6, "2026-01-03T00:00:00Z", &[]) });
    scene.others = vec![resource("i-taken", json!({}), other)];
    scene.remembered = vec![(
        "i-taken",
        remembered_start(6, 1050, Outcome::Unknown(at(1051))),
    )];
    let mut bound = owner_of("i-taken");
    bound["metadata"]["resourceVersion"] = json!("9");
    scene.later = vec![bound];
    let taken = [instance("i-taken", "pending")];
    for (second, asked) in [
        (SETTLED + 1, false),
        (SETTLED + 2, false),
        (SETTLED + 50, false),
        (SETTLED + 51, true),
    ] {
        let decision = decide_at(&mut scene, second, &taken);
        assert_eq!(stalled(&decision).is_some(), asked, "{second}");
    }
}

/// A list that lacks what the API finds proves nothing, but a person knows better.
#[test]
fn a_person_is_believed_although_the_list_is_incomplete() {
    let mut scene = overtaken();
    lacks(&mut scene, Some(at(1000)));
    decide_at(&mut scene, SETTLED + 1, &[]);
    let decision = decide_at(&mut scene, SETTLED + 2, &[]);
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    let mut scene = scene.annotated("cortecs.ai/resolve-start", "none");
    assert_eq!(scene.decide().step, written(Purpose::VoidStart));
}

/// What appears after the question was not asked about.
#[test]
fn none_is_said_of_what_was_named_to_an_overtaken_start() {
    let mut scene = overtaken();
    decide_at(&mut scene, SETTLED + 1, &[]);
    let decision = decide_at(&mut scene, SETTLED + 2, &[]);
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    let mut scene = scene.annotated("cortecs.ai/resolve-start", "none");
    let late = [instance("i-late", "running")];
    let decision = decide_at(&mut scene, SETTLED + 3, &late);
    assert_eq!(stalled(&decision), Some("StartUnresolved"));
    assert_eq!(
        decision.status.slot().start.as_ref().unwrap().candidate_ids,
        ["i-late"]
    );
    // The answer is older than the question.
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    let decision = decide_at(&mut scene, SETTLED + 4, &late);
    assert_eq!(decision.step, Step::Rest);
    assert_eq!(stalled(&decision), Some("StartUnresolved"));
}

/// What others start later changes nothing for it.
#[test]
fn an_overtaken_start_does_not_wait_for_others() {
    let mut scene = overtaken();
    let other = json!({ "account": home(), "start": intent(6, "2026-01-03T00:00:00Z", &[]) });
    scene.others = vec![resource("other", json!({}), other)];
    for outcome in [Outcome::InFlight, Outcome::Unknown(at(1170))] {
        scene.remembered = vec![("other", remembered_start(6, 1170, outcome))];
        decide_at(&mut scene, SETTLED + 1, &[]);
        let decision = decide_at(&mut scene, SETTLED + 2, &[]);
        assert_eq!(stalled(&decision), Some("StartUnresolved"));
    }
}

/// Of more instances than a person is asked about at once, those that were named are none of the start's, and the others are asked
/// about next.
#[test]
fn none_is_said_of_so_many_at_once() {
    let mut scene = overtaken();
    let all: Vec<Instance> = (0..=MAX_CANDIDATE_IDS)
        .map(|n| instance(&format!("i-{n:02}"), "running"))
        .collect();
    decide_at(&mut scene, SETTLED + 1, &all);
    let decision = decide_at(&mut scene, SETTLED + 2, &all);
    let named = &decision.status.slot().start.as_ref().unwrap().candidate_ids;
    assert_eq!(named.len(), MAX_CANDIDATE_IDS);
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    let mut scene = scene.annotated("cortecs.ai/resolve-start", "none");
    let decision = decide_at(&mut scene, SETTLED + 3, &all);
    let start = decision.status.slot().start.as_ref().unwrap();
    let last = format!("i-{MAX_CANDIDATE_IDS:02}");
    assert_eq!(
        start.known_instances.len(),
        MAX_CANDIDATE_IDS,
        "{:?}",
        decision.step
    );
    assert!(!start.known_instances.contains(&digest(start.id, &last)));
}

/// An overtaken start may have made it, so this one takes it only when its own must have appeared too.
#[test]
fn what_an_overtaken_start_may_have_made_is_bound_by_another_after_its_settle_time() {
    let mut scene = lost(&[]);
    let mut other = json!({ "account": home(), "start": intent(1, "2026-01-01T00:00:00Z", &[]) });
    other["start"]["overtaken"] = json!(true);
    scene.others = vec![resource("other", json!({}), other)];
    let one = [instance("i-1", "pending")];
    scene.found(&["i-1"]);
    for second in [1001, SETTLED - 1, SETTLED] {
        let decision = decide_at(&mut scene, second, &one);
        assert_eq!(reconciling(&decision), Some("ResolvingStart"), "{second}");
    }
    assert!(is_bind(
        &decide_at(&mut scene, SETTLED + 1, &one).step,
        "i-1"
    ));
}
