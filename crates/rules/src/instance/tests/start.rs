//! Starting an instance, up to the call.

use cortecs_resources::reason::Reason;

use super::*;
use crate::facts::failure::{Failure, FailureKind};

fn fresh() -> Scene {
    Scene::new(json!({}), json!({ "observedGeneration": -1 }))
}

#[test]
fn the_finalizer_comes_first() {
    let mut scene = fresh();
    scene.resource["metadata"]["finalizers"] = json!([]);
    assert_eq!(scene.decide().step, Step::Write(Write::AddFinalizer));
}

#[test]
fn the_catalog_is_asked_before_each_start() {
    let mut scene = fresh();
    scene.model = None;
    let wanted = Step::Call(ApiCall::FetchModel {
        model_id: "org--name".into(),
    });
    assert_eq!(scene.decide().step, wanted);
    scene.resource["spec"]["hardwareTypeId"] = json!("NVIDIA_L4_1");
    scene.resource["spec"]["contextLength"] = json!(8000);
    assert_eq!(
        scene.decide().step,
        wanted,
        "it knows how the API spells the model"
    );

    let problem = |terminal| {
        let message = "not now".to_owned();
        Some(Err(CatalogProblem {
            terminal,
            message,
            nearest: vec!["org/name".to_owned()],
        }))
    };
    scene.model = problem(true);
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("InvalidArguments"));
    let message = &find_condition(&decision.status.conditions, STALLED)
        .unwrap()
        .message;
    assert!(message.contains("did you mean org/name?"), "{message}");
    scene.model = problem(false);
    let start = scene.decide().status.slot().start.clone().unwrap();
    assert!(start.any_model);
    scene.resource["spec"] = json!({ "modelId": "org/name" });
    assert_eq!(reconciling(&scene.decide()), Some("RetryingAfterError"));
}

#[test]
fn the_model_is_recorded_as_the_catalog_spells_it() {
    for (name, recorded) in [(Some("Org--Name"), "Org--Name"), (None, "org--NAME")] {
        let mut scene = fresh();
        let mut known = (*model().unwrap()).clone();
        known.model_name = name.map(str::to_owned);
        known.model_id = "org--NAME".to_owned();
        scene.model = Some(Ok(Arc::new(known)));
        let start = scene.decide().status.slot().start.clone().unwrap();
        assert_eq!(
            (start.args.model_id.as_str(), start.any_model),
            (recorded, false)
        );
    }
}

/// What an intent writes does not grow with the fleet.
#[test]
fn ten_thousand_instances_of_other_resources_are_not_listed() {
    let mut scene = fresh();
    let ids: Vec<String> = (0..10_000).map(|n| format!("i-{n}")).collect();
    scene.others = ids.iter().map(|id| owner_of(id)).collect();
    let mut listed: Vec<Instance> = ids.iter().map(|id| instance(id, "running")).collect();
    listed.push(instance("i-unmanaged", "running"));
    scene.list(999, &listed);
    let start = scene.decide().status.slot().start.clone().unwrap();
    assert_eq!(start.known_instances, digests(77, &["i-unmanaged"]));
    // One that is being deleted may be let go.
    scene.others[7]["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
    let start = scene.decide().status.slot().start.clone().unwrap();
    assert_eq!(start.known_instances, digests(77, &["i-7", "i-unmanaged"]));

    let crowd: Vec<Instance> = (0..513)
        .map(|n| instance(&format!("u-{n}"), "running"))
        .collect();
    scene.list(999, &crowd);
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("TooManyInstances"));
    scene.list(999, &crowd[1..]);
    let start = scene.decide().status.slot().start.clone();
    assert_eq!(start.unwrap().known_instances.len(), 512);
    // Instances of other models cannot be taken for this start's.
    let mut crowd = crowd;
    crowd[2..]
        .iter_mut()
        .for_each(|i| i.instance_args.model_id = "org--another".to_owned());
    scene.list(999, &crowd);
    let start = scene.decide().status.slot().start.clone();
    assert_eq!(start.unwrap().known_instances, digests(77, &["u-0", "u-1"]));
}

#[test]
fn a_list_taken_just_now_comes_before_the_intent() {
    let mut scene = fresh();
    scene.now = at(1030);
    let decision = scene.decide();
    assert!(
        scene.asks_for_list(&decision)
            && !matches!(
                decision.step,
                Step::Write(Write::Status(Purpose::StartIntent(_)))
            )
    );
}

#[test]
fn the_intent_is_written_before_the_call_with_pinned_arguments() {
    let mut scene = fresh();
    scene.list(999, &[instance("i-old", "running")]);
    let decision = scene.decide();
    assert_eq!(
        decision.step,
        Step::Write(Write::Status(Purpose::StartIntent(scene.fresh_id)))
    );
    let start = decision.status.slot().start.as_ref().unwrap();
    assert_eq!(serde_json::to_value(&start.args).unwrap(), args());
    assert_eq!(start.known_instances, digests(77, &["i-old"]));
    assert_eq!(
        serde_json::to_value(&decision.status.account).unwrap(),
        home()
    );
}

