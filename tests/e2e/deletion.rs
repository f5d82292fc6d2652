//! What is left of a resource that is deleted, and what happens to a resource that is suspended.

use std::time::Duration;

use cortecs_api::types::InstanceState;
use cortecs_simulator::Endpoint;
use serde_json::json;

use crate::harness::{Bed, MODEL, Read, bound, stopped};

#[tokio::test]
async fn deleting_leaves_nothing_at_the_api() {
    let bed = Bed::new("delete").await;
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    // kubectl waits until the resource is gone.
    bed.kubectl_text(&["delete", "cortecsinstance/phi", "--timeout=90s"])
        .await;
    assert_eq!(bed.existing(), [""; 0]);
    let calls = [Endpoint::Start, Endpoint::Stop, Endpoint::Delete];
    assert_eq!(calls.map(|call| bed.api.count(call)), [1, 1, 1]);
}

#[tokio::test]
async fn deleting_a_stopped_resource_leaves_nothing() {
    let bed = Bed::new("delete-stopped").await;
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    bed.change("phi", json!({"state": "Stopped"})).await;
    bed.wait("phi", "stopped", stopped).await;
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!(bed.existing(), [""; 0]);
}

#[tokio::test]
async fn the_policy_stop_keeps_the_instance_stopped() {
    let bed = Bed::new("policy-stop").await;
    let _operator = bed.operator();
    let id = bed
        .run("phi", json!({"modelId": MODEL, "deletionPolicy": "Stop"}))
        .await;
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!(bed.state_of(&id), Some(InstanceState::Stopped));
    assert_eq!(bed.api.count(Endpoint::Delete), 0);
}

#[tokio::test]
async fn the_policy_orphan_leaves_the_instance_as_it_is() {
    let bed = Bed::new("policy-orphan").await;
    let _operator = bed.operator();
    let id = bed
        .run("phi", json!({"modelId": MODEL, "deletionPolicy": "Orphan"}))
        .await;
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!(bed.state_of(&id), Some(InstanceState::Running));
    assert_eq!(
        [Endpoint::Stop, Endpoint::Delete].map(|call| bed.api.count(call)),
        [0, 0]
    );
    // The instance is unmanaged now, and the account's status shows it.
    bed.wait_account("one unmanaged", |account| {
        account
            .status
            .as_ref()
            .is_some_and(|s| s.unmanaged.iter().any(|u| u.id == id))
    })
    .await;
}

#[tokio::test]
async fn a_resource_that_never_started_anything_goes_at_once() {
    let bed = Bed::builder("never-started")
        .without_account()
        .build()
        .await;
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.wait("phi", "noticed", |r| r.is_current()).await;
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert!(bed.api.requests().is_empty());
}

#[tokio::test]
async fn deleting_while_the_instance_starts_leaves_nothing() {
    let bed = Bed::builder("delete-starting")
        .step(Duration::from_secs(3600))
        .build()
        .await;
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.wait("phi", "bound", |r| !bound(r).is_empty()).await;
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!((bed.existing(), bed.starts()), (Vec::new(), 1));
}

#[tokio::test]
async fn deleting_while_the_start_is_being_called_leaves_nothing() {
    use cortecs_simulator::{Effect, Fault, When};
    let bed = Bed::new("delete-calling").await;
    let duration = Duration::from_millis(600);
    let delay = Effect::delay(When::After, duration);
    bed.api.add_fault(Fault::new(Endpoint::Start, delay));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.wait_api("get the start", |view| view.count(Endpoint::Start) == 1)
        .await;
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!((bed.existing(), bed.starts()), (Vec::new(), 1));
}

#[tokio::test]
async fn a_suspended_resource_shows_its_instance_and_changes_nothing_until_it_is_deleted() {
    let bed = Bed::new("suspend").await;
    let _operator = bed.operator();
    bed.create("idle", json!({"modelId": MODEL, "suspend": true}))
        .await;
    bed.wait("idle", "suspended", |r| {
        r.is_current() && r.reason("Ready") == "Suspended"
    })
    .await;
    let id = bed.run("busy", json!({"modelId": MODEL})).await;
    assert_eq!(bed.starts(), 1);

    bed.change(
        "busy",
        json!({"suspend": true, "state": "Stopped", "numWorkers": 2}),
    )
    .await;
    bed.wait("busy", "suspended", |r| {
        r.is_current() && r.reason("Ready") == "Suspended"
    })
    .await;
    bed.wait_lists(2).await;
    assert_eq!(bed.state_of(&id), Some(InstanceState::Running));
    // The status shows changes by other clients of the API, and the operator does not revert them.
    bed.change("busy", json!({"state": "Running", "numWorkers": 1}))
        .await;
    bed.api.outsider_stop(&id).unwrap();
    bed.wait("busy", "shown as stopped", |r| {
        let state = r.status.as_ref().unwrap().instance_status.as_ref();
        state.is_some_and(|s| s.status == "stopped")
    })
    .await;
    bed.wait_lists(2).await;
    let calls = [Endpoint::Stop, Endpoint::Restart, Endpoint::Delete];
    assert_eq!(calls.map(|call| bed.api.count(call)), [0, 0, 0]);

    for name in ["idle", "busy"] {
        bed.delete(name).await;
        bed.wait_gone(name).await;
    }
    assert_eq!(bed.existing(), [""; 0]);
}
