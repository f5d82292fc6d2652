//! The API is down or slow, or refuses a token. The operator repeats no call that must happen once, and recovers.

use std::time::Duration;

use cortecs_resources::conditions::{READY, RECONCILING};
use cortecs_simulator::{Effect, Endpoint, Fault, Target, When};
use serde_json::json;

use crate::harness::{Bed, MODEL, Read, bound, running, stopped};

#[tokio::test]
async fn an_api_that_answers_503_for_a_while_loses_and_repeats_nothing() {
    let bed = Bed::new("api-503").await;
    let _operator = bed.operator();
    let old = bed.run("old", json!({"modelId": MODEL})).await;
    bed.api.set_down(true);
    bed.create("new", json!({"modelId": MODEL})).await;
    bed.change("old", json!({"state": "Stopped"})).await;
    // The outcome of a start that is answered with 503 is unknown.
    let reasons = ["RetryingAfterError", "ResolvingStart"];
    bed.wait("new", "waiting", |r| {
        r.is_current() && reasons.contains(&r.reason(RECONCILING))
    })
    .await;
    bed.wait("old", "waiting", |r| {
        r.is_current() && r.message(RECONCILING).contains("503")
    })
    .await;
    bed.wait_account("waiting", |a| a.reason(READY) == "RetryingAfterError")
        .await;
    bed.api.set_down(false);
    bed.wait("old", "stopped", stopped).await;
    let new = bed.wait("new", "running", running).await;
    assert_eq!(bed.existing(), [old.as_str(), bound(&new)]);
    assert_eq!(
        bed.ever()
            .iter()
            .map(|h| h.billed_starts)
            .collect::<Vec<_>>(),
        [1, 1]
    );
}

#[tokio::test]
async fn an_api_that_refuses_connections_for_a_while_loses_and_repeats_nothing() {
    let bed = Bed::builder("api-gone").gated().build().await;
    let gate = bed.gate.as_ref().unwrap();
    let _operator = bed.operator();
    let old = bed.run("old", json!({"modelId": MODEL})).await;
    gate.close().await;
    bed.create("new", json!({"modelId": MODEL})).await;
    bed.delete("old").await;
    bed.wait("new", "waiting", |r| {
        r.is_current() && r.reason(READY) == "RetryingAfterError"
    })
    .await;
    bed.wait_account("waiting", |a| a.reason(READY) == "RetryingAfterError")
        .await;
    assert_eq!(bed.existing(), [old]);
    gate.reopen().await;
    bed.wait_gone("old").await;
    let new = bed.wait("new", "running", running).await;
    assert_eq!(
        (bed.existing(), bed.starts()),
        (vec![bound(&new).to_owned()], 2)
    );
}

#[tokio::test]
async fn a_start_whose_connection_is_refused_has_a_known_outcome() {
    let bed = Bed::builder("door").gated().build().await;
    let _operator = bed.operator();
    // The start itself meets a refused connection: the operator has listed before.
    bed.run("warm", json!({"modelId": MODEL})).await;
    let gate = bed.gate.as_ref().unwrap();
    gate.close().await;
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.wait("phi", "waiting", |r| {
        r.is_current() && r.reason(READY) == "RetryingAfterError"
    })
    .await;
    gate.reopen().await;
    let resource = bed.wait("phi", "running", running).await;
    assert_eq!(resource.status.as_ref().unwrap().journal.voided_starts, []);
    assert_eq!((bed.starts(), bed.existing().len()), (2, 2));
}

#[tokio::test]
async fn tokens_that_expire_are_renewed_without_a_trace_in_the_status() {
    let bed = Bed::builder("tokens")
        .token_lifetime(Duration::from_secs(2))
        .build()
        .await;
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    let tokens = bed.api.count(Endpoint::Token);
    bed.wait_api("be asked for more tokens", |view| {
        view.count(Endpoint::Token) >= tokens + 3
    })
    .await;
    leaves_no_trace(&bed);
}