#[test]
fn what_may_belong_to_an_equal_open_start_is_not_known() {
    let mut scene = fresh();
    // `other` asked for the same while i-known was there; i-new may be its own, i-bound is someone's.
    scene.others = vec![
        resource(
            "other",
            json!({}),
            json!({ "account": home(), "start": intent(1, "2026-01-01T00:00:00Z", &["i-known"]) }),
        ),
        resource(
            "owner",
            json!({}),
            json!({ "account": home(), "instanceId": "i-bound" }),
        ),
    ];
    let in_flight = remembered_start(1, 990, Outcome::InFlight);
    scene.remembered = vec![("other", in_flight)];
    let listed = ["i-known", "i-new", "i-bound"].map(|id| instance(id, "running"));
    scene.list(999, &listed);
    let start = scene.decide().status.slot().start.clone().unwrap();
    // What a resource has and keeps is excluded by its claim.
    assert_eq!(start.known_instances, digests(77, &["i-known"]));
}

#[test]
fn what_an_equal_start_was_answered_with_is_not_known_before_it_is_recorded() {
    let mut scene = fresh();
    scene.others = vec![resource(
        "other",
        json!({}),
        json!({ "account": home(), "start": intent(1, "2026-01-01T00:00:00Z", &[]) }),
    )];
    let mut attempt = Attempt::written(Uuid::from_u128(1), at(990));
    attempt.outcome = Outcome::Accepted(Arc::new(instance("i-accepted", "pending")));
    let accepted = Memory {
        start: Some(attempt),
        ..Memory::default()
    };
    scene.remembered = vec![("other", accepted)];
    scene.list(999, &[instance("i-accepted", "pending")]);
    let start = scene.decide().status.slot().start.clone().unwrap();
    assert_eq!(start.known_instances, Vec::<String>::new());
}

#[test]
fn a_young_intent_of_this_process_is_carried_out_once() {
    let mut scene = open(Outcome::Written);
    assert!(matches!(
        scene.decide().step,
        Step::Call(ApiCall::Start { .. })
    ));
    scene.now = at(1000 + SETTLE.as_secs() / 4 + 1);
    assert_eq!(scene.decide().step, written(Purpose::DropStart));
}

pub(super) fn open(outcome: Outcome) -> Scene {
    let status = json!({ "account": home(), "start": intent(1, "2026-01-03T00:00:00Z", &[]) });
    let mut scene = Scene::new(json!({}), status);
    scene.remember_start(outcome);
    scene
}

#[test]
fn an_intent_that_is_not_wanted_any_more_is_taken_back_before_the_call() {
    let changes: [fn(&mut Scene); 6] = [
        |s| s.resource["spec"]["state"] = json!("Stopped"),
        |s| s.resource["spec"]["suspend"] = json!(true),
        |s| s.resource["spec"]["numWorkers"] = json!(3),
        |s| s.account(|a| a.mode = AccountMode::Hold),
        |s| s.account(|a| a.allowed = false),
        |s| s.resource["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut scene = open(Outcome::Written);
        change(&mut scene);
        let decision = scene.decide();
        assert_eq!(
            decision.step,
            written(Purpose::DropStart),
            "change {number}"
        );
        assert!(decision.status.slot().start.is_none() && decision.status.account.is_none());
    }
}

/// The write that takes it back may have landed though its answer was lost: then nothing stands for the call any more.
#[test]
fn an_intent_that_may_be_taken_back_already_is_never_carried_out() {
    let mut scene = open(Outcome::Written);
    scene.resource["spec"]["state"] = json!("Stopped");
    assert_eq!(scene.decide().step, written(Purpose::DropStart));
    crate::instance::record::call_dropped(scene.memory.as_mut().unwrap().start.as_mut());
    // As wanted as before.
    scene.resource["spec"]["state"] = json!("Running");
    assert_eq!(scene.decide().step, written(Purpose::DropStart));
    // What was carried out is not forgotten by it.
    let mut scene = open(Outcome::InFlight);
    crate::instance::record::call_dropped(scene.memory.as_mut().unwrap().start.as_mut());
    let attempt = scene.memory.unwrap().start.unwrap();
    assert_eq!(attempt.outcome, Outcome::InFlight);
}

#[test]
fn a_refused_start_leaves_nothing_open_and_says_why() {
    let failure = |kind| Failure {
        kind,
        reason: Reason::InvalidArguments,
        message: "start instance failed: HTTP 400: no such context length".into(),
        generation: 1,
        failed_at: at(999),
        retry_at: at(1600),
        count: 1,
    };
    let mut scene = open(Outcome::Refused(failure(FailureKind::Terminal)));
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::DropStart));
    assert_eq!(stalled(&decision), Some("InvalidArguments"));

    let mut scene = fresh();
    scene.memory = Some(Memory {
        failure: Some(failure(FailureKind::Terminal)),
        ..Memory::default()
    });
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("InvalidArguments"));
    assert!(decision.status.slot().start.is_none());
    // Another spec is tried at once.
    scene.resource["metadata"]["generation"] = json!(2);
    assert!(scene.decide().status.slot().start.is_some());
}

