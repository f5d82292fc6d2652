//! A process that only makes overdue stops. The clock on the wall says 2026-01-03T00:00:00Z.

use cortecs_resources::transition::TransitionReason;

use super::{
    super::reap::confined,
    limit::{ready, stop, then},
    *,
};

/// A resource whose instance was asked for at midnight of the day before, as the reaper sees it.
fn seen(spec: Value, state: &str, change: Value) -> Scene {
    let args = args();
    let mut status = json!({
        "account": home(), "instanceId": "i-1", "instanceArgs": args, "requestedArgs": args, "observedGeneration": 1,
        "lastStartTime": "2026-01-02T00:00:00Z", "instanceStatus": { "status": state },
    });
    for (name, value) in change.as_object().unwrap() {
        status[name] = value.clone();
    }
    let mut scene = Scene::new(spec, status);
    scene.settings = Settings::only_stops(SETTLE);
    scene.list(999, &[instance("i-1", state)]);
    scene
}

fn over() -> Value {
    json!({ "maxRuntimeSeconds": 60 })
}

#[test]
fn the_end_is_recorded_then_the_instance_is_stopped_and_the_status_is_the_operators() {
    let mut scene = seen(over(), "running", json!({}));
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    let end = decision.status.slot().run_end.clone().unwrap();
    assert_eq!(end.reason, TransitionReason::MaxRuntimeReached);
    let decision = then(&mut scene, decision);
    assert_eq!(decision.step, stop());
    scene.list(1000, &[instance("i-1", "stopped")]);
    let decision = scene.decide();
    assert_eq!(ready(&decision), ("True", "MaxRuntimeReached"));
    assert_eq!(decision.status.next_transition, None);
    assert_eq!(then(&mut scene, decision.clone()).step, Step::Rest);
    // The operator that comes back has nothing to add.
    scene.settings = Settings::new(SETTLE);
    assert_eq!(scene.decide().step, Step::Rest);
}

#[test]
fn it_is_stopped_without_a_finalizer_and_without_the_annotation_which_the_reaper_may_not_write() {
    let mut scene = seen(over(), "running", json!({}));
    scene.resource["metadata"]["finalizers"] = json!([]);
    scene.sealed_id = Some(SealedId::None);
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    assert_eq!(then(&mut scene, decision).step, stop());
}

#[test]
fn it_is_stopped_while_the_account_is_on_hold_has_mode_hold_or_is_being_deleted() {
    let changes: [fn(&mut Scene); 3] = [
        |scene| scene.hold(true),
        |scene| scene.account(|account| account.mode = AccountMode::Hold),
        |scene| scene.account(|account| account.deleting = true),
    ];
    for change in changes {
        let mut scene = seen(over(), "running", json!({}));
        change(&mut scene);
        let decision = scene.decide();
        assert_eq!(then(&mut scene, decision).step, stop());
    }
}

#[test]
fn what_is_not_due_by_the_present_spec_is_left_and_its_time_is_corrected() {
    let shown = json!({ "nextTransition": { "action": "Stop", "at": "2026-01-02T01:00:00Z", "reason": "MaxRuntimeReached" } });
    let mut scene = seen(json!({ "maxRuntimeSeconds": 86_460 }), "running", shown);
    // The change of the spec would also replace the instance.
    scene.resource["spec"]["contextLength"] = json!(8_000);
    let before = scene.parsed().status.unwrap();
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    let next = decision.status.next_transition.clone().unwrap();
    assert_eq!(next.at.to_string(), "2026-01-03T00:01:00Z");
    assert_eq!(decision.status.conditions, before.conditions);
    assert_eq!(then(&mut scene, decision).step, Step::Rest);
}

/// Another spec that still limits the run, after the end was recorded: another run, which ends in its turn.
#[test]
fn another_run_that_nobody_watches_gets_its_end() {
    let end =
        json!({ "reason": "MaxRuntimeReached", "at": "2026-01-02T00:01:00Z", "generation": 1 });
    let mut scene = seen(over(), "running", json!({}));
    slot(&mut scene.resource)["runEnd"] = end;
    scene.resource["metadata"]["generation"] = json!(2);
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    let next = decision.status.next_transition.clone().unwrap();
    assert_eq!(next.at.to_string(), "2026-01-03T00:01:00Z");
    assert_eq!(decision.status.slot().run_end, None);
}

