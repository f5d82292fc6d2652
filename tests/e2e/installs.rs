//! Two operators in one cluster, each with its own Lease in its own namespace.

use std::time::Duration;

use cortecs_resources::annotations;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    eventually::eventually,
    harness::{Bed, CLIENT_ID, MODEL, Process, SOON, allow_lease_in, bound, running, stopped},
};

/// A takeover waits until the Lease has expired (15 s), and as long as a restart may take (60 s). This is twice as long, since
/// the machine may be busy.
const TAKEN_OVER: Duration = Duration::from_secs(150);

/// Whether the metrics say this about an account that two operators watch.
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
async fn two_operators_with_different_namespaces_do_not_disturb_each_other() {
    let (bed, other) = two("apart").await;
    bed.write_secret_in(&other, CLIENT_ID, &bed.client_secret)
        .await;
    // With the same client id each operator sees the instances of the other one, and leaves them alone.
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
async fn of_two_operators_with_the_same_namespaces_one_acts_and_the_other_says_so() {
    let (bed, other) = two("overlap").await;
    let watched = bed.config.watch_namespaces.to_string();
    let watched = ["--watch-namespaces", &watched];
    // Both operators start at once, and watch resources with equal specs.
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

    // The metrics, the log and an Event about the account say that another operator manages the account.
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

    // After the owner has been gone for a while, the other operator takes the account over.
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
async fn a_person_can_assign_an_account_to_one_of_two_operators() {
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
    // An account that is assigned is not contested.
    there.answers("/metrics", contested(&bed, 0)).await;
    here.answers("/metrics", contested(&bed, 0)).await;
    assert!(there.log().contains("call=\"stop\""), "{}", there.log());
    assert!(!here.log().contains("call=\"stop\""), "{}", here.log());
    assert_eq!((bed.existing(), bed.starts()), (vec![id], 1));

    // The operator that leaves the account to the other one asks the API nothing any more, though the resource is there.
    here.until("it lists no more", |log| {
        log.contains("the fleet is listed no more")
    })
    .await;
    there.signal("KILL");
    there.ended().await;
    let before = bed.last_request();
    here.answers("/metrics", contested(&bed, 0)).await;
    assert_eq!(bed.last_request(), before, "{}", here.log());
}
