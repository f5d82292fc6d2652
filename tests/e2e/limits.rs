//! Runs that end by themselves, and what an account lets its users ask for.

use cortecs_resources::{CortecsInstance, transition::NextTransition};
use cortecs_simulator::{Effect, Endpoint, Fault};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::harness::{
    Bed, HARDWARE, MODEL, OTHER_MODEL, Process, Read, bound, polls_every_second, running,
};

fn ready_because(reason: &str) -> impl Fn(&CortecsInstance) -> bool {
    move |resource| {
        let ready = resource.condition("Ready");
        ready.is_some_and(|c| c.status == "True" && c.reason == reason)
    }
}

fn next(resource: &CortecsInstance) -> Option<&NextTransition> {
    resource.status.as_ref()?.next_transition.as_ref()
}

#[tokio::test]
async fn a_run_ends_by_itself_and_stays_ended_over_a_restart_of_the_operator() {
    let bed = Bed::new("run-limit").await;
    let operator = bed.operator();
    let spec = json!({"modelId": MODEL, "maxRuntimeSeconds": 6});
    let id = bed.run("phi", spec).await;
    let due = next(&bed.latest("phi").unwrap()).unwrap().at;
    bed.wait("phi", "ended", ready_because("MaxRuntimeReached"))
        .await;
    assert!(Timestamp::now() >= due && bed.changes() == [1, 0, 1, 0]);
    assert_eq!(next(&bed.latest("phi").unwrap()), None);
    drop(operator);
    let _operator = bed.operator();
    bed.wait_lists(4).await;
    assert_eq!(bed.changes(), [1, 0, 1, 0]);

    // Another run, with a longer limit.
    bed.change("phi", json!({"maxRuntimeSeconds": 3_600})).await;
    assert_eq!(bed.runs("phi").await, id);
    assert!(next(&bed.latest("phi").unwrap()).unwrap().at > due);
    assert_eq!(bed.changes(), [1, 1, 1, 0]);
}

#[tokio::test]
async fn what_expired_while_no_operator_ran_is_stopped_and_no_restart_brings_it_back() {
    let bed = Bed::new("expires").await;
    let operator = bed.operator();
    let later = json!({"modelId": MODEL, "expireTime": "2100-01-01T00:00:00Z"});
    bed.run("phi", later).await;
    let due = next(&bed.latest("phi").unwrap()).unwrap().at;
    assert_eq!(due.to_string(), "2100-01-01T00:00:00Z");
    drop(operator);
    let past = json!({"expireTime": "2026-01-01T00:00:00Z"});
    bed.change("phi", past).await;
    let _operator = bed.operator();
    bed.wait("phi", "expired", ready_because("Expired")).await;
    bed.annotate("phi", "cortecs.ai/restartedAt", "now").await;
    let late = json!({"modelId": MODEL, "expireTime": "2026-01-01T00:00:00Z"});
    bed.create("late", late).await;
    bed.wait("late", "expired", ready_because("Expired")).await;
    bed.wait_lists(3).await;
    assert_eq!(bed.changes(), [1, 0, 1, 0]);
}

#[tokio::test]
async fn what_has_expired_is_deleted_with_its_instance_and_only_then() {
    let bed = Bed::new("expired-ttl").await;
    let operator = bed.operator();
    let spec = json!({"modelId": MODEL, "expireTime": "2100-01-01T00:00:00Z", "ttlSecondsAfterExpired": 3_600});
    let id = bed.run("phi", spec).await;
    let other = bed.run("other", json!({"modelId": MODEL})).await;
    drop(operator);
    // The stop fails at first.
    let fails = Effect::fail(500, "Internal error");
    bed.api.add_fault(Fault::new(Endpoint::Stop, fails));
    let past = json!({"expireTime": "2026-01-01T00:00:00Z"});
    bed.change("phi", past).await;
    let _operator = bed.operator();
    bed.wait_api("a stop", |api| api.count(Endpoint::Stop) > 0)
        .await;
    assert_eq!(bed.latest("phi").unwrap().metadata.deletion_timestamp, None);
    bed.api.clear_faults();
    bed.wait_gone("phi").await;
    assert_eq!(bed.existing(), [other]);
    let deleted = bed
        .ever()
        .iter()
        .any(|held| held.instance.instance_id == id && held.deleted_at.is_some());
    let events = bed.events().await;
    let told = events
        .iter()
        .any(|event| event.reason.as_deref() == Some("DeletedAfterExpiry"));
    assert!(deleted && told, "{events:?}");
}

#[tokio::test]
async fn the_limit_of_an_account_holds_while_it_cannot_be_used_and_while_another_one_is_named() {
    let bed = Bed::builder("limit-of-home")
        .account(json!({"limits": {"maxRuntimeSeconds": 8}}))
        .build()
        .await;
    bed.create_account("second", polls_every_second()).await;
    let _operator = bed.operator();
    bed.create_each(&["moves", "stays"]).await;
    for name in ["moves", "stays"] {
        bed.wait(name, "limited", |r| running(r) && next(r).is_some())
            .await;
    }
    bed.change("moves", json!({"accountRef": {"name": "second"}}))
        .await;
    bed.patch_account(json!({"credentialsSecretRef": {"name": "missing"}}))
        .await;
    for name in ["moves", "stays"] {
        bed.wait(name, "ended", ready_because("MaxRuntimeReached"))
            .await;
    }
    assert_eq!(bed.changes(), [2, 0, 2, 0]);
    // Nothing is started with the other account before the instance is gone.
    bed.annotate("moves", "cortecs.ai/restartedAt", "now").await;
    bed.stalls("moves", "AccountChanged").await;
    assert_eq!(bed.changes(), [2, 0, 2, 0]);
}