#[test]
fn a_restart_that_is_asked_for_is_left_to_the_operator() {
    let mut scene = seen(over(), "running", json!({})).annotated("cortecs.ai/restartedAt", "now");
    let decision = scene.decide();
    let decision = then(&mut scene, decision);
    assert_eq!(decision.step, stop());
    scene.list(1000, &[instance("i-1", "stopped")]);
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    assert_eq!(reconciling(&decision), Some("Pending"));
    assert_eq!(decision.status.last_handled_restart_at, None);
    assert_eq!(then(&mut scene, decision).step, Step::Rest);
}

/// A stopped instance with a restart that was written ahead. The operator died after that.
fn restarted(spec: Value) -> Scene {
    let intent = json!({ "id": Uuid::from_u128(1), "requestedAt": "2026-01-02T00:00:00Z" });
    seen(spec, "stopped", json!({ "restart": intent }))
}

#[test]
fn a_restart_that_the_operator_died_in_is_stopped_and_stays_open_until_it_is_settled() {
    let mut scene = restarted(over());
    scene.list(1000, &[instance("i-1", "running")]);
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    let end = decision.status.slot().run_end.clone().unwrap();
    assert_eq!(end.reason, TransitionReason::MaxRuntimeReached);
    let decision = then(&mut scene, decision);
    assert_eq!(decision.step, stop());
    scene.list(1001, &[instance("i-1", "stopped")]);
    let decision = scene.decide();
    assert!(decision.status.slot().restart.is_some());
    assert_eq!(reconciling(&decision), Some("ResolvingRestart"));
    then(&mut scene, decision);
    scene.lists([SETTLED + 1, SETTLED + 2], &[instance("i-1", "stopped")]);
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::VoidRestart));
    let decision = then(&mut scene, decision);
    assert_eq!(ready(&decision), ("True", "MaxRuntimeReached"));
}

#[test]
fn a_restart_that_had_no_effect_is_given_up_and_left_to_the_operator() {
    let mut scene = restarted(over());
    scene.list(1000, &[instance("i-1", "stopped")]);
    let decision = scene.decide();
    assert_eq!(reconciling(&decision), Some("ResolvingRestart"));
    then(&mut scene, decision);
    scene.lists([SETTLED + 1, SETTLED + 2], &[instance("i-1", "stopped")]);
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::VoidRestart));
    assert_eq!(decision.status.slot().run_end, None, "nothing has run");
    assert_eq!(then(&mut scene, decision).step, Step::Rest);
}

#[test]
fn a_restart_whose_run_may_go_on_is_left_to_the_operator() {
    let mut scene = restarted(json!({ "maxRuntimeSeconds": 86_460 }));
    scene.list(1000, &[instance("i-1", "running")]);
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Report));
    let next = decision.status.next_transition.clone().unwrap();
    assert_eq!(next.at.to_string(), "2026-01-03T00:01:00Z");
    assert_eq!(then(&mut scene, decision).step, Step::Rest);
}

#[test]
fn a_suspended_resource_is_left_alone() {
    let mut scene = seen(
        json!({ "maxRuntimeSeconds": 60, "suspend": true }),
        "running",
        json!({}),
    );
    assert_eq!(scene.decide().step, Step::Rest);
}

#[test]
fn of_a_resource_that_is_being_deleted_the_instance_is_stopped_and_nothing_is_deleted() {
    for (policy, stops) in [("Delete", true), ("Stop", true), ("Orphan", false)] {
        let spec = json!({ "maxRuntimeSeconds": 60, "deletionPolicy": policy });
        let mut scene = seen(spec, "running", json!({})).deleting();
        let decision = scene.decide();
        match stops {
            true => assert_eq!(decision.step, stop(), "{policy}"),
            false => assert_eq!(decision.step, Step::Rest, "{policy}"),
        }
        scene.list(1000, &[instance("i-1", "stopped")]);
        let decision = scene.decide();
        assert!(decision.step.only_stops(), "{:?}", decision.step);
        assert!(!decision.step.is_call(), "{:?}", decision.step);
    }
}

