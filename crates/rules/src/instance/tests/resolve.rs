//! What becomes of a start whose outcome is not known.

use super::*;

/// A start that an earlier process left open, first seen at second 1000.
pub(super) fn lost(known: &[&str]) -> Scene {
    let status = json!({ "account": home(), "start": intent(5, "2026-01-02T00:00:00Z", known) });
    let mut scene = Scene::new(json!({}), status);
    scene.observe();
    scene
}

pub(super) fn is_bind(step: &Step, id: &str) -> bool {
    matches!(step, Step::Write(Write::Status(Purpose::Bind { instance_id, resolved: true })) if instance_id == id)
}

#[test]
fn a_list_from_before_the_intent_was_seen_proves_nothing() {
    let mut scene = lost(&[]);
    scene.list(999, &[instance("i-1", "pending")]);
    scene.quorum_read_at = Some(at(1000));
    let decision = scene.decide();
    assert!(scene.asks_for_list(&decision) && decision.step != Step::QuorumRead);
}

/// Before, the status said that the start is being made.
#[test]
fn a_status_that_is_current_says_that_the_outcome_is_not_known() {
    let mut scene = lost(&[]);
    scene.resource["status"]["observedGeneration"] = json!(1);
    let decision = scene.decide();
    assert_eq!(reconciling(&decision), Some("ResolvingStart"));
    assert_eq!(decision.step, written(Purpose::Report));
}

#[test]
fn a_new_equal_instance_is_bound_after_a_quorum_read_of_the_resources() {
    let mut scene = lost(&[]);
    scene.lists([1001], &[instance("i-1", "pending")]);
    let get = Step::Call(ApiCall::Get {
        instance_id: "i-1".into(),
    });
    assert_eq!(scene.decide().step, get, "lists may show what was deleted");
    scene.found(&["i-1"]);
    assert_eq!(scene.decide().step, Step::QuorumRead);
    // A read from before the list does not count.
    scene.quorum_read_at = Some(at(1000));
    assert_eq!(scene.decide().step, Step::QuorumRead);
    scene.quorum_read_at = Some(at(1001));
    let decision = scene.decide();
    assert!(is_bind(&decision.step, "i-1"), "{:?}", decision.step);
    assert!(decision.status.slot().start.is_none());
    assert_eq!(decision.status.instance_id.as_deref(), Some("i-1"));
}

#[test]
fn known_claimed_and_unequal_instances_are_no_candidates() {
    let mut scene = lost(&["i-known"]);
    scene.others = vec![resource(
        "owner",
        json!({}),
        json!({ "account": home(), "instanceId": "i-bound" }),
    )];
    let mut other = instance("i-other", "running");
    other.instance_args.num_workers = Some(4);
    scene.lists(
        [1001],
        &[
            instance("i-known", "running"),
            instance("i-bound", "running"),
            other,
        ],
    );
    scene.quorum_read_at = Some(at(1001));
    assert_eq!(reconciling(&scene.decide()), Some("ResolvingStart"));
}

#[test]
fn what_could_never_be_stopped_is_neither_bound_nor_taken_for_nothing() {
    let mut scene = lost(&[]);
    let list = [instance("delete-all", "running")];
    scene.lists([1001], &list);
    scene.quorum_read_at = Some(at(1001));
    assert_eq!(reconciling(&scene.decide()), Some("ResolvingStart"));
    scene.lists([SETTLED + 1, SETTLED + 2], &list);
    scene.quorum_read_at = Some(scene.now);
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("StartUnresolved"));
    let message = &find_condition(&decision.status.conditions, STALLED)
        .unwrap()
        .message;
    assert!(message.contains("delete-all") && message.contains("no call could be made to stop"));
    assert!(decision.status.slot().start.is_some() && decision.status.instance_id.is_none());

    // A person may say that it is none, and nobody that it is that one.
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    for (order, dismissed) in [("delete-all", false), ("none", true)] {
        scene = scene.annotated("cortecs.ai/resolve-start", order);
        let step = scene.decide().step;
        let dismisses = step == written(Purpose::Dismiss);
        assert_eq!(dismisses, dismissed, "{step:?}");
        assert!(dismissed || !step.is_call(), "{step:?}");
    }

    // What can be bound goes first.
    let mut scene = lost(&[]);
    scene.lists([1001], &[list[0].clone(), instance("i-1", "pending")]);
    scene.found(&["i-1"]);
    scene.quorum_read_at = Some(at(1001));
    assert!(is_bind(&scene.decide().step, "i-1"));
}

