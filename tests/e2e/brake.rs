//! Most of what should run is suddenly gone or stopped and nobody here ordered it: the account holds itself.

use std::sync::Arc;

use cortecs_resources::{
    CortecsAccount, CortecsInstance,
    account::Hold,
    conditions::{READY, STALLED},
};
use cortecs_simulator::{Effect, Endpoint, Fault, FaultBody, When};
use serde_json::json;

use crate::{
    control_plane::assert_succeeded,
    harness::{Bed, CLIENT_ID, MODEL, Read, apply, bound, is_ready, running, stalled_because},
};

pub(crate) const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const RESUME: &str = "cortecs.ai/resume";

/// Five that run; their ids.
pub(crate) async fn crowd(bed: &Bed) -> Vec<String> {
    for name in NAMES {
        bed.create(name, json!({"modelId": MODEL})).await;
    }
    all_run(bed).await
}

pub(crate) async fn all_run(bed: &Bed) -> Vec<String> {
    let mut ids = Vec::new();
    for name in NAMES {
        ids.push(bed.runs(name).await);
    }
    ids
}

pub(crate) fn hold(account: &CortecsAccount) -> Option<&Hold> {
    account.status.as_ref()?.hold.as_ref()
}

pub(crate) async fn is_held(bed: &Bed) -> Arc<CortecsAccount> {
    bed.wait_account("held", |a| {
        stalled_because("MassChange")(a) && hold(a).is_some()
    })
    .await
}

pub(crate) async fn is_free(bed: &Bed) -> Arc<CortecsAccount> {
    bed.wait_account("free", |a| is_ready(a) && hold(a).is_none())
        .await
}

/// Each of the crowd says so.
pub(crate) async fn all_say(bed: &Bed, what: impl Fn(&CortecsInstance) -> bool) {
    for name in NAMES {
        bed.wait(name, "held", |r| {
            stalled_because("AccountHeld")(r) && what(r)
        })
        .await;
    }
}

pub(crate) fn is_missing(resource: &CortecsInstance) -> bool {
    let status = resource.status.as_ref();
    status.is_some_and(|s| s.missing_since.is_some() && s.instance_id.is_some())
}

pub(crate) fn shows_stopped(resource: &CortecsInstance) -> bool {
    let status = resource.status.as_ref();
    let shown = status.and_then(|s| s.instance_status.as_ref());
    shown.is_some_and(|s| s.status == "stopped")
}

/// Lists show the first so many instances as they are now, whatever there is; their ids.
fn list_only(bed: &Bed, count: usize) -> Vec<String> {
    let shown: Vec<_> = bed
        .api
        .instances(CLIENT_ID)
        .into_iter()
        .take(count)
        .collect();
    let body = json!({ "instances": shown }).to_string();
    let effect = Effect::Answer {
        when: When::Before,
        status: 200,
        body: FaultBody::Raw(body),
        retry_after: None,
        location: None,
    };
    bed.api
        .add_fault(Fault::new(Endpoint::ListInstances, effect));
    shown.into_iter().map(|i| i.instance_id).collect()
}

pub(crate) fn calls(bed: &Bed) -> [u64; 4] {
    [
        Endpoint::Start,
        Endpoint::Restart,
        Endpoint::Stop,
        Endpoint::Delete,
    ]
    .map(|endpoint| bed.api.count(endpoint))
}

#[tokio::test]
async fn after_a_stop_of_everything_nothing_is_restarted_until_a_person_says_so() {
    let bed = Bed::new("brake-stop-all").await;
    let _operator = bed.operator();
    // An old order, from before.
    bed.annotate_account(RESUME, "long ago").await;
    let ids = crowd(&bed).await;
    bed.api.stop_everything(CLIENT_ID);
    let account = is_held(&bed).await;
    let message = account.message(STALLED);
    assert!(
        message.contains("5 of 5") && message.contains(RESUME),
        "{message}"
    );
    all_say(&bed, shows_stopped).await;
    let resource = bed.wait("a", "held", stalled_because("AccountHeld")).await;
    assert!(
        resource.message(STALLED).contains(RESUME),
        "{}",
        resource.message(STALLED)
    );
    // Nor is anything new started.
    bed.create("late", json!({"modelId": MODEL})).await;
    bed.wait("late", "held", stalled_because("AccountHeld"))
        .await;
    bed.wait_lists(5).await;
    assert_eq!(calls(&bed), [5, 0, 0, 0]);
    assert_eq!(
        hold(&*is_held(&bed).await),
        hold(&account),
        "the same hold all the time"
    );
    let events = bed
        .kubectl_text(&["get", "events", "--field-selector", "reason=MassChange"])
        .await;
    assert!(events.contains("cortecsaccount/main"), "{events}");

    bed.annotate_account(RESUME, "now").await;
    assert_eq!(all_run(&bed).await, ids);
    bed.runs("late").await;
    is_free(&bed).await;
    bed.wait_lists(3).await;
    assert_eq!(calls(&bed), [6, 5, 0, 0], "each is restarted once");
    let holds: Vec<_> = bed
        .account_versions()
        .iter()
        .filter_map(|a| hold(a).cloned())
        .collect();
    assert!(holds.iter().all(|h| Some(h) == hold(&account)), "{holds:?}");
}

