//! Calls to the API server hang. The operator gives each up in time, goes on with its work, and starts nothing twice.

use std::time::Duration;

use cortecs_simulator::{Effect, Endpoint, Fault, When};
use serde_json::json;

use crate::harness::{Asked, Bed, HangingProxy, Hangs, MODEL, bound, running};

/// Starts one resource while the request that `takes` accepts hangs.
async fn starts_once(name: &'static str, hangs: Hangs, takes: fn(&Asked) -> bool) -> Bed {
    let bed = Bed::new(name).await;
    let proxy = HangingProxy::new(&bed.kubeconfig).await;
    let _operator = bed.operator_through(&proxy);
    bed.run("before", json!({"modelId": MODEL})).await;
    proxy.hang_next(hangs, takes);
    bed.create("phi", json!({"modelId": MODEL})).await;
    proxy.wait_hanging(1).await;
    // Another resource is reconciled meanwhile, and the first one afterwards.
    bed.create("after", json!({"modelId": MODEL})).await;
    for name in ["after", "phi"] {
        bed.runs(name).await;
    }
    assert_eq!((bed.starts(), bed.ever().len()), (3, 3));
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!(bed.existing().len(), 2);
    bed
}

fn puts_finalizer_on(asked: &Asked) -> bool {
    asked.method == "PATCH" && asked.body.contains("finalizers") && asked.path.contains("/phi")
}

fn writes_intent(asked: &Asked) -> bool {
    asked.method == "PUT"
        && asked.path.contains("/phi/status")
        && asked.body.contains("knownInstances")
}

fn records_instance(asked: &Asked) -> bool {
    asked.method == "PATCH" && asked.path.contains("/phi/status")
}

fn lists_resources(asked: &Asked) -> bool {
    let watched = asked.path.contains("watch=");
    asked.method == "GET" && asked.path.contains("/cortecsinstances?") && !watched
}

fn watches_resources(asked: &Asked) -> bool {
    asked.path.contains("/cortecsinstances?") && asked.path.contains("watch=")
}

#[tokio::test]
async fn a_finalizer_that_hangs_is_put_on_anew() {
    starts_once("hung-finalizer", Hangs::Request, puts_finalizer_on).await;
    starts_once("deaf-finalizer", Hangs::Answer, puts_finalizer_on).await;
}

#[tokio::test]
async fn a_start_whose_record_cannot_be_written_is_not_called() {
    starts_once("hung-intent", Hangs::Request, writes_intent).await;
}

#[tokio::test]
async fn a_start_whose_record_was_written_without_an_answer_is_resolved_and_not_called() {
    let bed = starts_once("deaf-intent", Hangs::Answer, writes_intent).await;
    let voided = bed.versions("phi");
    let voided = voided.iter().filter_map(|r| r.status.as_ref());
    assert!(
        voided
            .into_iter()
            .any(|s| s.journal.voided_starts.len() == 1)
    );
}

#[tokio::test]
async fn an_instance_whose_id_cannot_be_recorded_at_first_is_recorded_later() {
    starts_once("hung-record", Hangs::Request, records_instance).await;
    starts_once("deaf-record", Hangs::Answer, records_instance).await;
}

#[tokio::test]
async fn a_read_of_all_resources_that_hangs_is_made_anew() {
    let bed = Bed::new("hung-read").await;
    let proxy = HangingProxy::new(&bed.kubeconfig).await;
    let _operator = bed.operator_through(&proxy);
    bed.run("before", json!({"modelId": MODEL})).await;
    let lost = Effect::reset(When::After);
    bed.api.add_fault(Fault::once(Endpoint::Start, lost));
    proxy.hang_next(Hangs::Request, lists_resources);
    bed.create("phi", json!({"modelId": MODEL})).await;
    proxy.wait_hanging(1).await;
    bed.runs("phi").await;
    assert_eq!((bed.starts(), bed.existing().len()), (2, 2));
}

#[tokio::test]
async fn while_the_watch_hangs_known_resources_are_reconciled_and_nothing_new_is_started() {
    let bed = Bed::builder("hung-watch")
        .step(Duration::from_millis(500))
        .build()
        .await;
    let proxy = HangingProxy::new(&bed.kubeconfig).await;
    bed.create("phi", json!({"modelId": MODEL})).await;
    // The watch begins with a list, and gets no event after it.
    proxy.hang_next(Hangs::Request, watches_resources);
    let _operator = bed.operator_through(&proxy);
    proxy.wait_hanging(1).await;
    let phi = bed.wait("phi", "running", running).await;
    bed.create("unseen", json!({"modelId": MODEL})).await;
    bed.wait_lists(3).await;
    assert_eq!(
        (bed.existing(), bed.starts()),
        (vec![bound(&phi).to_owned()], 1)
    );
    // When the hanging watch ends with an error, the operator begins another one.
    proxy.end_hanging();
    bed.runs("unseen").await;
    assert_eq!((bed.existing().len(), bed.starts()), (2, 2));
}
