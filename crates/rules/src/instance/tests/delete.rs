//! What a deleted resource leaves behind: nothing that is paid for, unless it was told to.

use cortecs_resources::reason::Reason;

use super::{others::writing_start, *};
use crate::facts::{bound::Bound, failure::FailureKind};

pub(super) fn bound(policy: &str) -> Scene {
    let status = json!({ "account": home(), "instanceId": "i-1", "instanceArgs": args() });
    let mut scene = Scene::new(json!({ "deletionPolicy": policy }), status).deleting();
    scene.observe();
    scene.lists([1001], &[instance("i-1", "running")]);
    scene
}

impl Scene {
    pub(super) fn bound(&mut self) -> &mut Bound {
        self.memory_of_bound()
    }
}

pub(super) fn stop() -> Step {
    Step::Call(ApiCall::Stop {
        instance_id: "i-1".into(),
    })
}

fn delete() -> Step {
    Step::Call(ApiCall::Delete {
        instance_id: "i-1".into(),
    })
}

#[test]
fn nothing_bound_nothing_open_nothing_to_do() {
    let mut scene = Scene::new(json!({}), json!({})).deleting();
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
    scene.resource["metadata"]["finalizers"] = json!(["someone.else/finalizer"]);
    assert_eq!(scene.decide().step, written(Purpose::Report));
    assert_eq!(scene.shown().decide().step, Step::Rest);
}

#[test]
fn a_stop_that_is_only_taken_is_followed_by_a_delete_if_the_state_stays_odd() {
    let mut scene = bound("Delete");
    let mut odd = serde_json::to_value(instance("i-1", "running")).unwrap();
    odd["instance_status"]["status"] = json!("terminated");
    scene.lists([1002], &[serde_json::from_value(odd).unwrap()]);
    assert_eq!(scene.decide().step, stop());
    let called = at(1001);
    let bound = scene.bound();
    (bound.stop_accepted, bound.stops, bound.called) = (true, 1, Some(called));
    assert_eq!(scene.decide().step, delete());
}

#[test]
fn it_is_stopped_and_deleted_by_calling_whatever_the_list_says() {
    for listed in [
        &[instance("i-1", "running")][..],
        &[instance("i-1", "stopped")],
        &[],
    ] {
        let mut scene = bound("Delete");
        scene.lists([1002], listed);
        assert_eq!(scene.decide().step, stop());
        scene.bound().stop_answered = true;
        assert_eq!(scene.decide().step, delete());
        scene.bound().deleted = true;
        assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
    }
}

#[test]
fn absence_from_a_list_alone_lets_nothing_go() {
    let mut scene = bound("Delete");
    scene.bound().stop_answered = true;
    scene.now = at(1000 + SETTLE.as_secs());
    scene.lists([1200, 1201, 1202], &[]);
    assert_eq!(scene.decide().step, delete(), "it is called first");
    scene.bound().removal_tried = true;
    assert!(matches!(
        scene.decide().step,
        Step::Call(ApiCall::Get { .. })
    ));
    scene.bound().lookup_failed = true;
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
}

#[test]
fn whatever_the_api_answers_what_is_gone_lets_the_resource_go() {
    let mut scene = bound("Delete");
    // Each stop failed, with something that is no 400.
    scene.bound().removal_tried = true;
    scene.now = at(1000 + SETTLE.as_secs());
    scene.lists([1200, 1201], &[]);
    assert!(matches!(
        scene.decide().step,
        Step::Call(ApiCall::Get { .. })
    ));
    scene.bound().lookup_failed = true;
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));

    // Seen stopped by a later list, it can be deleted all the same.
    let mut scene = bound("Delete");
    scene.bound().called = Some(at(1002));
    scene.lists([1003], &[instance("i-1", "stopped")]);
    assert_eq!(scene.decide().step, delete());
}

