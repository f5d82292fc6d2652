//! What calls wait for, and what is shown meanwhile.

use cortecs_resources::{instance_status::Phase, reason::Reason};

use super::*;
use crate::{
    facts::failure::{Failure, FailureKind},
    pacing::pressure::{Rank, Wait},
};

const TROUBLE: &str = "the API answers HTTP 503";

impl Scene {
    fn in_trouble(mut self, wait: Option<Wait>) -> Self {
        let fleet = self.view.fleet.as_mut().unwrap();
        fleet.trouble = Some(TROUBLE.into());
        fleet.wait = wait;
        self
    }

    fn lists_fail(mut self) -> Self {
        let fleet = self.view.fleet.as_mut().unwrap();
        fleet.problem = Some((FailureKind::Transient, "list instances failed".into()));
        self
    }

    fn waits_for_turn(mut self) -> Self {
        self.view.fleet.as_mut().unwrap().wait = Some(Wait::Turn);
        self
    }
}

fn fresh() -> Scene {
    Scene::new(json!({}), json!({ "observedGeneration": -1 }))
}

fn paused() -> Option<Wait> {
    Some(Wait::Until(at(1020)))
}

/// A running instance that is to be stopped.
fn to_stop() -> Scene {
    let mut scene = Scene::new(
        json!({ "state": "Stopped" }),
        json!({ "account": home(), "instanceId": "i-1", "instanceArgs": args() }),
    );
    scene.observe();
    scene.lists([1001], &[instance("i-1", "running")]);
    scene
}

/// A stopped instance that is to run.
fn to_restart() -> Scene {
    let mut scene = to_stop();
    scene.resource["spec"]["state"] = json!("Running");
    scene.lists([1002], &[instance("i-1", "stopped")]);
    scene
}

fn message(decision: &Decision) -> &str {
    let condition = find_condition(&decision.status.conditions, RECONCILING);
    &condition.unwrap().message
}

fn own_failure(retry_at: u64, kind: FailureKind) -> Failure {
    Failure {
        kind,
        reason: Reason::RetryingAfterError,
        message: "own".into(),
        generation: 1,
        failed_at: at(999),
        retry_at: at(retry_at),
        count: 1,
    }
}

#[test]
fn in_a_pause_nothing_is_asked_for_and_it_is_shown_once() {
    let scenes = [
        (fresh as fn() -> Scene, Phase::Pending),
        (to_stop, Phase::Stopping),
        (to_restart, Phase::Stopped),
        (|| to_stop().deleting(), Phase::Deleting),
    ];
    for (scene, phase) in scenes {
        assert!(scene().decide().step.takes_turn(), "{phase:?}");
        let mut scene = scene().in_trouble(paused());
        let decision = scene.decide();
        assert_eq!(decision.step, written(Purpose::Report), "{phase:?}");
        assert_eq!(reconciling(&decision), Some("RetryingAfterError"));
        assert_eq!(
            (message(&decision), decision.status.phase),
            (TROUBLE, Some(phase))
        );
        assert_eq!(decision.look_again, Some(at(1020).since(scene.now)));
        // Whatever else fails meanwhile.
        let again = scene.shown().lists_fail().decide();
        assert_eq!((again.step, again.busy), (Step::Rest, true), "{phase:?}");
    }
}

#[test]
fn an_intent_whose_call_cannot_be_made_is_taken_back() {
    let status = json!({ "account": home(), "start": intent(1, "2026-01-03T00:00:00Z", &[]) });
    let mut scene = Scene::new(json!({}), status);
    scene.remember_start(Outcome::Written);
    let mut scene = scene.in_trouble(paused());
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::DropStart));
    assert_eq!(message(&decision), TROUBLE);
    assert!(scene.in_trouble(None).decide().step.is_call());
}

#[test]
fn after_a_pause_a_stop_may_go_first_but_a_start_waits_for_a_good_list() {
    let probing = |scene: Scene| scene.in_trouble(None).lists_fail().decide();
    assert!(probing(to_stop()).step.is_call());
    for scene in [fresh(), to_restart()] {
        let decision = probing(scene);
        assert_eq!(decision.step, written(Purpose::Report));
        assert_eq!(message(&decision), TROUBLE);
    }
    assert!(fresh().in_trouble(None).decide().step.takes_turn());
    // A list that fails by itself is no bad times yet.
    assert!(fresh().lists_fail().decide().step.takes_turn());
}

