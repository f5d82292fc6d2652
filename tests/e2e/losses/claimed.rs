//! Two resources that name one instance: one has it, the other never touches it.

use cortecs_api::types::InstanceState;
use cortecs_simulator::RequestRecord;
use serde_json::{Value, json};

use crate::harness::{Bed, MODEL, Read, bound, stalled_because};

/// The latest request to the API.
fn mark(bed: &Bed) -> u64 {
    bed.api.requests().last().map_or(0, |r| r.sequence)
}

/// The calls about an instance since then.
fn about(bed: &Bed, id: &str, since: u64) -> Vec<RequestRecord> {
    let requests = bed.api.requests().into_iter();
    requests
        .filter(|r| r.sequence > since)
        .filter(|r| {
            let body = r.body.as_ref().map(Value::to_string);
            r.path.contains(id) || body.unwrap_or_default().contains(id)
        })
        .collect()
}

/// A resource that runs, and a younger one whose status was made to name its instance.
async fn two(name: &'static str, policy: &str) -> (Bed, String) {
    let bed = Bed::new(name).await;
    let first = bed.operator();
    bed.create("owner", json!({"modelId": MODEL, "deletionPolicy": policy}))
        .await;
    let id = bed.runs("owner").await;
    bed.sealed("owner", &id).await;
    first.kill();
    let status = bed.wait("owner", "there", |_| true).await.status.clone();
    // Creation times have whole seconds: a tie is settled by uid, so the loser is made a second later.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    bed.create("other", json!({"modelId": MODEL})).await;
    bed.replace_status("other", serde_json::to_value(status).unwrap())
        .await;
    (bed, id)
}

#[tokio::test]
async fn the_loser_never_touches_the_instance() {
    let (bed, id) = two("claimed", "Delete").await;
    let since = mark(&bed);
    let _operator = bed.operator();
    let loser = bed
        .wait("other", "stalled", stalled_because("InstanceClaimed"))
        .await;
    let owner = format!("{}/owner", bed.namespace);
    assert!(
        loser.message("Stalled").contains(&owner),
        "{}",
        loser.message("Stalled")
    );
    for change in [
        json!({"state": "Stopped"}),
        json!({"state": "Running", "numWorkers": 2}),
    ] {
        bed.change("other", change).await;
        bed.annotate("other", "cortecs.ai/restartedAt", "now").await;
        bed.wait("other", "stalled still", stalled_because("InstanceClaimed"))
            .await;
    }
    bed.wait_lists(2).await;
    bed.delete("other").await;
    bed.wait_gone("other").await;
    assert_eq!(about(&bed, &id, since), []);
    assert_eq!(bed.runs("owner").await, id);
    assert_eq!(
        (bed.starts(), bed.state_of(&id)),
        (1, Some(InstanceState::Running))
    );
}

#[tokio::test]
async fn when_the_owner_goes_and_leaves_it_the_other_has_it() {
    let (bed, id) = two("claimed-orphan", "Orphan").await;
    let _operator = bed.operator();
    bed.wait("other", "stalled", stalled_because("InstanceClaimed"))
        .await;
    bed.delete("owner").await;
    bed.wait_gone("owner").await;
    assert_eq!(bed.runs("other").await, id);
    bed.delete("other").await;
    bed.wait_gone("other").await;
    assert_eq!((bed.starts(), bed.existing()), (1, Vec::new()));
}

#[tokio::test]
async fn when_the_owner_goes_with_it_the_other_starts_its_own() {
    let (bed, id) = two("claimed-delete", "Delete").await;
    let _operator = bed.operator();
    bed.wait("other", "stalled", stalled_because("InstanceClaimed"))
        .await;
    bed.delete("owner").await;
    bed.wait_gone("owner").await;
    let anew = bed
        .wait("other", "running anew", |r| {
            bound(r) != id && crate::harness::running(r)
        })
        .await;
    bed.wait_lists(2).await;
    assert_eq!(
        (bed.starts(), bed.existing()),
        (2, vec![bound(&anew).to_owned()])
    );
}

#[tokio::test]
async fn what_the_annotation_names_but_another_has_is_not_touched() {
    let bed = Bed::builder("claimed-sealed")
        .account(json!({"adoption": "Unclaimed"}))
        .build()
        .await;
    let first = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let id = bed.runs("phi").await;
    bed.sealed("phi", &id).await;
    let backup = bed.back_up("phi").await;
    first.kill();
    bed.lose("phi").await;
    let _second = bed.operator();
    // Somebody takes over what is nobody's; then the backup comes back.
    bed.create(
        "taker",
        json!({"modelId": MODEL, "adopt": {"instanceId": id}, "deletionPolicy": "Orphan"}),
    )
    .await;
    assert_eq!(bed.runs("taker").await, id);
    bed.sealed("taker", &id).await;
    bed.wait_lists(1).await;
    let since = mark(&bed);
    bed.restore(&backup).await;
    let loser = bed
        .wait("phi", "stalled", stalled_because("InstanceClaimed"))
        .await;
    let message = loser.message("Stalled");
    assert!(
        message.contains(&format!("{}/taker", bed.namespace))
            && message.contains("remove the annotation"),
        "{message}"
    );
    bed.wait_lists(2).await;
    assert_eq!(about(&bed, &id, since), []);
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!(about(&bed, &id, since), []);
    assert_eq!((bed.runs("taker").await, bed.starts()), (id.clone(), 1));
    // When the owner leaves it, the resource that it was sealed for finds it.
    bed.restore(&backup).await;
    bed.wait("phi", "stalled", stalled_because("InstanceClaimed"))
        .await;
    bed.delete("taker").await;
    bed.wait_gone("taker").await;
    assert_eq!((bed.runs("phi").await, bed.starts()), (id, 1));
}