#[test]
fn an_open_start_is_resolved_first() {
    let status = json!({ "account": home(), "start": intent(5, "2026-01-02T00:00:00Z", &[]) });
    let mut scene = Scene::new(json!({}), status).deleting();
    scene.observe();
    scene.lists([1001], &[]);
    assert_ne!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
}

#[test]
fn an_open_restart_is_resolved_first() {
    let mut scene = bound("Stop");
    slot(&mut scene.resource)["restart"] =
        json!({ "id": Uuid::from_u128(3), "requestedAt": "2026-01-02T00:00:00Z" });
    scene.lists([1002], &[instance("i-1", "stopped")]);
    assert_eq!(reconciling(&scene.decide()), Some("ResolvingRestart"));
    // What is up is stopped, and what may still come up again is waited for.
    scene.lists([1003], &[instance("i-1", "pending")]);
    let decision = scene.decide();
    assert_eq!(decision.step, stop());
    assert!(decision.status.slot().restart.is_some());
    scene.lists([1190], &[instance("i-1", "pending")]);
    assert_eq!(scene.decide().step, written(Purpose::DropRestart));
}

#[test]
fn stop_leaves_a_stopped_instance_and_orphan_leaves_it_as_it_is() {
    let mut scene = bound("Stop");
    assert_eq!(scene.decide().step, stop());
    scene.bound().called = Some(at(1002));
    scene.bound().stops = 1;
    assert_ne!(
        scene.decide().step,
        Step::Write(Write::RemoveFinalizer),
        "the list is older than the stop"
    );
    // A list may show how it was before a restart.
    scene.lists([1003], &[instance("i-1", "stopped")]);
    let get = Step::Call(ApiCall::Get {
        instance_id: "i-1".into(),
    });
    assert_eq!(scene.decide().step, get);
    scene.bound().lookup = Some(Lookup::next(None, at(1003), lookup::Answer::NotFound));
    let decision = scene.decide();
    assert!(!decision.step.is_call() && decision.busy && !scene.asks_for_list(&decision));
    // A later list shows it too, and later still it is said that nothing is proven.
    scene.lists([1006], &[instance("i-1", "stopped")]);
    assert_eq!(scene.decide().step, get);
    scene.bound().lookup = Some(Lookup {
        asked: at(1200),
        ..Lookup::next(None, at(1003), lookup::Answer::NotFound)
    });
    scene.lists([1200], &[instance("i-1", "stopped")]);
    assert_eq!(stalled(&scene.decide()), Some("InstanceNotFound"));
    scene.bound().stopped = true;
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
    assert_eq!(
        bound("Orphan").decide().step,
        Step::Write(Write::RemoveFinalizer)
    );
}

/// What a start has made that is given up too early would be taken by another start.
#[test]
fn orphan_gives_an_open_start_up_where_the_account_cannot_be_reached_but_not_before_it_was_checked()
{
    let start = intent(1, "2026-01-01T00:00:00Z", &[]);
    let status = json!({ "account": home(), "start": start });
    let spec = json!({ "deletionPolicy": "Orphan" });
    let mut scene = Scene::new(spec, status).deleting();
    let fleet = scene.view.fleet.take();
    scene.view.desired = Desired::Pending("the accounts are being checked".into());
    scene.view.unchecked = true;
    let decision = scene.decide();
    assert_eq!(decision.step, Step::Rest);
    assert_eq!(decision.look_again, Some(Duration::from_secs(1)));
    scene.view.unchecked = false;
    scene.view.desired = Desired::Unusable {
        reason: Reason::AccountNotFound,
        message: "it is gone".into(),
    };
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
    scene.view.fleet = fleet;
    assert_ne!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
}

#[test]
fn who_was_stopped_and_is_seen_up_again_is_stopped_again() {
    let mut scene = bound("Stop");
    scene.lists([1003], &[instance("i-1", "stopped")]);
    scene.bound().called = Some(at(1002));
    scene.bound().stops = 1;
    scene.bound().stopped = true;
    scene.now = at(1000 + SETTLE.as_secs());
    scene.lists([1200], &[instance("i-1", "running")]);
    assert_eq!(scene.decide().step, stop());
}

