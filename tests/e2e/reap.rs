//! `reap`: overdue stops are made although no operator runs. Time is not waited for: the statuses are set back.

use std::time::Duration;

use cortecs_api::types::InstanceState;
use cortecs_operator::reap::Limits;
use cortecs_resources::{CortecsAccount, CortecsInstance, transition::TransitionReason};
use cortecs_simulator::{Effect, Endpoint, Fault};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::harness::{Bed, CrashPoint, MODEL, Process, Read, bound, leads};

/// Runs for an hour at most.
fn an_hour() -> Value {
    json!({"modelId": MODEL, "maxRuntimeSeconds": 3_600})
}

fn ended(resource: &CortecsInstance) -> bool {
    let ready = resource.condition("Ready");
    ready.is_some_and(|c| c.status == "True" && c.reason == "MaxRuntimeReached")
}

/// The recorded end of the run.
fn end_of(resource: &CortecsInstance) -> Option<TransitionReason> {
    let status = resource.status.as_ref()?;
    status.slot().run_end.as_ref().map(|end| end.reason)
}

/// Sets the start of the run, and the end that is shown, back by three hours.
async fn set_back(bed: &Bed, name: &str) -> Timestamp {
    let status = bed.latest(name).unwrap().status.clone();
    let mut status = serde_json::to_value(status).unwrap();
    let started = Timestamp::now() - SignedDuration::from_hours(3);
    let due = started + SignedDuration::from_hours(1);
    status["journal"]["slots"]["current"]["lastStartTime"] = json!(started);
    if let Some(next) = status.get_mut("nextTransition") {
        next["at"] = json!(due);
    }
    bed.replace_status(name, status).await;
    due
}

/// Runs the reaper to its end: its exit code, and what it said.
async fn reap(bed: &Bed, arguments: &[&str]) -> (Option<i32>, String) {
    let mut reaper = Process::reap(bed, arguments).await;
    let code = reaper.ended().await.code();
    let log = reaper.log();
    assert!(!log.to_lowercase().contains("forbidden"), "{log}");
    (code, log)
}

async fn lease_version(bed: &Bed) -> Option<String> {
    let lease = bed.api_of::<Lease>(&bed.namespace);
    let lease = lease.get_opt("cortecs-operator").await.expect("an answer");
    lease?.resource_version()
}