/// The status says that the run began so many seconds ago.
async fn began(bed: &Bed, name: &str, ago: i64) -> Timestamp {
    let status = bed.latest(name).unwrap().status.clone();
    let mut status = serde_json::to_value(status).unwrap();
    let start = Timestamp::now() - SignedDuration::from_secs(ago);
    status["journal"]["slots"]["current"]["lastStartTime"] = json!(start);
    bed.replace_status(name, status).await;
    start
}

#[tokio::test]
async fn a_paid_hour_is_used_up_and_no_other_one_begins() {
    let bed = Bed::new("paid-hour").await;
    let operator = bed.operator();
    let spec = json!({
        "modelId": MODEL, "maxRuntimeSeconds": 60, "billingInterval": "per_hour",
        "stopAt": "EndOfBillingInterval", "leadSeconds": 300,
    });
    bed.run("phi", spec).await;
    drop(operator);
    let start = began(&bed, "phi", 3_000).await;
    let due = start + SignedDuration::from_mins(55);
    let operator = bed.operator();
    bed.wait("phi", "stopped later", |phi| {
        next(phi).is_some_and(|next| next.at == due)
    })
    .await;
    bed.wait_lists(2).await;
    assert_eq!(bed.changes(), [1, 0, 0, 0]);
    drop(operator);
    began(&bed, "phi", 3_301).await;
    let _operator = bed.operator();
    bed.wait("phi", "ended", ready_because("MaxRuntimeReached"))
        .await;
    assert_eq!(bed.changes(), [1, 0, 1, 0]);
}

#[tokio::test]
async fn hardware_that_an_account_does_not_permit_is_refused_or_passed_over() {
    const OTHER: &str = "NVIDIA_A100_1";
    let bed = Bed::builder("limit-hardware")
        .account(json!({"limits": {"hardwareTypes": [OTHER]}}))
        .build()
        .await;
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL, "hardwareTypeId": HARDWARE}))
        .await;
    let phi = bed.stalls("phi", "ExceedsLimit").await;
    phi.assert_says("Stalled", &format!("limits.hardwareTypes: {HARDWARE}"));
    bed.change("phi", json!({"hardwareFallbacks": [OTHER]}))
        .await;
    bed.runs("phi").await;
    let phi = bed.latest("phi").unwrap();
    let args = phi.status.as_ref().unwrap().instance_args.as_ref();
    let hardware = args.and_then(|args| args.hardware_type_id.as_deref());
    assert_eq!((hardware, bed.starts()), (Some(OTHER), 1));
}

#[tokio::test]
async fn a_stop_that_is_overdue_is_tried_again_and_counted() {
    let bed = Bed::builder("overdue").elected().build().await;
    let mut operator = Process::start(&bed, "operator");
    let fails = Effect::fail(500, "Internal error");
    bed.api.add_fault(Fault::new(Endpoint::Stop, fails));
    // The operator saw it in time, and the time has passed long ago for the metric.
    bed.run("phi", json!({"modelId": MODEL, "maxRuntimeSeconds": 3}))
        .await;
    bed.wait_api("several stops", |api| api.count(Endpoint::Stop) > 2)
        .await;
    let phi = bed.latest("phi").unwrap();
    assert!(next(&phi).is_some_and(|next| next.at < Timestamp::now()));
    let overdue = format!(
        "cortecs_overdue_transitions{{account=\"{}/main\"}} 1\n",
        bed.namespace
    );
    operator
        .answers("/metrics", |_, metrics| metrics.contains(&overdue))
        .await;
    bed.api.clear_faults();
    bed.wait("phi", "ended", ready_because("MaxRuntimeReached"))
        .await;
}

#[tokio::test]
async fn an_account_limits_what_its_users_ask_for() {
    let bed = Bed::builder("account-limits")
        .account(json!({"limits": {"maxWorkers": 2, "models": [MODEL], "maxRuntimeSeconds": 6}}))
        .build()
        .await;
    let _operator = bed.operator();
    for (name, spec, named) in [
        (
            "many",
            json!({"modelId": MODEL, "numWorkers": 3}),
            "spec.limits.maxWorkers",
        ),
        (
            "other",
            json!({"modelId": OTHER_MODEL}),
            "spec.limits.models",
        ),
    ] {
        bed.create(name, spec).await;
        let refused = bed.stalls(name, "ExceedsLimit").await;
        let message = refused.message("Stalled");
        assert!(message.contains(named), "{message}");
    }
    assert_eq!(bed.starts(), 0);
    bed.change("many", json!({"numWorkers": 2})).await;
    let many = bed.wait("many", "running", running).await;
    assert!(!bound(&many).is_empty());
    bed.wait("many", "ended", ready_because("MaxRuntimeReached"))
        .await;
}