#[test]
fn hold_suspend_and_another_account_do_not_keep_a_delete() {
    let changes: [fn(&mut Scene); 4] = [
        |s| s.resource["spec"]["suspend"] = json!(true),
        |s| s.account(|a| a.mode = AccountMode::Hold),
        |s| s.account(|a| a.allowed = false),
        |s| s.account(|a| a.identity.client_id = "other".into()),
    ];
    for change in changes {
        let mut scene = bound("Delete");
        change(&mut scene);
        assert_eq!(scene.decide().step, stop());
    }
}

#[test]
fn without_credentials_it_waits_and_says_why() {
    let mut scene = bound("Delete");
    scene.view = AccountView {
        unchecked: false,
        named: Some(ObjectKey::new("ns", "main")),
        desired: Desired::Unusable {
            reason: Reason::SecretNotFound,
            message: "Secret ns/cortecs is not there".into(),
        },
        limits: None,
        fleet: None,
    };
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("SecretNotFound"));
    assert_eq!(decision.step, written(Purpose::Report));

    // Found by a new process, after the account's credentials became somebody else's.
    let mut scene = bound("Delete");
    scene.account(|a| a.identity.client_id = "other".into());
    scene.view.fleet = None;
    assert_eq!(stalled(&scene.decide()), Some("AccountChanged"));

    let mut scene = bound("Delete");
    scene.view.fleet.as_mut().unwrap().problem = Some((FailureKind::Auth, "refused".into()));
    assert_eq!(stalled(&scene.decide()), Some("CredentialsInvalid"));
}

#[test]
fn who_does_not_own_the_instance_leaves_it() {
    let mut scene = bound("Delete");
    let mut older = resource(
        "older",
        json!({}),
        json!({ "account": home(), "instanceId": "i-1" }),
    );
    older["metadata"]["creationTimestamp"] = json!("2025-01-01T00:00:00Z");
    scene.others = vec![older];
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
}

/// An instance that is left behind looks new to a start that is open, and to one whose intent is being written.
#[test]
fn open_starts_are_told_of_what_is_left_behind() {
    let mut scene = bound("Orphan");
    let start = intent(9, "2026-01-01T00:00:00Z", &[]);
    scene.others = vec![resource(
        "open",
        json!({}),
        json!({ "account": home(), "start": start }),
    )];
    let told = Step::Write(Write::LetGo {
        start_of: ObjectKey::new("ns", "open"),
        intent: Uuid::from_u128(9),
        digest: digest(Uuid::from_u128(9), "i-1"),
    });
    assert_eq!(scene.decide().step, told);
    // Of another model it cannot be, unless the model is not certain.
    slot(&mut scene.others[0])["start"]["args"]["modelId"] = json!("other--name");
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
    slot(&mut scene.others[0])["start"]["anyModel"] = json!(true);
    assert_eq!(scene.decide().step, told);

    slot(&mut scene.others[0])["start"] = intent(9, "2026-01-01T00:00:00Z", &["i-1"]);
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
    scene.remembered = vec![("open", writing_start(1, 1000))];
    assert!(!matches!(
        scene.decide().step,
        Step::Write(Write::RemoveFinalizer)
    ));
    scene.remembered.clear();

    // A record that is full takes no more: then a person says what that start has made.
    let full: Vec<String> = (0..512).map(|n| format!("{n:012x}")).collect();
    slot(&mut scene.others[0])["start"]["knownInstances"] = json!(full);
    let overtaken = Step::Write(Write::Overtake {
        start_of: ObjectKey::new("ns", "open"),
        intent: Uuid::from_u128(9),
    });
    assert_eq!(scene.decide().step, overtaken);
    slot(&mut scene.others[0])["start"]["overtaken"] = json!(true);
    assert_eq!(scene.decide().step, Step::Write(Write::RemoveFinalizer));
}
