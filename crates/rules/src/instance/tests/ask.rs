//! What a person is asked about a start, and what the person answers.

use super::{
    resolve::{is_bind, lost},
    *,
};

/// A start open in an account where likeness is no proof, with two candidates, after the question was asked.
fn asked(change: fn(&mut FleetView)) -> Scene {
    let mut scene = lost(&[]);
    scene.fleet(change);
    scene.lists(
        [1001],
        &[instance("i-1", "pending"), instance("i-2", "pending")],
    );
    scene.quorum_read_at = Some(at(1001));
    scene.found(&["i-1", "i-2"]);
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("StartUnresolved"));
    let message = &find_condition(&decision.status.conditions, STALLED)
        .unwrap()
        .message;
    assert!(
        message.contains("i-1") && message.contains("i-2"),
        "{message}"
    );
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    scene
}

#[test]
fn where_others_start_instances_too_a_person_decides() {
    let changes: [fn(&mut FleetView); 2] = [
        |f| f.sharing = Sharing::Shared,
        |f| f.has_unseen_users = true,
    ];
    for change in changes {
        let mut scene = asked(change).annotated("cortecs.ai/resolve-start", "i-1");
        assert!(is_bind(&scene.decide().step, "i-1"));

        let mut scene = asked(change).annotated("cortecs.ai/resolve-start", "none");
        let decision = scene.decide();
        assert_eq!(decision.step, written(Purpose::Dismiss));
        let start = decision.status.slot().start.as_ref().unwrap();
        assert_eq!(start.known_instances, digests(5, &["i-1", "i-2"]));
        carry_out(&mut scene, &decision);
        let waiting = scene.decide();
        assert_eq!(
            reconciling(&waiting),
            Some("ResolvingStart"),
            "a late effect may still come"
        );
        scene.lists([SETTLED + 1, SETTLED + 2], &[instance("i-1", "pending")]);
        scene.quorum_read_at = Some(at(SETTLED + 2));
        assert_eq!(scene.decide().step, written(Purpose::VoidStart));
    }
}

/// The status is written, and what that means is remembered.
fn carry_out(scene: &mut Scene, decision: &Decision) {
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    let Step::Write(Write::Status(purpose)) = &decision.step else {
        panic!("{:?} is no write", decision.step)
    };
    crate::instance::record_write::wrote(scene.memory.as_mut().unwrap(), purpose, at(1002), 1);
    scene.observe();
}

#[test]
fn none_is_an_answer_and_not_said_in_advance() {
    let shared: fn(&mut FleetView) = |f| f.sharing = Sharing::Shared;
    // Said before anything was named.
    let mut scene = lost(&[]).annotated("cortecs.ai/resolve-start", "none");
    scene.fleet(shared);
    scene.lists([1001], &[instance("i-1", "pending")]);
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("StartUnresolved"));
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    scene.observe();
    assert_eq!(scene.decide().step, Step::Rest);

    // An answer outlives the process that asked, and is about what that one named.
    let mut scene = asked(shared).annotated("cortecs.ai/resolve-start", "none");
    scene.memory = None;
    scene.view.fleet = Some(FleetView::default());
    scene.observe();
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Dismiss));
    let start = decision.status.slot().start.as_ref().unwrap();
    assert_eq!(start.known_instances, digests(5, &["i-1", "i-2"]));
}

#[test]
fn none_is_said_of_the_instances_that_were_named_and_of_no_later_one() {
    let shared: fn(&mut FleetView) = |f| f.sharing = Sharing::Shared;
    let mut scene = asked(shared).annotated("cortecs.ai/resolve-start", "none");
    let decision = scene.decide();
    carry_out(&mut scene, &decision);
    // Its own turns up, after all: the annotation still says what it said of another.
    let both = [instance("i-1", "running"), instance("i-own", "pending")];
    scene.found(&["i-1", "i-own"]);
    scene.lists([SETTLED + 1, SETTLED + 2], &both);
    scene.quorum_read_at = Some(at(SETTLED + 2));
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("StartUnresolved"));
    let start = decision.status.slot().start.as_ref().unwrap();
    assert_eq!(start.candidate_ids, ["i-own"]);
    // A process that knows nothing of it sees no new order either.
    carry_out(&mut scene, &decision);
    scene.memory = None;
    scene.observe();
    scene.lists([SETTLED + 3], &both);
    assert!(!matches!(
        scene.decide().step,
        Step::Write(Write::Status(Purpose::VoidStart | Purpose::Dismiss))
    ));
}

/// An id that nobody was asked about is no order, whenever the annotation was written.
#[test]
fn nothing_is_bound_by_an_order_before_the_question() {
    let mut scene = lost(&[]).annotated("cortecs.ai/resolve-start", "i-altered");
    let mut altered = instance("i-altered", "running");
    altered.instance_args.context_length = Some(1);
    scene.found(&["i-altered"]);
    scene.lists([1001], std::slice::from_ref(&altered));
    scene.quorum_read_at = Some(at(1001));
    assert_eq!(reconciling(&scene.decide()), Some("ResolvingStart"));
    scene.lists([SETTLED + 1, SETTLED + 2], &[altered]);
    scene.quorum_read_at = Some(at(SETTLED + 2));
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("StartUnresolved"));
}

#[test]
fn an_order_is_about_one_start_and_one_of_its_candidates() {
    let shared: fn(&mut FleetView) = |f| f.sharing = Sharing::Shared;
    // What the annotation said when the start was written is an old order.
    let mut scene = asked(shared);
    slot(&mut scene.resource)["start"]["oldOrder"] = json!("i-1");
    let mut scene = scene.annotated("cortecs.ai/resolve-start", "i-1");
    assert_eq!(scene.decide().step, Step::Rest);
    // Taken away and given again, it is a new one.
    scene.resource["metadata"]["annotations"] = json!({});
    scene.observe();
    let mut scene = scene.annotated("cortecs.ai/resolve-start", "i-1");
    assert!(is_bind(&scene.decide().step, "i-1"));

    // Nobody gets an instance that the start cannot have made.
    for stranger in ["i-known", "i-other-model", "i-nowhere"] {
        let mut scene = asked(shared).annotated("cortecs.ai/resolve-start", stranger);
        slot(&mut scene.resource)["start"]["knownInstances"] = json!(digests(5, &["i-known"]));
        let mut other = instance("i-other-model", "running");
        other.instance_args.model_id = "org--else".into();
        scene.lists(
            [1002],
            &[
                instance("i-known", "running"),
                other,
                instance("i-1", "pending"),
            ],
        );
        scene.quorum_read_at = Some(at(1002));
        assert!(!matches!(
            scene.decide().step,
            Step::Write(Write::Status(Purpose::Bind { .. })) | Step::Call(ApiCall::Get { .. })
        ));
    }
}