#[tokio::test]
async fn the_overdue_stop_of_a_dead_operator_is_made_once_and_nothing_else_is_done() {
    let bed = Bed::builder("reap").elected().build().await;
    let operator = bed.operator();
    let id = bed.run_sealed("phi", an_hour()).await;
    bed.run_sealed("other", an_hour()).await;
    operator.kill();
    // What an operator would do, a reaper does not.
    bed.create("new", json!({"modelId": MODEL})).await;
    bed.change("other", json!({"contextLength": 4_096})).await;
    let due = set_back(&bed, "phi").await;
    let of = |name| bed.versions(name).len();
    let versions = || [of("new"), of("other"), bed.account_versions().len()];
    let before = versions();

    let (code, said) = reap(&bed, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    let line = format!(
        "{}/phi: instance {id}, overdue since {due}: stopped",
        bed.namespace
    );
    assert!(said.contains(&line), "no {line} in: {said}");
    assert!(said.contains("no stop is overdue any more"), "{said}");
    assert_eq!(bed.changes(), [2, 0, 1, 0]);
    let phi = bed.wait("phi", "ended", ended).await;
    assert_eq!(end_of(&phi), Some(TransitionReason::MaxRuntimeReached));
    assert_eq!(bound(&phi), id);
    assert_eq!(versions(), before, "none of them is written");
    assert_eq!(bed.lease_holder().await, None, "the lease is released");

    // Once more: now nothing is overdue, and neither the Lease nor the API is touched.
    let (version, requests) = (lease_version(&bed).await, bed.last_request());
    let (code, said) = reap(&bed, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("no stop is overdue by more than 600 s"),
        "{said}"
    );
    assert_eq!(lease_version(&bed).await, version);
    assert_eq!(bed.last_request(), requests);

    // The operator that comes back goes on from there.
    let _operator = bed.operator();
    bed.runs("new").await;
    bed.wait_lists(3).await;
    assert!(ended(&bed.latest("phi").unwrap()));
    let stopped_about_phi = bed
        .requests_about(&id, requests)
        .iter()
        .any(|r| r.path.contains("stop") || r.path.contains("restart"));
    assert!(!stopped_about_phi);
}

#[tokio::test]
async fn a_reaper_that_is_killed_between_the_record_and_the_stop_is_followed_by_the_next() {
    let bed = Bed::builder("reap-killed").elected().build().await;
    let operator = bed.operator();
    bed.run_sealed("phi", an_hour()).await;
    operator.kill();
    set_back(&bed, "phi").await;
    let limits = Limits {
        overdue: Duration::from_secs(600),
        deadline: Duration::from_secs(300),
    };
    let point = CrashPoint::at(1, Some("write the status"));
    let reaper = bed.reaper_until(limits, &point);
    point.reached().await;
    reaper.kill();
    let phi = bed.wait("phi", "recorded", |r| end_of(r).is_some()).await;
    assert!(!ended(&phi));
    assert_eq!(bed.changes(), [1, 0, 0, 0]);
    let (code, said) = reap(&bed, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    bed.wait("phi", "ended", ended).await;
    assert_eq!(bed.changes(), [1, 0, 1, 0]);
}

/// Of the operator nothing is recorded but that it was about to make the call.
#[tokio::test]
async fn a_restart_that_the_operator_died_in_is_stopped() {
    let bed = Bed::builder("reap-restart").elected().build().await;
    let operator = bed.operator();
    let id = bed.run_sealed("phi", an_hour()).await;
    operator.kill();
    set_back(&bed, "phi").await;
    let operator = bed.operator();
    bed.wait("phi", "ended", ended).await;
    operator.kill();
    let point = CrashPoint::at(1, Some("restart"));
    let operator = bed.operator_until(&point);
    bed.annotate("phi", "cortecs.ai/restartedAt", "now").await;
    point.reached().await;
    operator.kill();
    assert_eq!(bed.changes(), [1, 1, 1, 0]);
    bed.wait("phi", "a restart written ahead", |phi| {
        let status = phi.status.as_ref();
        status.is_some_and(|s| s.slot().restart.is_some())
    })
    .await;
    set_back(&bed, "phi").await;
    let (code, said) = reap(&bed, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&format!("instance {id}, overdue since")),
        "{said}"
    );
    assert_eq!(bed.changes(), [1, 1, 2, 0]);
    assert_eq!(bed.state_of(&id), Some(InstanceState::Stopped));
    let phi = bed.latest("phi").expect("the resource");
    assert_eq!(end_of(&phi), Some(TransitionReason::MaxRuntimeReached));
    assert!(
        phi.status
            .as_ref()
            .is_some_and(|s| s.slot().restart.is_none())
    );
}

#[tokio::test]
async fn a_start_that_the_operator_died_in_is_reported_and_left_open() {
    let bed = Bed::builder("reap-start").elected().build().await;
    let point = CrashPoint::at(1, Some("start"));
    let operator = bed.operator_until(&point);
    bed.create("phi", an_hour()).await;
    point.reached().await;
    operator.kill();
    bed.wait("phi", "a start written ahead", |phi| {
        let status = phi.status.as_ref();
        status.is_some_and(|s| s.slot().start.is_some())
    })
    .await;
    let due = set_back(&bed, "phi").await;
    let (version, requests) = (lease_version(&bed).await, bed.last_request());
    let (code, said) = reap(&bed, &[]).await;
    assert_eq!(code, Some(3), "{said}");
    let line = format!("no instance is recorded, overdue since {due}: its start is open");
    assert!(said.contains(&line), "no {line} in: {said}");
    assert_eq!(lease_version(&bed).await, version);
    assert_eq!(bed.last_request(), requests);
}

/// The container crashes whenever it has the Lease, and is started anew: so the holder changes, and never renews.
#[tokio::test]
async fn an_operator_that_crashes_again_and_again_loses_the_lease_to_the_reaper() {
    let bed = Bed::builder("reap-crashes").elected().build().await;
    let operator = bed.operator();
    bed.run_sealed("phi", an_hour()).await;
    operator.kill();
    set_back(&bed, "phi").await;
    let holders = ["operator_1", "operator_2", "operator_3"];
    hold_lease(&bed, holders[0]).await;
    let mut reaper = Process::reap(&bed, &["--deadline-seconds", "120"]).await;
    for (before, holder) in holders.iter().zip(&holders[1..]) {
        let waits = |log: &str| log.matches("waits for the Lease").count();
        let waited = waits(&reaper.log());
        reaper
            .until("it waits for this holder", |log| waits(log) > waited)
            .await;
        assert_eq!(bed.lease_holder().await.as_deref(), Some(*before));
        assert_eq!(bed.changes(), [1, 0, 0, 0]);
        hold_lease(&bed, holder).await;
    }
    let code = reaper.ended().await.code();
    assert_eq!(code, Some(0), "{}", reaper.log());
    bed.wait("phi", "ended", ended).await;
    assert_eq!(bed.changes(), [1, 0, 1, 0]);
    assert_eq!(bed.lease_holder().await, None, "the lease is released");
}

/// A process takes the Lease, and never renews it.
async fn hold_lease(bed: &Bed, holder: &str) {
    let now = MicroTime(Timestamp::now());
    let spec = json!({ "holderIdentity": holder, "leaseDurationSeconds": 15, "acquireTime": now, "renewTime": now });
    let lease = bed.api_of::<Lease>(&bed.namespace);
    let patch = Patch::Merge(json!({ "spec": spec }));
    let parameters = PatchParams::default();
    let held = lease.patch("cortecs-operator", &parameters, &patch).await;
    held.expect("the Lease");
}

#[tokio::test]
async fn an_operator_that_renews_its_lease_is_left_alone() {
    let bed = Bed::builder("reap-alive").elected().build().await;
    let mut operator = Process::start(&bed, "the operator");
    operator.answers("/metrics", leads).await;
    bed.run_sealed("phi", an_hour()).await;
    let fails = Effect::fail(500, "Internal error");
    bed.api.add_fault(Fault::new(Endpoint::Stop, fails));
    set_back(&bed, "phi").await;
    let holder = bed.lease_holder().await.expect("a leader");
    let (code, said) = reap(&bed, &["--deadline-seconds", "30"]).await;
    assert_eq!(code, Some(4), "{said}");
    let why = format!("the Lease cortecs-operator is held by {holder}");
    assert!(said.contains(&why), "no {why} in: {said}");
    assert_eq!(bed.lease_holder().await, Some(holder));
    assert!(operator.is_running());
    assert!(!said.contains("became the leader"), "{said}");
}

#[tokio::test]
async fn without_leader_election_it_refuses() {
    let bed = Bed::new("reap-alone").await;
    let operator = bed.operator();
    bed.run_sealed("phi", an_hour()).await;
    operator.kill();
    set_back(&bed, "phi").await;
    let requests = bed.last_request();
    let (code, said) = reap(&bed, &[]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("runs without leader election"), "{said}");
    let (code, said) = reap(&bed, &["--leader-elect=false"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--leader-elect is false"), "{said}");
    assert_eq!(
        (bed.last_request(), lease_version(&bed).await),
        (requests, None)
    );
}

#[tokio::test]
async fn a_mass_change_that_no_operator_saw_keeps_no_overdue_stop_from_being_made() {
    let bed = Bed::builder("reap-mass").elected().build().await;
    let operator = bed.operator();
    bed.run_sealed("phi", an_hour()).await;
    let lost = ["a", "b", "c"];
    bed.create_each(&lost).await;
    let ids = bed.all_run(&lost).await;
    operator.kill();
    for id in &ids {
        bed.api.outsider_stop(id).expect("a stop");
    }
    set_back(&bed, "phi").await;
    let written = bed.account_versions().len();
    let (code, said) = reap(&bed, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    bed.wait("phi", "ended", ended).await;
    assert_eq!(bed.changes(), [4, 0, 1, 0]);
    assert_eq!(bed.account_versions().len(), written);
    // The operator that comes back sees the mass change, and holds.
    let _operator = bed.operator();
    bed.account_stalls("MassChange").await;
    assert_eq!(bed.changes(), [4, 0, 1, 0]);
}

#[tokio::test]
async fn an_account_of_another_operator_is_left_to_it() {
    let bed = Bed::builder("reap-theirs").elected().build().await;
    let operator = bed.operator();
    bed.run_sealed("phi", an_hour()).await;
    operator.kill();
    bed.annotate_account("cortecs.ai/operator", "elsewhere")
        .await;
    set_back(&bed, "phi").await;
    let requests = bed.last_request();
    let (code, said) = reap(&bed, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("left to the operator in namespace elsewhere"),
        "{said}"
    );
    assert_eq!(bed.last_request(), requests);
}

#[tokio::test]
async fn what_is_overdue_of_others_keeps_nobody_waiting() {
    let bed = Bed::builder("reap-both").elected().build().await;
    bed.create_account("other", json!({})).await;
    let mut operator = Process::start(&bed, "the operator");
    operator.answers("/metrics", leads).await;
    bed.run_sealed("phi", an_hour()).await;
    let mut theirs = an_hour();
    theirs["accountRef"] = json!({"name": "other"});
    bed.run_sealed("theirs", theirs).await;
    bed.kubectl_text(&[
        "annotate",
        "cortecsaccount",
        "other",
        "cortecs.ai/operator=elsewhere",
    ])
    .await;
    set_back(&bed, "theirs").await;
    set_back(&bed, "phi").await;
    let mut reaper = Process::reap(&bed, &["--deadline-seconds", "200"]).await;
    reaper
        .until("it waits", |log| log.contains("waits for the Lease"))
        .await;
    // The operator looks again, and sees that the time is over.
    bed.annotate("phi", "cortecs.ai/requestedAt", "now").await;
    let code = reaper.ended().await.code();
    let said = reaper.log();
    assert_eq!(code, Some(0), "{said}");
    let line = "left to the operator in namespace elsewhere";
    assert!(said.contains(line), "no {line} in: {said}");
    assert!(
        said.contains("made by another process in the meantime"),
        "{said}"
    );
    assert!(ended(&bed.latest("phi").expect("the resource")));
}

/// As after a tool has made it anew while no operator ran.
#[tokio::test]
async fn an_account_that_names_no_operator_is_taken_for_ours() {
    let bed = Bed::builder("reap-anew").elected().build().await;
    let operator = bed.operator();
    bed.run_sealed("phi", an_hour()).await;
    operator.kill();
    let patch = Patch::Merge(json!({ "status": { "managedBy": null } }));
    let accounts = bed.api_of::<CortecsAccount>(&bed.namespace);
    let parameters = PatchParams::default();
    let emptied = accounts.patch_status("main", &parameters, &patch).await;
    emptied.expect("the account");
    set_back(&bed, "phi").await;
    let (code, said) = reap(&bed, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    bed.wait("phi", "ended", ended).await;
    assert_eq!(bed.changes(), [1, 0, 1, 0]);
}

#[tokio::test]
async fn a_stop_that_fails_is_reported_with_its_reason() {
    let bed = Bed::builder("reap-fails").elected().build().await;
    let operator = bed.operator();
    bed.run_sealed("phi", an_hour()).await;
    operator.kill();
    set_back(&bed, "phi").await;
    let fails = Effect::fail(500, "Internal error");
    bed.api.add_fault(Fault::new(Endpoint::Stop, fails));
    let (code, said) = reap(&bed, &["--deadline-seconds", "40"]).await;
    assert_eq!(code, Some(3), "{said}");
    let line = said
        .lines()
        .find(|line| line.contains("still running, because"));
    assert!(line.is_some_and(|line| line.contains("500")), "{said}");
    assert!(said.contains("1 of 1 stops are still overdue"), "{said}");
    assert_eq!(bed.lease_holder().await, None, "the lease is released");
    assert_eq!(bed.starts(), 1);
}
