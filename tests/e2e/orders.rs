//! A person orders to try now, by an annotation: what waits for its next try is tried at once.

use cortecs_resources::{CortecsInstance, instance_status::Phase};
use cortecs_simulator::{Effect, Endpoint, Fault};
use serde_json::json;

use crate::harness::{Bed, MODEL, Policy, Read, phase_is, stalled_because};

/// Creates a resource whose first call to `endpoint` fails, and orders to try again once it waits for ten minutes.
async fn tries_at_once(name: &'static str, endpoint: Endpoint, effect: Effect, annotation: &str) {
    let bed = Bed::new(name).await;
    bed.api.add_fault(Fault::once(endpoint, effect));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.wait("phi", "stalled", stalled_because("InvalidArguments"))
        .await;
    bed.annotate("phi", annotation, "now").await;
    bed.runs("phi").await;
    bed.wait_lists(2).await;
    assert_eq!(bed.existing().len(), 1);
    assert_eq!(bed.api.count(Endpoint::Restart), 0);
}

#[tokio::test]
async fn a_refused_start_is_tried_at_once() {
    let refusal = || Effect::fail(400, "the model is being moved");
    for (name, annotation) in [
        ("ordered-request", "cortecs.ai/requestedAt"),
        ("ordered-restart", "cortecs.ai/restartedAt"),
    ] {
        tries_at_once(name, Endpoint::Start, refusal(), annotation).await;
    }
}

#[tokio::test]
async fn a_model_that_the_catalog_did_not_have_is_asked_for_at_once() {
    let refusal = Effect::fail(404, "Model not found");
    let annotation = "cortecs.ai/requestedAt";
    tries_at_once("ordered-model", Endpoint::GetModel, refusal, annotation).await;
}

#[tokio::test]
async fn a_refused_deletion_is_tried_at_once() {
    let bed = Bed::new("ordered-delete").await;
    let refusal = Effect::fail(403, "not today");
    bed.api.add_fault(Fault::once(Endpoint::Delete, refusal));
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    bed.delete("phi").await;
    let refused = |r: &CortecsInstance| r.message("Stalled").contains("not today");
    bed.wait("phi", "refused", refused).await;
    bed.annotate("phi", "cortecs.ai/requestedAt", "now").await;
    bed.wait_gone("phi").await;
    assert_eq!(bed.existing(), [""; 0]);
}

#[tokio::test]
async fn a_write_that_was_refused_is_tried_at_once() {
    let bed = Bed::new("ordered-write").await;
    let _operator = bed.operator();
    bed.wait_lists(1).await;
    let permits = "object.kind != 'CortecsInstance' || !has(object.metadata.finalizers)";
    let policy = Policy::refuse(&bed, "cortecsinstances", permits).await;
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.stalls("phi", "WriteRefused").await;
    policy.end().await;
    bed.annotate("phi", "cortecs.ai/requestedAt", "now").await;
    bed.runs("phi").await;
}

#[tokio::test]
async fn a_lack_of_hardware_is_waited_for_however_the_api_says_it() {
    for (code, said) in [
        (400, "No capacity available for this hardware type"),
        (403, "Insufficient capacity"),
        (422, "The hardware type is not available at the moment"),
    ] {
        let bed = Bed::new("told-capacity").await;
        bed.api
            .add_fault(Fault::once(Endpoint::Start, Effect::fail(code, said)));
        let _operator = bed.operator();
        bed.create("phi", json!({"modelId": MODEL})).await;
        let waits = |r: &CortecsInstance| {
            r.reason("Reconciling") == "WaitingForCapacity" && r.message("Ready").contains(said)
        };
        bed.wait("phi", "waiting for hardware", waits).await;
        bed.annotate("phi", "cortecs.ai/requestedAt", "now").await;
        bed.runs("phi").await;
        let failed = |r: &std::sync::Arc<CortecsInstance>| phase_is(Phase::Failed)(r);
        assert!(!bed.versions("phi").iter().any(failed), "{said}");
        assert_eq!(bed.starts(), 2);
    }
}