#[tokio::test]
async fn an_empty_or_a_truncated_list_is_waited_out() {
    for (name, shown) in [("brake-empty", 0), ("brake-truncated", 2)] {
        let bed = Bed::new(name).await;
        let _operator = bed.operator();
        let ids = crowd(&bed).await;
        let listed = list_only(&bed, shown);
        is_held(&bed).await;
        for (name, id) in NAMES.iter().zip(&ids) {
            let lacks = |r: &CortecsInstance| stalled_because("AccountHeld")(r) && is_missing(r);
            if !listed.contains(id) {
                bed.wait(name, "missing", lacks).await;
            }
        }
        // Longer than the settle time, and many lists more than the gone rule asks for.
        bed.wait_lists(8).await;
        assert_eq!(calls(&bed), [5, 0, 0, 0], "{name}");

        bed.api.clear_faults();
        is_free(&bed).await;
        assert_eq!(all_run(&bed).await, ids, "{name}");
        bed.wait_lists(2).await;
        assert_eq!(calls(&bed), [5, 0, 0, 0], "{name}");
        assert!(
            !bed.versions("a")
                .iter()
                .any(|r| is_missing(r) && is_ready(&**r))
        );
    }
}

#[tokio::test]
async fn credentials_that_belong_to_another_account_by_now_start_nothing_again() {
    let bed = Bed::new("brake-swapped").await;
    let _operator = bed.operator();
    let ids = crowd(&bed).await;
    bed.api.set_owner(CLIENT_ID, "somebody else");
    is_held(&bed).await;
    all_say(&bed, is_missing).await;
    // A delete is done only by its own answer: until then it waits, and says why.
    bed.delete("e").await;
    bed.wait("e", "waiting", |r| {
        r.metadata.deletion_timestamp.is_some()
            && r.reason(STALLED) == "AccountHeld"
            && r.message(STALLED).contains("on hold")
    })
    .await;
    bed.wait_lists(8).await;
    assert_eq!((bed.starts(), bed.existing().len()), (5, 0));

    bed.api.set_owner(CLIENT_ID, CLIENT_ID);
    bed.wait_gone("e").await;
    is_free(&bed).await;
    for (name, id) in NAMES.iter().zip(&ids).take(4) {
        assert_eq!(bed.runs(name).await, *id);
    }
    let mut expected = ids[..4].to_vec();
    let mut existing = bed.existing();
    expected.sort();
    existing.sort();
    assert_eq!((bed.starts(), existing), (5, expected));
}

#[tokio::test]
async fn nobody_acts_on_a_mass_change_before_it_is_recorded_and_a_crash_in_between_finds_it_again()
{
    let bed = Bed::new("brake-crash").await;
    let operator = bed.operator();
    let ids = crowd(&bed).await;
    forbid_holds(&bed, true).await;
    bed.api.stop_everything(CLIENT_ID);
    bed.wait_lists(4).await;
    let untouched = |bed: &Bed| {
        assert_eq!(calls(bed), [5, 0, 0, 0]);
        for name in NAMES {
            let newest = bed.versions(name).pop().unwrap();
            assert!(
                !shows_stopped(&newest),
                "a status shows a list that nobody may act on"
            );
        }
    };
    untouched(&bed);
    operator.kill();

    let operator = bed.operator();
    bed.wait_lists(4).await;
    untouched(&bed);
    forbid_holds(&bed, false).await;
    is_held(&bed).await;
    all_say(&bed, shows_stopped).await;
    operator.kill();

    // By now the statuses say what the lists say: the hold is what remains.
    let _operator = bed.operator();
    bed.wait_lists(4).await;
    is_held(&bed).await;
    assert_eq!(calls(&bed), [5, 0, 0, 0]);
    bed.annotate_account(RESUME, "now").await;
    assert_eq!(all_run(&bed).await, ids);
    assert_eq!(calls(&bed), [5, 5, 0, 0]);
}

/// Lets the API server refuse, or no longer refuse, to record a hold.
async fn forbid_holds(bed: &Bed, forbidden: bool) {
    let name = format!("no-holds-{}", bed.namespace);
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["cortecs.ai"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["cortecsaccounts/status"],
            }]},
            "validations": [{"expression": "!has(object.status.hold)"}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {
            "policyName": name, "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": bed.namespace}}},
        },
    });
    if !forbidden {
        bed.kubectl_text(&["delete", "validatingadmissionpolicybinding", &name])
            .await;
        return;
    }
    for object in [policy, binding] {
        assert_succeeded("the policy", &apply(bed.plane, &object).await);
    }
    // It takes effect a little later: a dry run tells.
    let hold = json!({"status": {"hold": {
        "reason": "MassChange", "since": "2026-01-01T00:00:00Z", "expected": 1, "lost": 1, "apiUrl": "x", "clientId": "x",
    }}});
    for round in 0.. {
        let patch = hold.to_string();
        let tried = bed
            .kubectl(&[
                "patch",
                "cortecsaccount/main",
                "--subresource=status",
                "--type=merge",
                "--dry-run=server",
                "-p",
                &patch,
            ])
            .await;
        if !tried.status.success() {
            return;
        }
        assert!(round < 100, "the policy does not take effect");
        bed.wait_lists(1).await;
    }
}

