//! What does not end a hold: people who stop and delete resources, a status that is emptied, an account that is gone.

use cortecs_resources::conditions::STALLED;
use serde_json::json;

use crate::harness::{
    Bed, CLIENT_ID, Read, bound,
    crowd::{NAMES, all_say, crowd, hold, is_free, is_held, is_missing, shows_stopped},
    sorted, stalled_because, stopped,
};

#[tokio::test]
async fn resources_that_are_stopped_and_deleted_during_a_hold_do_not_end_it() {
    let bed = Bed::new("brake-people").await;
    let _operator = bed.operator();
    let ids = crowd(&bed).await;
    bed.api.set_owner(CLIENT_ID, "another owner");
    is_held(&bed).await;
    all_say(&bed, is_missing).await;
    bed.change("b", json!({"state": "Stopped"})).await;
    for name in &NAMES[2..] {
        bed.delete(name).await;
    }
    bed.wait_lists(12).await;
    is_held(&bed).await;
    assert_eq!(bed.resources().await.len(), 5, "no finalizer went");
    assert_eq!(bed.starts(), 5);

    bed.api.set_owner(CLIENT_ID, CLIENT_ID);
    for name in &NAMES[2..] {
        bed.wait_gone(name).await;
    }
    is_free(&bed).await;
    assert_eq!(bed.runs("a").await, ids[0]);
    bed.wait("b", "stopped", stopped).await;
    assert_eq!(
        (bed.starts(), sorted(bed.existing())),
        (5, sorted(ids[..2].to_vec()))
    );
}

/// Empties the account's status.
async fn empty_status(bed: &Bed) {
    let patch = [
        "patch",
        "cortecsaccount/main",
        "--subresource=status",
        "--type=merge",
        "-p",
        r#"{"status":null}"#,
    ];
    bed.kubectl_text(&patch).await;
    bed.wait_account("emptied", |a| hold(a).is_none()).await;
}

#[tokio::test]
async fn a_hold_is_recorded_again_when_the_status_is_emptied() {
    let bed = Bed::new("brake-emptied").await;
    // This annotation is older than the hold, so it does not end the hold.
    bed.annotate_account("cortecs.ai/resume", "long ago").await;
    let _operator = bed.operator();
    let ids = crowd(&bed).await;
    bed.api.stop_everything(CLIENT_ID);
    is_held(&bed).await;
    all_say(&bed, shows_stopped).await;
    empty_status(&bed).await;
    is_held(&bed).await;
    bed.wait_lists(5).await;
    assert_eq!(bed.changes(), [5, 0, 0, 0]);
    bed.annotate_account("cortecs.ai/resume", "now").await;
    assert_eq!(bed.all_run(&NAMES).await, ids);
    is_free(&bed).await;
}

#[tokio::test]
async fn a_hold_is_found_again_when_the_status_is_emptied_while_no_operator_runs() {
    let bed = Bed::new("brake-emptied-meanwhile").await;
    let operator = bed.operator();
    crowd(&bed).await;
    bed.api.set_owner(CLIENT_ID, "another owner");
    is_held(&bed).await;
    all_say(&bed, is_missing).await;
    operator.kill();
    empty_status(&bed).await;
    let _operator = bed.operator();
    is_held(&bed).await;
    bed.wait_lists(8).await;
    assert_eq!(bed.changes()[..1], [5]);
}

#[tokio::test]
async fn without_an_account_to_record_the_hold_a_missing_instance_still_proves_nothing() {
    let bed = Bed::new("brake-no-account").await;
    let _operator = bed.operator();
    crowd(&bed).await;
    bed.lose_account().await;
    bed.api.set_owner(CLIENT_ID, "another owner");
    bed.delete("e").await;
    bed.wait("e", "waiting", |r| {
        stalled_because("AccountHeld")(r) && r.message(STALLED).contains("no account")
    })
    .await;
    bed.wait("a", "missing", is_missing).await;
    bed.wait_lists(8).await;
    assert_eq!(bed.resources().await.len(), 5, "no finalizer went");

    bed.api.set_owner(CLIENT_ID, CLIENT_ID);
    bed.wait_gone("e").await;
    bed.wait("a", "listed", |r| !is_missing(r)).await;
    assert_eq!((bed.starts(), bed.existing().len()), (5, 4));
}

/// The account is removed while it is on hold: not for a moment does an absent instance count as gone.
#[tokio::test]
async fn a_hold_outlives_its_account() {
    let bed = Bed::new("brake-account-goes").await;
    let _operator = bed.operator();
    let ids = crowd(&bed).await;
    bed.api.set_owner(CLIENT_ID, "another owner");
    is_held(&bed).await;
    all_say(&bed, is_missing).await;
    bed.wait_lists(6).await;
    bed.lose_account().await;
    bed.wait("a", "told", |r| r.message(STALLED).contains("no account"))
        .await;
    bed.wait_lists(8).await;
    assert_eq!(bed.bound_ids(), sorted(ids));
    assert_eq!(bed.starts(), 5);
    for name in NAMES {
        let versions = bed.versions(name);
        let mut bound = versions.iter().map(|r| !bound(r).is_empty());
        // From the first binding on it is bound in each version.
        assert!(
            bound.by_ref().any(|is_bound| is_bound) && bound.all(|is_bound| is_bound),
            "{name}"
        );
    }
}
