//! Two resources name one instance: one is bound to it, and the operator never touches it for the other.

use cortecs_api::types::InstanceState;
use jiff::Timestamp;
use kube::ResourceExt;
use serde_json::json;

use crate::{
    eventually::eventually_true,
    harness::{Bed, MODEL, Read, SOON, bound, running},
};

/// A running resource `owner`, and a younger resource `other` whose status names the same instance.
async fn two(name: &'static str, policy: &str) -> (Bed, String) {
    let bed = Bed::new(name).await;
    let first = bed.operator();
    let id = bed
        .run_sealed("owner", json!({"modelId": MODEL, "deletionPolicy": policy}))
        .await;
    first.kill();
    let owner = bed.wait("owner", "there", |_| true).await;
    let status = owner.status.clone();
    // The older of two resources keeps the instance. Creation times are in whole seconds, and for equal times the uid
    // decides: the other resource has to come in a later second.
    let created = owner.creation_timestamp().expect("a creation time").0;
    eventually_true("the next second has begun", SOON, async || {
        Timestamp::now().as_second() > created.as_second()
    })
    .await;
    bed.create("other", json!({"modelId": MODEL})).await;
    bed.replace_status("other", serde_json::to_value(status).unwrap())
        .await;
    (bed, id)
}

#[tokio::test]
async fn the_instance_is_never_touched_for_the_other_resource() {
    let (bed, id) = two("claimed", "Delete").await;
    let since = bed.last_request();
    let _operator = bed.operator();
    let loser = bed.stalls("other", "InstanceClaimed").await;
    let owner = format!("{}/owner", bed.namespace);
    loser.assert_says("Stalled", &owner);
    for change in [
        json!({"state": "Stopped"}),
        json!({"state": "Running", "numWorkers": 2}),
    ] {
        bed.change("other", change).await;
        bed.annotate("other", "cortecs.ai/restartedAt", "now").await;
        bed.stalls("other", "InstanceClaimed").await;
    }
    bed.wait_lists(2).await;
    bed.delete("other").await;
    bed.wait_gone("other").await;
    assert_eq!(bed.requests_about(&id, since), []);
    assert_eq!(bed.runs("owner").await, id);
    assert_eq!(
        (bed.starts(), bed.state_of(&id)),
        (1, Some(InstanceState::Running))
    );
}

#[tokio::test]
async fn when_the_owner_orphans_the_instance_the_other_resource_gets_it() {
    let (bed, id) = two("claimed-orphan", "Orphan").await;
    let _operator = bed.operator();
    bed.stalls("other", "InstanceClaimed").await;
    bed.delete("owner").await;
    bed.wait_gone("owner").await;
    assert_eq!(bed.runs("other").await, id);
    bed.delete("other").await;
    bed.wait_gone("other").await;
    assert_eq!((bed.starts(), bed.existing()), (1, Vec::new()));
}

#[tokio::test]
async fn when_the_owner_deletes_the_instance_the_other_resource_starts_its_own() {
    let (bed, id) = two("claimed-delete", "Delete").await;
    let _operator = bed.operator();
    bed.stalls("other", "InstanceClaimed").await;
    bed.delete("owner").await;
    bed.wait_gone("owner").await;
    let anew = bed
        .wait("other", "running anew", |r| bound(r) != id && running(r))
        .await;
    bed.wait_lists(2).await;
    assert_eq!(
        (bed.starts(), bed.existing()),
        (2, vec![bound(&anew).to_owned()])
    );
}

#[tokio::test]
async fn an_instance_that_the_annotation_names_is_not_touched_while_another_resource_has_it() {
    let bed = Bed::builder("claimed-sealed")
        .account(json!({"adoption": "Unclaimed"}))
        .build()
        .await;
    let (id, backup) = bed.lose_backed_up().await;
    let _second = bed.operator();
    // Another resource adopts the unmanaged instance. Then the lost resource is restored.
    bed.create(
        "taker",
        json!({"modelId": MODEL, "adopt": {"instanceId": id}, "deletionPolicy": "Orphan"}),
    )
    .await;
    assert_eq!(bed.runs("taker").await, id);
    bed.sealed("taker", &id).await;
    bed.wait_lists(1).await;
    let since = bed.last_request();
    bed.restore(&backup).await;
    let loser = bed.stalls("phi", "InstanceClaimed").await;
    let message = loser.message("Stalled");
    assert!(
        message.contains(&format!("{}/taker", bed.namespace))
            && message.contains("remove the annotation"),
        "{message}"
    );
    bed.wait_lists(2).await;
    assert_eq!(bed.requests_about(&id, since), []);
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!(bed.requests_about(&id, since), []);
    assert_eq!((bed.runs("taker").await, bed.starts()), (id.clone(), 1));
    // When the owner orphans the instance, the restored resource finds it by the annotation.
    bed.restore(&backup).await;
    bed.stalls("phi", "InstanceClaimed").await;
    bed.delete("taker").await;
    bed.wait_gone("taker").await;
    assert_eq!((bed.runs("phi").await, bed.starts()), (id, 1));
}