#[test]
fn what_blocks_a_start_is_said() {
    type Change = fn(&mut Scene);
    let cases: [(Change, &str); 5] = [
        (|s| s.account(|a| a.mode = AccountMode::Hold), "AccountHeld"),
        (
            |s| s.account(|a| a.mode = AccountMode::StopAll),
            "AccountHeld",
        ),
        (|s| s.account(|a| a.allowed = false), "AccountNotAllowed"),
        (|s| s.account(|a| a.deleting = true), "AccountNotFound"),
        (
            |s| {
                s.view.fleet = Some(FleetView {
                    problem: Some((FailureKind::Auth, String::new())),
                    ..FleetView::default()
                })
            },
            "CredentialsInvalid",
        ),
    ];
    for (change, reason) in cases {
        let mut scene = fresh();
        change(&mut scene);
        let decision = scene.decide();
        assert_eq!(stalled(&decision), Some(reason));
        assert!(decision.status.slot().start.is_none());
    }
}

#[test]
fn suspended_or_stopped_resources_start_nothing() {
    for spec in [json!({ "suspend": true }), json!({ "state": "Stopped" })] {
        let mut scene = Scene::new(spec, json!({}));
        let decision = scene.decide();
        assert_eq!(decision.step, written(Purpose::Report));
        assert!(decision.status.slot().start.is_none() && reconciling(&decision).is_none());
    }
}

#[test]
fn what_could_never_be_stopped_is_not_adopted() {
    for id in ["delete-all", "stop-all", "Restart", "a/../b", "start?x"] {
        let spec = json!({ "adopt": { "instanceId": id } });
        let mut named = Scene::new(spec, json!({}));
        let mut matching = Scene::new(json!({ "adopt": { "matching": true } }), json!({}));
        for scene in [&mut named, &mut matching] {
            scene.account(|a| a.adoption = Adoption::Unclaimed);
            scene.list(999, &[instance(id, "running"), instance("i-9", "stopped")]);
            scene.quorum_read_at = Some(at(999));
        }
        let decision = named.decide();
        assert_eq!(stalled(&decision), Some("AdoptionNotAllowed"), "{id}");
        let message = &find_condition(&decision.status.conditions, STALLED)
            .unwrap()
            .message;
        assert!(message.contains(id) && message.contains("no call could be made to stop it"));
        let bound = Purpose::Bind {
            instance_id: "i-9".into(),
            resolved: false,
        };
        assert_eq!(
            matching.decide().step,
            Step::Write(Write::Status(bound)),
            "{id}"
        );
    }
}

#[test]
fn adoption_needs_the_accounts_consent_and_a_quorum_read() {
    let mut scene = Scene::new(json!({ "adopt": { "matching": true } }), json!({}));
    scene.list(
        999,
        &[instance("i-b", "stopped"), instance("i-c", "running")],
    );
    assert_eq!(stalled(&scene.decide()), Some("AdoptionNotAllowed"));

    scene.account(|a| a.adoption = Adoption::Unclaimed);
    // Of an owner that this operator does not see, it could not tell.
    scene.fleet(|f| f.has_unseen_users = true);
    assert_eq!(stalled(&scene.decide()), Some("AdoptionNotAllowed"));
    scene.fleet(|f| f.has_unseen_users = false);
    assert_eq!(scene.decide().step, Step::QuorumRead);
    scene.quorum_read_at = Some(at(999));
    let bound = Purpose::Bind {
        instance_id: "i-c".into(),
        resolved: false,
    };
    assert_eq!(scene.decide().step, Step::Write(Write::Status(bound)));

    // What a resource has, or an open start may have created, is not there to be taken.
    scene.others = vec![
        resource(
            "owner",
            json!({}),
            json!({ "account": home(), "instanceId": "i-c" }),
        ),
        resource(
            "open",
            json!({}),
            json!({ "account": home(), "start": intent(9, "2026-01-01T00:00:00Z", &[]) }),
        ),
    ];
    assert_eq!(reconciling(&scene.decide()), Some("ResolvingStart"));
    // What an overtaken start has made is for a person to say, who may as well let it be taken over.
    slot(&mut scene.others[1])["start"]["overtaken"] = json!(true);
    let bound = Purpose::Bind {
        instance_id: "i-b".into(),
        resolved: false,
    };
    assert_eq!(scene.decide().step, Step::Write(Write::Status(bound)));
}
