//! Most of the instances that should run are suddenly gone or stopped, and no change in Kubernetes explains it: the account
//! is put on hold.

use cortecs_resources::{
    CortecsAccount, CortecsInstance,
    conditions::{READY, STALLED},
};
use cortecs_simulator::{Effect, Endpoint, Fault, When};
use serde_json::json;

use crate::harness::{
    Bed, CLIENT_ID, MODEL, Read, SOON, bound,
    crowd::{
        NAMES, RESUME, all_say, crowd, forbid_holds, hold, is_free, is_held, is_missing, list_only,
        shows_stopped,
    },
    is_ready, polls_every_second, running, sorted, stalled_because,
};

#[tokio::test]
async fn after_a_stop_of_all_instances_nothing_is_restarted_until_a_person_resumes_the_account() {
    let bed = Bed::new("brake-stop-all").await;
    let _operator = bed.operator();
    // This annotation is older than the hold, so it does not end the hold.
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
    let resource = bed.stalls("a", "AccountHeld").await;
    resource.assert_says(STALLED, RESUME);
    // The operator does not start the instance of a new resource either.
    bed.create("late", json!({"modelId": MODEL})).await;
    bed.stalls("late", "AccountHeld").await;
    bed.wait_lists(5).await;
    assert_eq!(bed.changes(), [5, 0, 0, 0]);
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
    assert_eq!(bed.all_run(&NAMES).await, ids);
    bed.runs("late").await;
    is_free(&bed).await;
    bed.wait_lists(3).await;
    assert_eq!(bed.changes(), [6, 5, 0, 0], "each is restarted once");
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
        // These lists take longer than the settle time, and are many more than an instance must be missing from to count as gone.
        bed.wait_lists(8).await;
        assert_eq!(bed.changes(), [5, 0, 0, 0], "{name}");

        bed.api.clear_faults();
        is_free(&bed).await;
        assert_eq!(bed.all_run(&NAMES).await, ids, "{name}");
        bed.wait_lists(2).await;
        assert_eq!(bed.changes(), [5, 0, 0, 0], "{name}");
        assert!(
            !bed.versions("a")
                .iter()
                .any(|r| is_missing(r) && is_ready(&**r))
        );
    }
}

#[tokio::test]
async fn credentials_that_came_to_belong_to_another_account_start_nothing_again() {
    let bed = Bed::new("brake-swapped").await;
    let _operator = bed.operator();
    let ids = crowd(&bed).await;
    bed.api.set_owner(CLIENT_ID, "another owner");
    is_held(&bed).await;
    all_say(&bed, is_missing).await;
    // An empty list does not prove that the instance is deleted: the resource waits, and its condition says why.
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
    assert_eq!(
        (bed.starts(), sorted(bed.existing())),
        (5, sorted(ids[..4].to_vec()))
    );
}

#[tokio::test]
async fn a_mass_change_changes_nothing_before_it_is_recorded_and_is_found_again_after_a_crash() {
    let bed = Bed::new("brake-crash").await;
    let operator = bed.operator();
    let ids = crowd(&bed).await;
    let policy = forbid_holds(&bed).await;
    bed.api.stop_everything(CLIENT_ID);
    bed.wait_lists(4).await;
    let untouched = |bed: &Bed| {
        assert_eq!(bed.changes(), [5, 0, 0, 0]);
        for name in NAMES {
            let newest = bed.versions(name).pop().unwrap();
            assert!(
                !shows_stopped(&newest),
                "a status shows a list with a mass change that is not recorded"
            );
        }
    };
    untouched(&bed);
    operator.kill();

    let operator = bed.operator();
    bed.wait_lists(4).await;
    untouched(&bed);
    policy.end().await;
    is_held(&bed).await;
    all_say(&bed, shows_stopped).await;
    operator.kill();

    // The statuses agree with the lists now: only the hold in the account's status tells of the mass change.
    let _operator = bed.operator();
    bed.wait_lists(4).await;
    is_held(&bed).await;
    assert_eq!(bed.changes(), [5, 0, 0, 0]);
    bed.annotate_account(RESUME, "now").await;
    assert_eq!(bed.all_run(&NAMES).await, ids);
    assert_eq!(bed.changes(), [5, 5, 0, 0]);
}

#[tokio::test]
async fn deleted_instances_are_started_anew_after_a_person_resumes_the_account_even_across_a_crash()
{
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
    assert_eq!(holds.len(), 1, "the account was on hold once: {holds:?}");
}

#[tokio::test]
async fn accounts_of_one_client_id_are_on_hold_together() {
    let bed = Bed::new("brake-twins").await;
    bed.create_account("second", polls_every_second()).await;
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
        let found = bed.accounts.wait(SOON, |record| {
            record.latest(&second).filter(|account| holds(account))
        });
        found
            .await
            .unwrap_or_else(|| panic!("the second account did not become {what}"))
    };
    wait_second("on hold", &|a| hold(a).is_some()).await;
    bed.stalls("other", "AccountHeld").await;

    // The hold on one account is enough to hold both.
    bed.annotate_account(RESUME, "now").await;
    let account = bed
        .wait_account("on hold because of the other", |a| {
            hold(a).is_none() && a.message(READY).contains("second")
        })
        .await;
    assert_eq!(account.reason(READY), "MassChange");
    bed.wait_lists(3).await;
    assert_eq!(bed.changes(), [6, 0, 0, 0]);
    bed.kubectl_text(&["annotate", "cortecsaccount/second", "cortecs.ai/resume=now"])
        .await;
    bed.all_run(&NAMES).await;
    bed.runs("other").await;
    is_free(&bed).await;
    assert_eq!(bed.changes(), [6, 6, 0, 0]);
}

#[tokio::test]
async fn a_start_whose_outcome_is_unknown_is_not_given_up_while_the_account_is_on_hold() {
    let bed = Bed::new("brake-start").await;
    let _operator = bed.operator();
    crowd(&bed).await;
    let lost = Effect::reset(When::After);
    bed.api.add_fault(Fault::once(Endpoint::Start, lost));
    // Lists stay as they are, and later lose most of their instances: they never show the new instance.
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
    assert!(status.journal.voided_starts.is_empty());
    assert_eq!((bed.starts(), bed.existing().len()), (6, 6));
}
