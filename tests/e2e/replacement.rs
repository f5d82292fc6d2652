//! The arguments in the spec change. The API cannot change an instance, so a new instance replaces the old one.

use cortecs_api::types::InstanceState;
use cortecs_resources::{CortecsInstance, identity::InstanceArgs};
use cortecs_simulator::Endpoint;
use serde_json::json;

use crate::harness::{Bed, MODEL, MODEL_ID, OTHER_MODEL, OTHER_MODEL_ID, bound, running, stopped};

/// The calls that change an instance, in order.
fn calls(bed: &Bed) -> Vec<Endpoint> {
    let reads = [
        Endpoint::Token,
        Endpoint::ListInstances,
        Endpoint::GetInstance,
        Endpoint::GetModel,
        Endpoint::HardwareTypes,
        Endpoint::AvailableHardwareTypes,
        Endpoint::Balance,
    ];
    let requests = bed.api.requests().into_iter();
    requests
        .map(|r| r.endpoint)
        .filter(|e| !reads.contains(e))
        .collect()
}

/// The arguments of the instance.
fn args(resource: &CortecsInstance) -> &InstanceArgs {
    let status = resource.status.as_ref().unwrap();
    status.instance_args.as_ref().unwrap()
}

#[tokio::test]
async fn another_model_or_number_of_workers_replaces_the_instance_and_never_bills_two() {
    let bed = Bed::new("recreate").await;
    let _operator = bed.operator();
    let first = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.change("phi", json!({"numWorkers": 2})).await;
    let second = bound(&*bed.wait("phi", "running with two", running).await).to_owned();
    bed.change("phi", json!({"modelId": OTHER_MODEL})).await;
    let third = bed.wait("phi", "running the other model", running).await;

    let args = args(&third);
    assert_eq!(
        (args.model_id.as_str(), args.num_workers),
        (OTHER_MODEL_ID, Some(2))
    );
    assert_eq!(bed.existing(), [bound(&third)]);
    let ever: Vec<_> = bed
        .ever()
        .into_iter()
        .map(|h| h.instance.instance_id)
        .collect();
    assert_eq!(ever, [&first, &second, bound(&third)]);
    // Each time, the old instance was deleted before the new one was started.
    use Endpoint::{Delete, Start, Stop};
    assert_eq!(
        calls(&bed),
        [Start, Stop, Delete, Start, Stop, Delete, Start]
    );
}

#[tokio::test]
async fn the_other_spelling_of_the_model_changes_nothing() {
    let bed = Bed::new("spelling").await;
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    bed.change("phi", json!({"modelId": MODEL_ID})).await;
    bed.runs("phi").await;
    bed.wait_lists(2).await;
    assert_eq!(calls(&bed), [Endpoint::Start]);
}

#[tokio::test]
async fn with_on_delete_a_change_waits_until_the_instance_is_next_started() {
    let bed = Bed::new("on-delete").await;
    let _operator = bed.operator();
    bed.create(
        "phi",
        json!({"modelId": MODEL, "updateStrategy": {"type": "OnDelete"}}),
    )
    .await;
    let id = bed.runs("phi").await;
    bed.change("phi", json!({"numWorkers": 2})).await;
    let resource = bed.wait("phi", "running as before", running).await;
    bed.wait_lists(2).await;
    assert_eq!(bound(&resource), id);
    assert_eq!(
        (calls(&bed), bed.state_of(&id)),
        (vec![Endpoint::Start], Some(InstanceState::Running))
    );

    bed.change("phi", json!({"state": "Stopped"})).await;
    bed.wait("phi", "stopped", stopped).await;
    bed.change("phi", json!({"state": "Running"})).await;
    let resource = bed.wait("phi", "running with two", running).await;
    assert_ne!(bound(&resource), id);
    let args = args(&resource);
    assert_eq!(args.num_workers, Some(2));
    assert_eq!(bed.existing(), [bound(&resource)]);
}

#[tokio::test]
async fn a_change_to_what_cannot_run_leaves_the_running_instance_alone() {
    let bed = Bed::new("bad-change").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.change("phi", json!({"modelId": "no/such-model"})).await;
    bed.stalls("phi", "InvalidArguments").await;
    bed.wait_lists(2).await;
    assert_eq!(
        (calls(&bed), bed.state_of(&id)),
        (
            vec![Endpoint::Start, Endpoint::ListModels],
            Some(InstanceState::Running)
        )
    );
    bed.change("phi", json!({"modelId": MODEL})).await;
    let resource = bed.wait("phi", "running", running).await;
    assert_eq!(bound(&resource), id);
}
