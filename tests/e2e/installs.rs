//! Two operators in one cluster, each with its own Lease in its own namespace.

use std::time::Duration;

use cortecs_resources::{CortecsAccount, annotations};
use cortecs_simulator::{Endpoint, View};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{ResourceExt, api::DeleteParams};
use serde_json::json;

use crate::{
    eventually::eventually,
    harness::{Bed, CLIENT_ID, MODEL, Process, SOON, allow_lease_in, bound, running, stopped},
};

/// Whether the metrics say this about an account that two operators watch.
fn contested(bed: &Bed, value: u8) -> impl Fn(u16, &str) -> bool {
    let account = format!("{}/main", bed.namespace);
    let line = format!("cortecs_account_contested{{account=\"{account}\"}} {value}\n");
    move |_, metrics| metrics.contains(&line)
}

/// The namespace of the operator that the account's status names.
fn manager(account: &CortecsAccount) -> Option<&str> {
    let manager = account.status.as_ref()?.managed_by.as_ref()?;
    Some(&manager.namespace)
}

/// Waits until an event about the account says that another operator manages it; the event's text.
async fn told_in_an_event(bed: &Bed) -> String {
    let said = eventually("an event says it", SOON, async || {
        let mut events = bed.events().await.into_iter();
        let said = events.find(|event| event.reason.as_deref() == Some("ManagedElsewhere"));
        said.ok_or_else(|| "no such event".to_owned())
    })
    .await;
    said.note.unwrap_or_default()
}

/// Whether these metrics are of a process that has looked at a resource.
fn reconciled_an_instance(_: u16, metrics: &str) -> bool {
    let counts = metrics.lines().filter_map(|line| {
        line.strip_prefix("controller_runtime_reconcile_total{controller=\"cortecsinstance\"")
    });
    counts.into_iter().any(|count| !count.ends_with(" 0"))
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
    let claimed = bed.wait_account("claimed", |a| manager(a).is_some()).await;
    let owner = manager(&claimed).unwrap_or_default();
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
    let note = told_in_an_event(&bed).await;
    assert!(note.contains(owner) && note.contains(&loser), "{note}");

    bed.wait_lists(4).await;
    assert_eq!(
        (bed.starts(), bed.ever().len(), bed.existing().len()),
        (4, 4, 4)
    );
    let calls_of_the_other = operators[stands_off].log();
    assert!(!calls_of_the_other.contains("an instance was started"));
}

#[tokio::test]
async fn the_account_of_an_operator_that_is_gone_stays_with_it_until_a_person_moves_it() {
    let (bed, other) = two("gone").await;
    let watched = bed.config.watch_namespaces.to_string();
    let watched = ["--watch-namespaces", &watched];
    let mut gone = Process::start_in(&bed, &other, &watched, "gone");
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    gone.signal("KILL");
    gone.ended().await;
    // Nobody will ever renew its Lease.
    bed.api_of::<Lease>(&other)
        .delete("cortecs-operator", &DeleteParams::default())
        .await
        .expect("its Lease is deleted");
    bed.change("phi", json!({"state": "Stopped"})).await;
    let before = bed.last_request();

    // Neither the first process nor the next one takes the account over, and each says what a person can do.
    let remedy = format!("cortecs.ai/operator={}", bed.namespace);
    let mut here = Process::start_in(&bed, &bed.namespace, &watched, "here");
    here.until("the log says it", |log| log.contains(&remedy))
        .await;
    let note = told_in_an_event(&bed).await;
    for part in [&other, &remedy, "status.managedBy"] {
        assert!(note.contains(part), "{note}");
    }
    here.signal("TERM");
    here.ended().await;
    let mut here = Process::start_in(&bed, &bed.namespace, &watched, "here again");
    here.until("the log says it", |log| log.contains(&remedy))
        .await;
    here.answers("/metrics", contested(&bed, 1)).await;
    here.answers("/metrics", reconciled_an_instance).await;
    assert_eq!(bed.last_request(), before, "{}", here.log());
    assert!(!bed.versions("phi").iter().any(|phi| stopped(phi)));

    // A person moves the account.
    bed.annotate_account(annotations::OPERATOR, &bed.namespace)
        .await;
    let is_here = |account: &CortecsAccount| manager(account) == Some(&bed.namespace);
    bed.wait_account("that of the operator that runs", is_here)
        .await;
    bed.wait("phi", "stopped", stopped).await;
    here.answers("/metrics", contested(&bed, 0)).await;
    assert_eq!((bed.existing(), bed.starts()), (vec![id], 1));
    // No version of the account names it without the word of a person.
    for account in bed.account_versions() {
        let is_moved = account.annotations().contains_key(annotations::OPERATOR);
        assert!(is_moved || manager(&account) != Some(&bed.namespace));
    }
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
        manager(account) == Some(&other)
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

/// How long the API waited for its last list, after the one before.
fn last_interval(api: &View) -> Duration {
    let lists = api.requests.iter().rev();
    let mut lists = lists.filter(|request| request.endpoint == Endpoint::ListInstances);
    match (lists.next(), lists.next()) {
        (Some(last), Some(before)) => last.at.duration_since(before.at).unsigned_abs(),
        _ => Duration::ZERO,
    }
}

#[tokio::test]
async fn a_resource_that_is_left_to_another_operator_makes_no_lists_for_accounts_that_stay() {
    let poll = json!({"poll": {"activeSeconds": 1, "idleSeconds": 8}});
    let bed = Bed::builder("left-busy")
        .account(poll.clone())
        .step(Duration::from_secs(3_600))
        .build()
        .await;
    // Both accounts have the same credentials, so one list is for both.
    bed.create_account("second", poll).await;
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.wait("phi", "bound", |phi| !bound(phi).is_empty()).await;
    // Its instance comes up, so lists are made at the active interval.
    let before = bed.api.count(Endpoint::ListInstances);
    bed.wait_api("the active interval", |api| {
        let lists = api.count(Endpoint::ListInstances);
        lists > before + 2 && last_interval(api) < Duration::from_secs(4)
    })
    .await;

    bed.annotate_account(annotations::OPERATOR, "elsewhere")
        .await;
    bed.wait_api("the idle interval", |api| {
        last_interval(api) > Duration::from_secs(6)
    })
    .await;
    assert_eq!(bed.existing().len(), 1);
}
