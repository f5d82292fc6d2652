//! What an emptied status, or the annotation that outlived it, says; and when the annotation is written.

use cortecs_resources::reason::Reason;

use super::*;

/// A resource without a status whose annotation is worth this.
fn restored(sealed_id: SealedId) -> Scene {
    let mut scene = Scene::new(json!({}), json!({}));
    scene.sealed_id = Some(sealed_id);
    scene
}

fn proven() -> Scene {
    restored(SealedId::Proven("i-1".into()))
}

fn get() -> Step {
    Step::Call(ApiCall::Get {
        instance_id: "i-1".into(),
    })
}

/// The instance was looked up just now.
fn looked_up(scene: &mut Scene, found: Option<&Instance>) {
    let now = scene.now;
    let bound = scene.memory.as_mut().unwrap().of_instance("i-1").unwrap();
    bound.direct = found.map(|i| (now, Arc::new(i.clone())));
    bound.lookup_failed = found.is_none();
    let before = bound.lookup.take().filter(|_| found.is_none());
    bound.lookup =
        (found.is_none()).then(|| Lookup::next(before.as_ref(), now, lookup::Answer::NotFound));
}

#[test]
fn what_the_annotation_proves_is_bound_once_it_is_listed_confirmed_and_free() {
    let mut scene = proven();
    let mut there = instance("i-1", "running");
    there.instance_args.context_length = Some(8_000);
    scene.list(999, std::slice::from_ref(&there));
    assert_eq!(scene.decide().step, get());
    looked_up(&mut scene, Some(&there));
    assert_eq!(scene.decide().step, Step::QuorumRead);
    scene.quorum_read_at = Some(scene.now);
    let decision = scene.decide();
    assert!(
        matches!(&decision.step, Step::Write(Write::Status(Purpose::Bind { instance_id, .. })) if instance_id == "i-1"),
        "{:?}",
        decision.step
    );
    let status = decision.status;
    assert_eq!(status.account.as_ref().unwrap().name, "main");
    // What was in force counts as what was asked for.
    assert_eq!(
        status
            .slot()
            .requested_args
            .as_ref()
            .unwrap()
            .context_length,
        Some(8_000)
    );
    assert!(status.slot().last_start_time.is_some());
}

#[test]
fn what_answers_leave_out_is_no_reason_to_replace_what_was_restored() {
    let mut scene = proven();
    let mut there = instance("i-1", "running");
    there.instance_args.num_workers = None;
    scene.list(999, std::slice::from_ref(&there));
    scene.observe();
    looked_up(&mut scene, Some(&there));
    scene.quorum_read_at = Some(scene.now);
    let bound = scene.decide().status;
    for (workers, replaced) in [(1, false), (2, true)] {
        scene.resource = resource("me", json!({ "numWorkers": workers }), json!({}));
        scene.resource["status"] = serde_json::to_value(&bound).unwrap();
        let stops = matches!(scene.decide().step, Step::Call(ApiCall::Stop { .. }));
        assert_eq!(stops, replaced, "{workers}");
    }
}

#[test]
fn an_order_to_restart_is_as_old_as_the_binding() {
    let mut scene = proven().annotated("cortecs.ai/restartedAt", "once");
    let there = instance("i-1", "running");
    scene.list(999, std::slice::from_ref(&there));
    scene.observe();
    looked_up(&mut scene, Some(&there));
    scene.quorum_read_at = Some(scene.now);
    let status = scene.decide().status;
    assert_eq!(status.last_handled_restart_at.as_deref(), Some("once"));
}

#[test]
fn neither_consent_nor_the_wish_to_run_is_needed() {
    for spec in [json!({"state": "Stopped"}), json!({"suspend": true})] {
        let mut scene = proven();
        scene.resource = resource("me", spec, json!({}));
        scene.account(|account| {
            account.allowed = false;
            account.mode = AccountMode::Hold;
        });
        scene.list(999, &[instance("i-1", "running")]);
        assert_eq!(scene.decide().step, get());
    }
}

#[test]
fn nothing_is_started_before_it_is_known_to_be_gone() {
    let mut scene = proven();
    scene.list(999, &[]);
    let decision = scene.decide();
    assert!(decision.busy && reconciling(&decision) == Some("Restoring"));
    scene.lists([1001, 1002], &[]);
    assert_eq!(reconciling(&scene.decide()), Some("Restoring"));
    scene.now = at(1200);
    assert_eq!(scene.decide().step, get());
    looked_up(&mut scene, None);
    scene.list(1199, &[]);
    let decision = scene.decide();
    assert!(
        matches!(
            decision.step,
            Step::Write(Write::Status(Purpose::StartIntent(_)))
        ),
        "{:?}",
        decision.step
    );
}