#[tokio::test]
async fn what_is_lost_for_good_is_started_anew_after_a_person_says_so_even_across_a_crash() {
    let bed = Bed::new("brake-lost").await;
    let operator = bed.operator();
    let ids = crowd(&bed).await;
    for id in &ids {
        bed.api.outsider_delete(id).unwrap();
    }
    is_held(&bed).await;
    all_say(&bed, is_missing).await;
    bed.wait_lists(8).await;
    assert_eq!((bed.starts(), bed.existing().len()), (5, 0));
    operator.kill();
    bed.annotate_account(RESUME, "now").await;
    let operator = bed.operator();
    is_free(&bed).await;
    operator.kill();

    let _operator = bed.operator();
    for (name, old) in NAMES.iter().zip(&ids) {
        bed.wait(name, "running anew", |r| running(r) && bound(r) != old)
            .await;
    }
    is_free(&bed).await;
    bed.wait_lists(3).await;
    assert_eq!((bed.starts(), bed.existing().len()), (10, 5));
    let holds = bed.account_versions();
    let mut holds: Vec<_> = holds.iter().filter_map(|a| hold(a)).collect();
    holds.dedup();
    assert_eq!(holds.len(), 1, "it held itself once: {holds:?}");
}

#[tokio::test]
async fn accounts_of_one_client_id_are_held_together() {
    let bed = Bed::new("brake-twins").await;
    let poll = json!({"poll": {"activeSeconds": 1, "idleSeconds": 1}});
    bed.create_account("second", poll).await;
    let _operator = bed.operator();
    crowd(&bed).await;
    bed.create(
        "other",
        json!({"modelId": MODEL, "accountRef": {"name": "second"}}),
    )
    .await;
    bed.runs("other").await;
    bed.api.stop_everything(CLIENT_ID);
    is_held(&bed).await;
    let second = (bed.namespace.clone(), "second".to_owned());
    let wait_second = async |what: &str, holds: &dyn Fn(&CortecsAccount) -> bool| {
        let found = bed.accounts.wait(crate::harness::SOON, |record| {
            record.latest(&second).filter(|account| holds(account))
        });
        found
            .await
            .unwrap_or_else(|| panic!("the second account did not become {what}"))
    };
    wait_second("held", &|a| hold(a).is_some()).await;
    bed.wait("other", "held", stalled_because("AccountHeld"))
        .await;

    // One of them is enough to hold both.
    bed.annotate_account(RESUME, "now").await;
    let account = bed
        .wait_account("held by the other", |a| {
            hold(a).is_none() && a.message(READY).contains("second")
        })
        .await;
    assert_eq!(account.reason(READY), "MassChange");
    bed.wait_lists(3).await;
    assert_eq!(calls(&bed), [6, 0, 0, 0]);
    bed.kubectl_text(&["annotate", "cortecsaccount/second", "cortecs.ai/resume=now"])
        .await;
    all_run(&bed).await;
    bed.runs("other").await;
    is_free(&bed).await;
    assert_eq!(calls(&bed), [6, 6, 0, 0]);
}

#[tokio::test]
async fn a_start_whose_outcome_is_unknown_is_not_given_up_while_the_account_is_held() {
    let bed = Bed::new("brake-start").await;
    let _operator = bed.operator();
    crowd(&bed).await;
    let lost = Effect::Drop {
        when: When::After,
        reset: true,
    };
    bed.api
        .add_fault(Fault::new(Endpoint::Start, lost).times(1));
    // Lists stay as they are, and then lose most of what they had: the new instance is never in them.
    list_only(&bed, 5);
    bed.create("late", json!({"modelId": MODEL})).await;
    bed.wait_api("get the start", |v| v.count(Endpoint::Start) == 6)
        .await;
    bed.api.clear_faults();
    list_only(&bed, 2);
    is_held(&bed).await;
    bed.wait("late", "waiting", |r| {
        stalled_because("AccountHeld")(r) && r.message(STALLED).contains("the start")
    })
    .await;
    bed.wait_lists(5).await;
    bed.api.clear_faults();
    let resource = bed.wait("late", "running", running).await;
    let status = resource.status.as_ref().unwrap();
    assert!(status.voided_starts.is_empty());
    assert_eq!((bed.starts(), bed.existing().len()), (6, 6));
}
