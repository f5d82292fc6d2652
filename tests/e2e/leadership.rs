//! The operator's process: the leader election, the end on a signal, the answers to probes.

use std::{os::unix::process::ExitStatusExt, time::Duration};

use cortecs_simulator::{Effect, Endpoint, Fault, When};
use serde_json::json;

use crate::{
    eventually::eventually_true,
    harness::{
        Bed, HangingProxy, MODEL, Meddling, Process, SOON, bound, leads, sorted, stands_by, stopped,
    },
};

#[tokio::test]
async fn the_process_starts_an_instance_answers_probes_and_ends_on_sigterm() {
    let bed = Bed::builder("process").elected().build().await;
    let mut operator = Process::start(&bed, "the operator");
    bed.run("phi", json!({"modelId": MODEL})).await;
    operator
        .answers("/readyz", |status, body| (status, body) == (200, "ok\n"))
        .await;
    assert_eq!(operator.get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(operator.get("/elsewhere").await.0, 404);
    let metrics = operator.answers("/metrics", leads).await;
    for name in [
        "controller_runtime_reconcile_total{controller=\"cortecsinstance\"",
        "controller_runtime_reconcile_time_seconds",
        "controller_runtime_active_workers",
        "cortecs_api_requests_total{",
        "cortecs_api_request_duration_seconds",
        "cortecs_instances{",
        "cortecs_list_age_seconds{",
        "cortecs_open_starts{",
        "cortecs_account_ready{",
    ] {
        assert!(metrics.contains(name), "no {name} in\n{metrics}");
    }
    let account = format!("{}/main", bed.namespace);
    let started = format!("cortecs_starts_total{{account=\"{account}\",outcome=\"accepted\"}} 1");
    assert!(metrics.contains(&started), "no {started} in\n{metrics}");

    let lost = json!({"modelId": MODEL, "accountRef": {"name": "nowhere"}});
    bed.create("lost", lost).await;
    let counted = "cortecs_instances{account=\"none\",phase=\"Pending\"} 1\n";
    operator
        .answers("/metrics", |_, metrics| metrics.contains(counted))
        .await;

    operator.signal("TERM");
    assert_eq!(operator.ended().await.code(), Some(0));
    assert_eq!(bed.lease_holder().await, None, "the lease is handed over");
    assert!(!operator.log().contains(&bed.client_secret));
}

#[tokio::test]
async fn one_of_two_leads_and_the_other_takes_over() {
    let bed = Bed::builder("two").elected().build().await;
    let mut first = Process::start(&bed, "the first");
    first.answers("/metrics", leads).await;
    let mut second = Process::start(&bed, "the second");
    second.answers("/readyz", stands_by).await;
    assert!(!leads(200, &second.get("/metrics").await.1));
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    let leader = bed.lease_holder().await;

    first.signal("TERM");
    assert_eq!(first.ended().await.code(), Some(0));
    second.answers("/metrics", leads).await;
    assert!(
        bed.lease_holder()
            .await
            .is_some_and(|now| Some(now) != leader)
    );
    bed.change("phi", json!({"state": "Stopped"})).await;
    bed.wait("phi", "stopped", stopped).await;
    assert_eq!((bed.existing(), bed.starts()), (vec![id], 1));
}

#[tokio::test]
async fn a_leader_killed_in_the_middle_of_starts_leaves_nothing_started_twice() {
    let bed = Bed::builder("killed").elected().build().await;
    let mut first = Process::start(&bed, "the first");
    first.answers("/metrics", leads).await;
    let second = Process::start(&bed, "the second");
    let names = ["a", "b", "c", "d", "e", "f"];
    bed.create_each(&names).await;
    bed.wait_api("get a start", |view| view.count(Endpoint::Start) >= 2)
        .await;
    first.signal("KILL");
    assert_eq!(first.ended().await.signal(), Some(9));
    let ids = bed.all_run(&names).await;
    bed.wait_lists(3).await;
    assert_eq!(
        (sorted(ids), bed.ever().len()),
        (sorted(bed.existing()), names.len())
    );
    drop(second);
}

#[tokio::test]
async fn a_leader_that_is_paused_longer_than_its_lease_ends_without_acting() {
    let bed = Bed::builder("asleep").elected().build().await;
    let mut first = Process::start(&bed, "the first");
    first.answers("/metrics", leads).await;
    let before = bed.lease_holder().await;
    let mut second = Process::start(&bed, "the second");
    second.answers("/readyz", stands_by).await;
    first.signal("STOP");
    // The paused process would start this resource if it still acted as the leader.
    bed.create("phi", json!({"modelId": MODEL})).await;
    second.answers("/metrics", leads).await;
    bed.runs("phi").await;
    let done = bed.changes();
    first.signal("CONT");
    let ended = first.ended().await;
    assert!(ended.code().is_some_and(|code| code != 0), "{ended}");
    assert!(first.log().contains("lost the Lease"), "{}", first.log());
    assert_eq!((bed.changes(), bed.existing().len()), (done, 1));
    assert!(
        bed.lease_holder()
            .await
            .is_some_and(|now| Some(now) != before)
    );
}

#[tokio::test]
async fn a_process_that_gets_sigterm_records_the_start_under_way() {
    let bed = Bed::builder("term").elected().build().await;
    let mut operator = Process::start(&bed, "the operator");
    operator.answers("/metrics", leads).await;
    let duration = Duration::from_millis(700);
    let delay = Effect::delay(When::After, duration);
    bed.api.add_fault(Fault::once(Endpoint::Start, delay));
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.wait_api("get the start", |view| view.count(Endpoint::Start) == 1)
        .await;
    operator.signal("TERM");
    assert_eq!(operator.ended().await.code(), Some(0));
    let resource = bed
        .wait("phi", "bound, by a process that is gone", |r| {
            !bound(r).is_empty()
        })
        .await;
    assert_eq!(
        (bed.existing(), bed.starts()),
        (vec![bound(&resource).to_owned()], 1)
    );
    assert_eq!(resource.status.as_ref().unwrap().slot().start, None);
}

/// Kubernetes refuses the record, and has to be asked again before the process ends.
#[tokio::test]
async fn a_process_that_gets_sigterm_goes_on_until_a_start_is_recorded() {
    for refusals in [0, 3] {
        goes_on_until_recorded(refusals).await;
    }
}

/// `refusals`: how often the record is refused before the signal.
async fn goes_on_until_recorded(refusals: usize) {
    let mut bed = Bed::builder("term-write").elected().build().await;
    let proxy = HangingProxy::new(&bed.kubeconfig).await;
    bed.kubeconfig = proxy.kubeconfig.path().to_owned();
    proxy.set_webhook(Some(|asked| {
        let records = asked.path.contains("/phi/status") && asked.body.contains("instanceId");
        records.then_some(Meddling::Refuses)
    }));
    let mut operator = Process::start(&bed, "the operator");
    operator.answers("/metrics", leads).await;
    let delay = Effect::delay(When::After, Duration::from_millis(700));
    bed.api.add_fault(Fault::once(Endpoint::Start, delay));
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.wait_api("get the start", |view| view.count(Endpoint::Start) == 1)
        .await;
    let refused = async || proxy.meddled() >= refusals;
    eventually_true("the record is refused", SOON, refused).await;
    operator.signal("TERM");
    let again = async || proxy.meddled() >= refusals + 2;
    eventually_true("the record is tried again", SOON, again).await;
    assert!(operator.is_running(), "it waits for the record");
    proxy.set_webhook(None);
    assert_eq!(operator.ended().await.code(), Some(0));
    let resource = bed.wait("phi", "bound", |r| !bound(r).is_empty()).await;
    assert_eq!(vec![bound(&resource).to_owned()], bed.existing());
    assert_eq!(bed.starts(), 1);
}

#[tokio::test]
async fn a_process_that_may_not_list_the_resources_ends_on_sigterm() {
    let mut bed = Bed::builder("blind").elected().build().await;
    bed.kubeconfig = bed.plane.user_kubeconfig("blind", &[]).await;
    let binding = [
        "create",
        "rolebinding",
        "blind",
        "--role=cortecs-operator",
        "--user=blind",
    ];
    bed.kubectl_text(&binding).await;
    let mut operator = Process::start(&bed, "the operator");
    operator.answers("/metrics", leads).await;
    for controller in ["cortecsinstance", "cortecsaccount"] {
        let failure = format!("the watch failed and is repeated controller=\"{controller}\"");
        operator.until(&failure, |log| log.contains(&failure)).await;
    }
    operator.signal("TERM");
    assert_eq!(operator.ended().await.code(), Some(0));
    assert_eq!(bed.lease_holder().await, None, "the lease is handed over");
}

#[tokio::test]
async fn without_a_cluster_the_process_fails_with_a_hint() {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_cortecs-operator"))
        .args(["run", "--listen", "127.0.0.1:0"])
        .env_clear()
        .env("KUBECONFIG", "/nonexistent")
        .output()
        .await
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("error:") && said.contains("KUBECONFIG"),
        "{said}"
    );
}