#[test]
fn the_call_is_never_made_again_while_its_outcome_is_unknown() {
    let mut scene = lost(&[]);
    for second in [1001, 1030, 1100, SETTLED + 1, SETTLED + 2, SETTLED + 3] {
        scene.lists([second], &[]);
        scene.quorum_read_at = Some(at(second));
        let step = scene.decide().step;
        assert!(
            !matches!(
                step,
                Step::Call(ApiCall::Start { .. })
                    | Step::Write(Write::Status(Purpose::StartIntent(_)))
            ),
            "{step:?}"
        );
    }
}

#[test]
fn it_is_void_after_the_settle_time_two_lists_and_a_quorum_read() {
    let mut scene = lost(&[]);
    scene.lists([1001, 1100], &[]);
    scene.quorum_read_at = Some(at(SETTLED + 9));
    scene.now = at(SETTLED + 1);
    let decision = scene.decide();
    assert!(
        scene.asks_for_list(&decision),
        "lists from before the settle time do not count"
    );
    scene.lists([SETTLED + 1], &[]);
    assert!(
        scene.decide().status.slot().start.is_some(),
        "one list is not enough"
    );
    scene.lists([SETTLED + 2], &[]);
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::VoidStart));
    assert_eq!(
        decision.status.journal.voided_starts[0].id,
        Uuid::from_u128(5)
    );
    assert!(decision.status.slot().start.is_none() && decision.status.account.is_none());

    scene.quorum_read_at = Some(at(1000));
    assert_eq!(scene.decide().step, Step::QuorumRead);
}

#[test]
fn an_altered_instance_of_the_model_is_left_to_a_person() {
    let mut scene = lost(&[]);
    let mut rounded = instance("i-rounded", "pending");
    rounded.instance_args.context_length = Some(16_384);
    scene.lists([SETTLED + 1, SETTLED + 2], std::slice::from_ref(&rounded));
    scene.quorum_read_at = Some(at(SETTLED + 2));
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("StartUnresolved"));

    // Unless another open start explains it.
    let mut open = intent(6, "2026-01-02T00:00:00Z", &[]);
    open["args"]["contextLength"] = json!(16_384);
    scene.others = vec![resource(
        "other",
        json!({}),
        json!({ "account": home(), "start": open }),
    )];
    assert_eq!(scene.decide().step, written(Purpose::VoidStart));
}

/// The API shows a model otherwise than it was asked for, and the catalog could not tell.
#[test]
fn where_the_model_is_not_certain_any_new_instance_is_a_persons_question() {
    for any_model in [false, true] {
        let mut scene = lost(&["i-old"]);
        slot(&mut scene.resource)["start"]["anyModel"] = json!(any_model);
        scene.observe();
        let listed = ["i-new", "i-old"].map(|id| {
            let mut other = instance(id, "pending");
            other.instance_args.model_id = "other--name".into();
            other
        });
        scene.lists([SETTLED + 1, SETTLED + 2], &listed);
        scene.quorum_read_at = Some(at(SETTLED + 2));
        let decision = scene.decide();
        if any_model {
            assert_eq!(stalled(&decision), Some("StartUnresolved"));
            assert_eq!(
                decision.status.slot().start.as_ref().unwrap().candidate_ids,
                ["i-new"]
            );
        } else {
            assert_eq!(decision.step, written(Purpose::VoidStart));
        }
    }
}

#[test]
fn what_is_listed_but_not_there_is_not_bound() {
    let mut scene = lost(&[]);
    scene.lists([1001], &[instance("i-gone", "running")]);
    scene.quorum_read_at = Some(at(1001));
    let get = |id: &str| {
        Step::Call(ApiCall::Get {
            instance_id: id.to_owned(),
        })
    };
    assert_eq!(scene.decide().step, get("i-gone"));
    scene.missing("i-gone", 1001);
    let decision = scene.decide();
    assert!(!decision.step.is_call() && decision.status.instance_id.is_none());
    // Another one beside it is looked at.
    let both = [instance("i-gone", "running"), instance("i-new", "pending")];
    scene.lists([1002], &both);
    assert_eq!(scene.decide().step, get("i-new"));
}

/// A deleted instance that lists still show, or a new one that only lists show.
#[test]
fn what_is_listed_but_not_found_is_asked_for_less_and_less_and_then_a_person_is() {
    let mut scene = lost(&[]);
    let list = [instance("i-1", "pending")];
    let mut gets = 0;
    for second in 1001..SETTLED + 60 {
        scene.lists([second], &list);
        let decision = scene.decide();
        assert!(!scene.asks_for_list(&decision), "second {second}");
        if decision.step.is_call() {
            gets += 1;
            scene.missing("i-1", second);
        }
        scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    }
    assert!((6..12).contains(&gets), "{gets} gets");
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("StartUnresolved"));
    // A person knows better than the get.
    let mut scene = scene.annotated("cortecs.ai/resolve-start", "i-1");
    scene.quorum_read_at = Some(scene.now);
    assert!(is_bind(&scene.decide().step, "i-1"));
}