#[test]
fn what_lists_still_show_but_a_get_does_not_is_not_bound() {
    let mut scene = proven();
    scene.list(999, &[instance("i-1", "running")]);
    scene.observe();
    looked_up(&mut scene, None);
    scene.quorum_read_at = Some(scene.now);
    let decision = scene.decide();
    assert!(
        !scene.asks_for_list(&decision) && reconciling(&decision) == Some("Restoring"),
        "{decision:?}"
    );
    // It is asked for less and less often, and then a person is told.
    let mut gets = 0;
    for second in 1001..1240 {
        scene.lists([second], &[instance("i-1", "running")]);
        let decision = scene.decide();
        assert!(!scene.asks_for_list(&decision), "second {second}");
        if decision.step == get() {
            gets += 1;
            looked_up(&mut scene, None);
        }
    }
    assert!((5..12).contains(&gets), "{gets} gets");
    assert_eq!(stalled(&scene.decide()), Some("InstanceNotFound"));
}

#[test]
fn what_another_has_is_never_touched() {
    let other = json!({"instanceId": "i-1", "account": home()});
    let mut scene = proven();
    scene.others.push(resource("winner", json!({}), other));
    scene.list(999, &[instance("i-1", "running")]);
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("InstanceClaimed"));
    let conditions = &decision.status.conditions;
    let message = &find_condition(conditions, STALLED).unwrap().message;
    assert!(message.contains("ns/winner") && message.contains("remove the annotation"));
    let mut scene = scene.deleting();
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
}

#[test]
fn without_a_secret_to_check_it_with_nothing_is_decided() {
    for (deleting, way_out) in [(false, "cannot be told"), (true, "Orphan")] {
        let mut scene = restored(SealedId::Unchecked);
        if deleting {
            scene = scene.deleting();
        }
        scene.view.desired = Desired::Unusable {
            reason: Reason::SecretNotFound,
            message: "no Secret".into(),
        };
        scene.view.fleet = None;
        let decision = scene.decide();
        let (kind, reason) = match deleting {
            true => (STALLED, "SecretNotFound"),
            false => (RECONCILING, "WaitingForSecret"),
        };
        assert_eq!(decision.step, written(Purpose::Report));
        let conditions = &decision.status.conditions;
        let condition = find_condition(conditions, kind).unwrap();
        assert_eq!(condition.reason, reason);
        let message = &condition.message;
        assert!(message.contains(way_out) && message.contains("no Secret"));
    }
}

#[test]
fn deleting_binds_first_and_leaves_what_is_gone() {
    let mut scene = proven().deleting();
    scene.list(999, &[instance("i-1", "running")]);
    assert_eq!(scene.decide().step, get());
    scene.now = at(1300);
    scene.lists([1301, 1302], &[]);
    looked_up(&mut scene, None);
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
    let mut orphan = proven().deleting();
    orphan.resource["spec"]["deletionPolicy"] = json!("Orphan");
    assert_eq!(orphan.decide().step, Step::Write(Write::RemoveFinalizer));
}

#[test]
fn a_status_that_records_anything_outweighs_the_annotation() {
    for status in [
        json!({"lastStartTime": "2026-01-01T00:00:00Z"}),
        json!({"voidedStarts": [{"id": Uuid::nil(), "requestedAt": "2026-01-01T00:00:00Z",
            "voidedAt": "2026-01-01T00:00:00Z", "args": args()}]}),
    ] {
        let mut scene = Scene::new(json!({}), status);
        scene.sealed_id = Some(SealedId::Proven("i-1".into()));
        scene.list(999, &[instance("i-1", "running")]);
        let decision = scene.decide();
        assert!(
            matches!(
                decision.step,
                Step::Write(Write::Status(Purpose::StartIntent(_)))
            ),
            "{:?}",
            decision.step
        );
    }
}

#[test]
fn others_leave_what_the_annotation_proves_alone() {
    let mut scene = Scene::new(
        json!({}),
        json!({"account": home(), "start": intent(1, "2026-01-02T00:00:00Z", &[])}),
    );
    scene
        .others
        .push(resource("restored", json!({}), json!({})));
    let mut memory = Memory::default();
    let restored: CortecsInstance = serde_json::from_value(scene.others[0].clone()).unwrap();
    let sealed_id = SealedId::Proven("i-1".into());
    memory.observe_sealed_id(sealed_id, Some(&fleet()), &restored, None, at(900));
    scene.remembered.push(("restored", memory));
    scene.list(999, &[instance("i-1", "running")]);
    scene.observe();
    scene.list(1000, &[instance("i-1", "running")]);
    let decision = scene.decide();
    assert_eq!(reconciling(&decision), Some("ResolvingStart"));
    assert!(matches!(
        decision.step,
        Step::Write(Write::Status(Purpose::Report))
    ));
}

/// Another resource without a status whose annotation names i-1, not looked at yet.
fn unread() -> serde_json::Value {
    let value = format!("i-1.{}", "0".repeat(64));
    let mut other = resource("restored", json!({}), json!({}));
    other["metadata"]["annotations"] = json!({ "cortecs.ai/instance-id": value });
    other
}