#[test]
fn who_waits_for_a_turn_says_so_only_if_nothing_is_shown_yet() {
    let first = Some(Rank::First);
    for (scene, rank) in [
        (fresh(), Some(Rank::Later)),
        (to_restart(), Some(Rank::Later)),
        (to_stop(), first),
        (to_stop().deleting(), first),
    ] {
        let mut scene = scene.waits_for_turn();
        let decision = scene.decide();
        assert_eq!(decision.step, written(Purpose::Report));
        assert_eq!((decision.queue, decision.busy), (rank, true));
        let mut scene = scene.shown();
        let again = scene.decide();
        assert_eq!((again.step, again.queue), (Step::Rest, rank));
    }
    // Bad times that are just over are not taken back before it goes on.
    let mut scene = fresh().in_trouble(paused()).shown().waits_for_turn();
    scene.view.fleet.as_mut().unwrap().trouble = None;
    let decision = scene.decide();
    assert_eq!(
        (decision.step, decision.queue),
        (Step::Rest, Some(Rank::Later))
    );
}

#[test]
fn a_failure_of_ones_own_that_lasts_says_more_than_bad_times() {
    let decide = |failure| {
        let mut scene = fresh().in_trouble(paused());
        scene.memory.get_or_insert_default().failure = Some(failure);
        scene.decide()
    };
    let decision = decide(own_failure(5000, FailureKind::Terminal));
    assert_eq!(stalled(&decision), Some("RetryingAfterError"));
    // One that passes does not, but it may last longer.
    let decision = decide(own_failure(1100, FailureKind::Transient));
    assert_eq!(message(&decision), TROUBLE);
    assert_eq!(decision.look_again, Some(Duration::from_secs(100)));
}

#[test]
fn a_turn_is_declined_by_who_neither_calls_nor_is_about_to() {
    assert!(!to_stop().decide().declines_turn(), "it calls");
    assert!(!to_stop().waits_for_turn().decide().declines_turn());
    let mut stale = fresh();
    stale.now = at(2000);
    let decision = stale.decide();
    assert!(
        stale.asks_for_list(&decision) && !decision.declines_turn(),
        "{decision:?}"
    );
    let mut stopped = fresh();
    stopped.resource["spec"]["state"] = json!("Stopped");
    assert!(stopped.decide().declines_turn());
}

/// What is applied together appears in any order, and GitOps tools give up on what is stalled.
#[test]
fn an_account_or_secret_that_is_not_there_is_waited_for_until_the_progress_deadline() {
    for (reason, waits) in [
        (Reason::AccountNotFound, "WaitingForAccount"),
        (Reason::SecretNotFound, "WaitingForSecret"),
    ] {
        let mut scene = fresh();
        scene.resource["spec"]["progressDeadlineSeconds"] = json!(600);
        let usable = scene.view.desired.clone();
        let missing = Desired::Unusable {
            reason,
            message: "create it".to_owned(),
        };
        scene.view.desired = missing.clone();
        let mut scene = scene.shown();
        assert_eq!(reconciling(&scene.decide()), Some(waits));
        for (since, overdue) in [
            ("2026-01-02T23:50:01Z", false),
            ("2026-01-02T23:50:00Z", true),
        ] {
            let conditions = scene.resource["status"]["conditions"].as_array_mut();
            for condition in conditions.unwrap() {
                condition["lastTransitionTime"] = json!(since);
            }
            let decision = scene.decide();
            assert_eq!(stalled(&decision), overdue.then_some(reason.as_str()));
        }
        // It stays stalled, unless the spec changes.
        let mut scene = scene.shown();
        assert_eq!(stalled(&scene.decide()), Some(reason.as_str()));
        scene.resource["metadata"]["generation"] = json!(2);
        assert_eq!(reconciling(&scene.decide()), Some(waits));
        // It is still tried.
        scene.view.desired = usable;
        assert!(scene.decide().status.slot().start.is_some());
    }
    // No account is named: that is no matter of time.
    let mut scene = fresh();
    scene.view.named = None;
    scene.view.desired = Desired::Unusable {
        reason: Reason::AccountNotFound,
        message: "no account is named".to_owned(),
    };
    assert_eq!(stalled(&scene.decide()), Some("AccountNotFound"));
}

/// What is known of an account that cannot be used is told of a running instance, too.
#[test]
fn a_running_instance_whose_account_is_gone_is_not_shown_as_ready() {
    let mut scene = super::bound::bound(json!({}));
    scene.lists([1000], &[instance("i-1", "running")]);
    let mut scene = scene.shown();
    assert!(reconciling(&scene.decide()).is_none());
    scene.view.fleet = None;
    scene.view.desired = Desired::Unusable {
        reason: Reason::AccountNotFound,
        message: "create it".to_owned(),
    };
    assert_eq!(reconciling(&scene.decide()), Some("WaitingForAccount"));
}