#[test]
fn what_may_be_the_instance_of_a_start_under_way_is_left_to_that_one() {
    let mut scene = lost(&[]);
    // It asks for two workers, and answers leave the number out.
    let mut open = intent(6, "2026-01-01T00:00:00Z", &[]);
    open["args"]["numWorkers"] = json!(2);
    scene.others = vec![resource(
        "other",
        json!({}),
        json!({ "account": home(), "start": open }),
    )];
    let mut unclear = instance("i-1", "pending");
    unclear.instance_args.num_workers = None;
    scene.lists([1001], std::slice::from_ref(&unclear));
    scene.quorum_read_at = Some(at(1001));
    scene.found(&["i-1"]);
    let decision = scene.decide();
    assert_eq!(reconciling(&decision), Some("ResolvingStart"));
    assert_eq!(decision.step, written(Purpose::Report));
}

#[test]
fn the_oldest_of_equal_starts_is_resolved_first() {
    let mut scene = lost(&[]);
    let older = intent(4, "2026-01-01T00:00:00Z", &[]);
    scene.others = vec![resource(
        "older",
        json!({}),
        json!({ "account": home(), "start": older }),
    )];
    scene.lists([1001], &[instance("i-1", "pending")]);
    scene.quorum_read_at = Some(at(1001));
    scene.found(&["i-1"]);
    assert_eq!(scene.decide().step, written(Purpose::Report));

    slot(&mut scene.others[0])["start"]["requestedAt"] = json!("2026-01-03T00:00:00Z");
    assert!(is_bind(&scene.decide().step, "i-1"));
}

/// An instance is bound only where the resource says that it lives; one that is deleted is resolved where the start was made.
#[test]
fn a_start_in_another_account_is_resolved_only_to_be_deleted() {
    for deleting in [false, true] {
        let mut scene = lost(&[]);
        if deleting {
            scene = scene.deleting();
        }
        scene.view.named = Some(ObjectKey::new("ns", "another"));
        scene.lists([1001], &[instance("i-1", "pending")]);
        scene.quorum_read_at = Some(at(1001));
        scene.found(&["i-1"]);
        let decision = scene.decide();
        assert_eq!(
            is_bind(&decision.step, "i-1"),
            deleting,
            "{:?}",
            decision.step
        );
        let changed = stalled(&decision) == Some("AccountChanged");
        assert_eq!(changed, !deleting);
    }
}

/// Whether likeness is proof depends on the account of the start, not on the one that the spec names by now.
#[test]
fn in_another_shared_account_a_person_is_asked() {
    let mut scene = lost(&[]).deleting();
    scene.view.named = Some(ObjectKey::new("ns", "another"));
    scene.fleet(|fleet| fleet.sharing = Sharing::Shared);
    scene.lists([1001], &[instance("i-1", "pending")]);
    scene.quorum_read_at = Some(at(1001));
    scene.found(&["i-1"]);
    assert_eq!(stalled(&scene.decide()), Some("StartUnresolved"));
}

/// Whether others start instances in the account is not known yet.
#[test]
fn nothing_is_bound_by_likeness_before_the_accounts_are_known() {
    let mut scene = lost(&[]);
    scene.view.desired = Desired::Pending("the account is being checked".into());
    scene.lists([1001], &[instance("i-1", "pending")]);
    scene.quorum_read_at = Some(at(1001));
    scene.found(&["i-1"]);
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    assert_eq!(reconciling(&decision), Some("ResolvingStart"));
}

#[test]
fn resolving_goes_on_whatever_blocks_starts() {
    let changes: [fn(&mut Scene); 4] = [
        |s| s.resource["spec"]["suspend"] = json!(true),
        |s| s.account(|a| a.mode = AccountMode::Hold),
        |s| s.account(|a| a.allowed = false),
        |s| s.resource["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut scene = lost(&[]);
        change(&mut scene);
        scene.lists([1001], &[instance("i-1", "pending")]);
        scene.quorum_read_at = Some(at(1001));
        scene.found(&["i-1"]);
        assert!(is_bind(&scene.decide().step, "i-1"), "change {number}");
    }
}
