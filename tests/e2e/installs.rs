//! Two operators in one cluster, each with a Lease of its own in its own namespace.

use std::time::Duration;

use cortecs_resources::annotations;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    eventually::eventually,
    harness::{Bed, CLIENT_ID, MODEL, Process, SOON, allow_lease_in, bound, running, stopped},
};

/// A takeover waits for the Lease to expire (15 s) and for the time of a restart (60 s); twice that, for a busy machine.
const TAKEN_OVER: Duration = Duration::from_secs(150);

/// The gauge of an account that two operators look after.
fn contested(bed: &Bed, value: u8) -> impl Fn(u16, &str) -> bool {
    let account = format!("{}/main", bed.namespace);
    let line = format!("cortecs_account_contested{{account=\"{account}\"}} {value}\n");
    move |_, metrics| metrics.contains(&line)
}

/// The namespace of the operator that the account's status names.
fn manager(bed: &Bed) -> Option<String> {
    let account = bed.account_versions().last()?.clone();
    Some(
        account
            .status
            .as_ref()?
            .managed_by
            .as_ref()?
            .namespace
            .clone(),
    )
}

/// A bed with two namespaces, in each of which an operator may be installed.
async fn two(name: &'static str) -> (Bed, String) {
    let bed = Bed::builder(name)
        .account(json!({"allowedNamespaces": {"from": "All"}}))
        .neighbour("b", &[])
        .elected()
        .build()
        .await;
    let other = bed.neighbour("b");
    allow_lease_in(bed.plane, &other).await;
    (bed, other)
}

#[tokio::test]
async fn two_that_look_after_different_namespaces_do_not_meet() {
    let (bed, other) = two("apart").await;
    bed.write_secret_in(&other, CLIENT_ID, &bed.client_secret)
        .await;
    // The same client id: each sees the other's instances, and lets them be.
    let shared = json!({"sharing": "Shared", "poll": {"activeSeconds": 1, "idleSeconds": 1}});
    bed.patch_account(shared.clone()).await;
    bed.create_account_in(&other, "main", shared).await;
    let mut here = Process::start_in(
        &bed,
        &bed.namespace,
        &["--watch-namespaces", &bed.namespace],
        "here",
    );
    let mut there = Process::start_in(&bed, &other, &["--watch-namespaces", &other], "there");
    let spec = |namespace: &str| json!({"modelId": MODEL, "accountRef": {"name": "main", "namespace": namespace}});
    bed.create("phi", spec(&bed.namespace)).await;
    bed.create_in(&other, "phi", spec(&other)).await;
    let mine = bed.runs("phi").await;
    let theirs = bed.wait_in(&other, "phi", "running", running).await;
    let theirs = bound(&theirs).to_owned();
    assert_ne!(mine, theirs);
    assert_eq!(bed.starts(), 2);
    here.answers("/metrics", contested(&bed, 0)).await;
    let account = format!("account=\"{}/main\"", bed.namespace);
    let metrics = there.get("/metrics").await.1;
    assert!(!metrics.contains(&account), "it knows of {account}");

    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    bed.wait_lists(4).await;
    assert_eq!((bed.existing(), bed.starts()), (vec![theirs], 2));
    assert!(here.is_running() && there.is_running());
}

#[tokio::test]
async fn two_that_overlap_say_so_and_only_one_acts() {
    let (bed, other) = two("overlap").await;
    let watched = bed.config.watch_namespaces.to_string();
    let watched = ["--watch-namespaces", &watched];
    // Both at once, and resources with equal arguments for both to start.
    let mut operators = [
        Process::start_in(&bed, &bed.namespace, &watched, "a"),
        Process::start_in(&bed, &other, &watched, "b"),
    ];
    let names = ["one", "two", "three", "four"];
    bed.create_each(&names).await;
    bed.all_run(&names).await;
    let owner = manager(&bed).expect("the account is claimed");
    let (owns, stands_off) = match owner == bed.namespace {
        true => (0, 1),
        false => (1, 0),
    };
    let loser = [&bed.namespace, &other][stands_off].clone();

    // Detected and said: in the metrics, in the log, and where people look at the account.
    operators[stands_off]
        .answers("/metrics", contested(&bed, 1))
        .await;
    operators[owns]
        .answers("/metrics", contested(&bed, 0))
        .await;
    operators[stands_off]
        .until("the log says it", |log| {
            log.contains("manages this account")
        })
        .await;
    let said = eventually("an event says it", SOON, async || {
        let mut events = bed.events().await.into_iter();
        let said = events.find(|event| event.reason.as_deref() == Some("ManagedElsewhere"));
        said.ok_or_else(|| "no such event".to_owned())
    })
    .await;
    let note = said.note.as_deref().unwrap_or_default();
    assert!(note.contains(&owner) && note.contains(&loser), "{note}");

    bed.wait_lists(4).await;
    assert_eq!(
        (bed.starts(), bed.ever().len(), bed.existing().len()),
        (4, 4, 4)
    );
    let calls_of_the_other = operators[stands_off].log();
    assert!(!calls_of_the_other.contains("an instance was started"));

    // What the owner does not do any more, the other one does: but not before the owner has been gone for a while.
    operators[owns].signal("KILL");
    operators[owns].ended().await;
    let gone = Instant::now();
    bed.change("one", json!({"state": "Stopped"})).await;
    let what = "the other operator takes the account over";
    eventually(what, TAKEN_OVER, async || match manager(&bed) {
        Some(manager) if manager == loser => Ok(()),
        manager => Err(format!("{manager:?}")),
    })
    .await;
    println!("taken over after {:.0?}", gone.elapsed());
    bed.wait("one", "stopped", stopped).await;
    operators[stands_off]
        .answers("/metrics", contested(&bed, 0))
        .await;
    assert_eq!((bed.starts(), bed.existing().len()), (4, 4));
}

#[tokio::test]
async fn a_person_can_say_which_of_two_is_meant() {
    let (bed, other) = two("assigned").await;
    let watched = bed.config.watch_namespaces.to_string();
    let watched = ["--watch-namespaces", &watched];
    let mut here = Process::start_in(&bed, &bed.namespace, &watched, "here");
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    let mut there = Process::start_in(&bed, &other, &watched, "there");
    there.answers("/metrics", contested(&bed, 1)).await;

    bed.annotate_account(annotations::OPERATOR, &other).await;
    bed.wait_account("the other one's", |account| {
        let status = account.status.as_ref();
        status
            .and_then(|s| s.managed_by.as_ref())
            .is_some_and(|m| m.namespace == other)
    })
    .await;
    bed.change("phi", json!({"state": "Stopped"})).await;
    bed.wait("phi", "stopped", stopped).await;
    // As ordered, it is no contest.
    there.answers("/metrics", contested(&bed, 0)).await;
    here.answers("/metrics", contested(&bed, 0)).await;
    assert!(there.log().contains("call=\"stop\""), "{}", there.log());
    assert!(!here.log().contains("call=\"stop\""), "{}", here.log());
    assert_eq!((bed.existing(), bed.starts()), (vec![id], 1));
}