/// What is remembered of it once it was looked at, at this second.
fn looked_at(sealed_id: SealedId, second: u64) -> Memory {
    let mut memory = Memory::default();
    let restored: CortecsInstance = serde_json::from_value(unread()).unwrap();
    memory.observe_sealed_id(sealed_id, Some(&fleet()), &restored, None, at(second));
    memory
}

fn is_bind(decision: &Decision) -> bool {
    matches!(
        decision.step,
        Step::Write(Write::Status(
            Purpose::Bind { .. } | Purpose::StartIntent(_)
        ))
    )
}

/// A start that made i-1 as far as anybody can tell, and a resource that takes it over: each about to bind it.
fn about_to_bind() -> [Scene; 2] {
    let mut start = Scene::new(
        json!({}),
        json!({"account": home(), "start": intent(1, "2026-01-02T00:00:00Z", &[])}),
    );
    start.observe();
    start.lists([1000], &[instance("i-1", "running")]);
    start.found(&["i-1"]);
    let mut adopt = Scene::new(json!({"adopt": {"instanceId": "i-1"}}), json!({}));
    adopt.account(|account| account.adoption = Adoption::Unclaimed);
    adopt.list(1000, &[instance("i-1", "running")]);
    [start, adopt].map(|mut scene| {
        scene.quorum_read_at = Some(scene.now);
        assert!(is_bind(&scene.decide()));
        scene
    })
}

#[test]
fn what_an_annotation_may_prove_is_not_bound_before_it_was_looked_at() {
    for mut scene in about_to_bind() {
        scene.others.push(unread());
        let decision = scene.decide();
        assert!(!is_bind(&decision), "{decision:?}");
        assert!(reconciling(&decision).is_some() && decision.look_again.is_some());
        // A process that has just begun sees the annotation before it can check it.
        scene.remembered = vec![("restored", looked_at(SealedId::Unchecked, 821))];
        assert!(!is_bind(&scene.decide()));
        // Once it is proven it is the other's.
        let proven = looked_at(SealedId::Proven("i-1".into()), 999);
        scene.remembered = vec![("restored", proven)];
        assert!(!is_bind(&scene.decide()));
    }
}

#[test]
fn an_annotation_that_proves_nothing_keeps_nobody_waiting() {
    for mut scene in about_to_bind() {
        // It was checked; or it could not be for the settle time, as its account cannot be used.
        for (sealed_id, second) in [(SealedId::None, 999), (SealedId::Unchecked, 820)] {
            scene.others = vec![unread()];
            scene.remembered = vec![("restored", looked_at(sealed_id, second))];
            assert!(is_bind(&scene.decide()));
        }
        scene.remembered.clear();
        // Another instance's, or what nobody sealed, or beside a status.
        let annotation = |value: String| {
            let mut other = unread();
            other["metadata"]["annotations"]["cortecs.ai/instance-id"] = json!(value);
            other
        };
        let mut recorded = unread();
        recorded["status"] = json!({"instanceId": "i-9", "account": home()});
        for other in [
            annotation(format!("i-2.{}", "0".repeat(64))),
            annotation("i-1".into()),
            recorded,
        ] {
            scene.others = vec![other];
            assert!(is_bind(&scene.decide()));
        }
    }
}

fn sealed(change: impl FnOnce(&mut Scene)) -> Step {
    let mut scene = Scene::new(
        json!({}),
        json!({"instanceId": "i-1", "account": home(), "lastStartTime": "2026-01-01T00:00:00Z"}),
    );
    scene.sealed_id = Some(SealedId::None);
    scene.list(999, &[instance("i-1", "running")]);
    change(&mut scene);
    scene.decide().step
}

#[test]
fn the_bound_id_is_sealed_once_and_holds_nothing_up() {
    let seal = Step::Write(Write::Seal {
        instance_id: "i-1".into(),
    });
    assert_eq!(sealed(|_| {}), seal);
    assert_eq!(
        sealed(|s| s.sealed_id = Some(SealedId::Proven("i-0".into()))),
        seal
    );
    let proven = sealed(|s| s.sealed_id = Some(SealedId::Proven("i-1".into())));
    assert_eq!(proven, written(Purpose::Report));
    let failed = sealed(|s| {
        s.observe();
        crate::instance::record_write::seal_failed(
            s.memory.as_mut().unwrap(),
            "no".to_owned(),
            at(941),
        );
    });
    assert_eq!(failed, written(Purpose::Report));
    let stop = sealed(|s| s.resource["spec"]["state"] = json!("Stopped"));
    assert!(matches!(stop, Step::Call(ApiCall::Stop { .. })), "{stop:?}");
    let no_secret = sealed(|s| s.view.fleet = None);
    assert!(
        !matches!(no_secret, Step::Write(Write::Seal { .. })),
        "{no_secret:?}"
    );
    let claimed = sealed(|s| {
        let mut older = resource("older", json!({}), s.resource["status"].clone());
        older["metadata"]["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
        s.others.push(older);
    });
    assert_eq!(claimed, written(Purpose::Report));
}