/// Whatever a resource needs, the operator would begin to run something here, and the reaper does not.
#[test]
fn nothing_is_started_restarted_replaced_or_bound() {
    let stopped_by_others = seen(json!({}), "stopped", json!({}));
    let mut to_replace = seen(json!({}), "running", json!({}));
    to_replace.resource["spec"]["contextLength"] = json!(8_000);
    let new = Scene::new(json!({}), json!({ "observedGeneration": 1 }));
    let mut to_adopt = Scene::new(json!({}), json!({ "observedGeneration": 1 }));
    to_adopt.resource["spec"]["adopt"] = json!({ "instanceId": "i-2" });
    to_adopt.account(|account| account.adoption = Adoption::Unclaimed);
    to_adopt.list(999, &[instance("i-2", "running")]);
    let mut open = Scene::new(
        json!({}),
        json!({ "account": home(), "start": intent(1, "2026-01-02T00:00:00Z", &[]) }),
    );
    open.list(1100, &[instance("i-2", "running")]);
    for (what, mut scene) in [
        ("a restart", stopped_by_others),
        ("a replacement", to_replace),
        ("a start", new),
        ("an adoption", to_adopt),
        ("an open start", open),
    ] {
        scene.quorum_read_at = Some(at(2000));
        scene.settings = Settings::new(SETTLE);
        let operator = scene.decide();
        assert_ne!(operator.step, Step::Rest, "{what}");
        scene.settings = Settings::only_stops(SETTLE);
        assert_eq!(scene.decide().step, Step::Rest, "{what}");
    }
}

#[test]
fn an_account_that_is_not_checked_yet_is_waited_for() {
    let mut scene = seen(over(), "running", json!({}));
    scene.view.unchecked = true;
    let decision = scene.decide();
    assert_eq!(
        (decision.step, decision.look_again.is_some()),
        (Step::Rest, true)
    );
}

#[test]
fn an_instance_that_is_gone_is_forgotten_and_no_other_is_started() {
    let mut scene = seen(over(), "running", json!({}));
    let decision = scene.decide();
    scene.resource["status"] = serde_json::to_value(decision.status).unwrap();
    scene.lists([1000, SETTLED + 1], &[]);
    let decision = scene.decide();
    let get = ApiCall::Get {
        instance_id: "i-1".into(),
    };
    assert_eq!(decision.step, Step::Call(get));
    scene.memory_of_bound().lookup_failed = true;
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Unbind));
    assert_eq!(then(&mut scene, decision).step, Step::Rest);
}

/// The second look at each step, whatever led to it: a decision with any other step is dropped, and so is the status that goes with it.
#[test]
fn only_stops_gets_and_reports_pass() {
    let (id, intent) = ("i-1".to_owned(), Uuid::from_u128(1));
    let status = |purpose| Step::Write(Write::Status(purpose));
    let bind = Purpose::Bind {
        instance_id: id.clone(),
        resolved: false,
    };
    let restart = ApiCall::Restart {
        intent,
        instance_id: id.clone(),
        before: at(2000),
    };
    let delete = ApiCall::Delete {
        instance_id: id.clone(),
    };
    for step in [
        status(Purpose::StartIntent(intent)),
        status(Purpose::RestartIntent(intent)),
        status(bind),
        Step::Call(restart),
        Step::Call(delete),
        Step::Call(ApiCall::FetchCapacity),
        Step::Write(Write::AddFinalizer),
        Step::Write(Write::RemoveFinalizer),
        Step::Write(Write::Seal { instance_id: id }),
    ] {
        assert!(!step.only_stops(), "{step:?}");
        let (decision, passed) = second_look(step);
        let before = seen(over(), "running", json!({})).parsed().status.unwrap();
        assert_eq!((&passed.step, &passed.status), (&Step::Rest, &before));
        assert!(decision.list_after.is_some() && passed.list_after.is_none());
        assert!(passed.look_again.is_some());
    }
    for step in [stop(), status(Purpose::Report), Step::Rest] {
        assert!(step.only_stops(), "{step:?}");
        let (decision, passed) = second_look(step);
        assert_eq!(passed, decision);
    }
}

/// A decision with this step, and what of it passes.
fn second_look(step: Step) -> (Decision, Decision) {
    let mut scene = seen(over(), "running", json!({}));
    let mut decision = scene.decide();
    assert!(decision.status.slot().run_end.is_some());
    (decision.step, decision.list_after) = (step, Some(at(2000)));
    let passed = scene.with_input(|input| confined(input, decision.clone()));
    (decision, passed)
}