#[tokio::test]
async fn tokens_that_are_revoked_are_fetched_anew_without_a_trace_in_the_status() {
    let bed = Bed::new("revoked").await;
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    bed.api.expire_tokens();
    bed.change("phi", json!({"state": "Stopped"})).await;
    bed.wait("phi", "stopped", stopped).await;
    bed.api.expire_tokens();
    bed.change("phi", json!({"state": "Running"})).await;
    bed.runs("phi").await;
    leaves_no_trace(&bed);
}

fn leaves_no_trace(bed: &Bed) {
    let seen = bed.versions("phi");
    assert!(seen.iter().all(|r| r.reason(READY) != "CredentialsInvalid"));
    assert_eq!((bed.starts(), bed.existing().len()), (1, 1));
}

#[tokio::test]
async fn the_operator_waits_for_a_slow_api() {
    let bed = Bed::new("slow").await;
    let duration = Duration::from_millis(500);
    bed.api.add_fault(Fault::new(
        Target::Any,
        Effect::delay(When::After, duration),
    ));
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!((bed.existing(), bed.starts()), (Vec::new(), 1));
}

#[tokio::test]
async fn invalid_lists_change_nothing() {
    let bed = Bed::new("broken-lists").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    for effect in [
        Effect::MalformedBody,
        Effect::TruncatedBody,
        Effect::WithoutInstance,
    ] {
        bed.api
            .add_fault(Fault::once(Endpoint::ListInstances, effect));
    }
    bed.wait_api("have served the faults", |_| bed.api.faults().is_empty())
        .await;
    bed.wait_lists(2).await;
    let resource = bed.wait("phi", "running", running).await;
    assert_eq!(
        (bound(&resource), bed.existing(), bed.starts()),
        (id.as_str(), vec![id.clone()], 1)
    );
}

#[tokio::test]
async fn a_list_that_overlaps_a_restart_is_no_reason_for_another() {
    for policy in ["Revert", "Accept"] {
        let bed = Bed::builder("overlap")
            .request_timeout(Duration::from_secs(5))
            .build()
            .await;
        let _operator = bed.operator();
        let id = bed
            .run("phi", json!({"modelId": MODEL, "driftPolicy": policy}))
            .await;
        bed.change("phi", json!({"state": "Stopped"})).await;
        bed.wait("phi", "stopped", stopped).await;

        // The restart is slow. Meanwhile a list sees the instance still stopped, and its answer comes after that of the restart.
        // The next list is slow.
        let delay = |when, milliseconds| Effect::delay(when, Duration::from_millis(milliseconds));
        bed.api
            .add_fault(Fault::once(Endpoint::Restart, delay(When::Before, 2500)));
        bed.change("phi", json!({"state": "Running"})).await;
        bed.wait_api("get the restart", |view| view.count(Endpoint::Restart) == 1)
            .await;
        bed.api.add_fault(Fault::once(
            Endpoint::ListInstances,
            delay(When::After, 3000),
        ));
        bed.wait_api("get a list", |_| bed.api.faults().is_empty())
            .await;
        bed.api.add_fault(Fault::once(
            Endpoint::ListInstances,
            delay(When::Before, 2000),
        ));
        let requests = bed.api.requests();
        let restart = requests.iter().find(|r| r.endpoint == Endpoint::Restart);
        assert_eq!(
            restart.map(|r| r.status),
            Some(None),
            "the list came before the answer"
        );

        bed.runs("phi").await;
        bed.wait_lists(3).await;
        assert_eq!(
            (
                bed.api.count(Endpoint::Restart),
                bed.existing(),
                bed.starts()
            ),
            (1, vec![id], 1),
            "{policy}"
        );
        let seen = bed.versions("phi");
        assert!(seen.iter().all(|r| r.reason(READY) != "DriftAccepted"));
    }
}
