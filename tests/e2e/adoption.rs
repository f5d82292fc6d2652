//! Resources that adopt an existing instance, and resources with equal specs.

use std::collections::BTreeSet;

use cortecs_api::types::InstanceState;
use cortecs_resources::conditions::STALLED;
use cortecs_simulator::Endpoint;
use serde_json::json;

use crate::harness::{Bed, MODEL, MODEL_ID, OTHER_MODEL_ID, Read, bound, running, stalled_because};

async fn adopting(name: &'static str) -> Bed {
    Bed::builder(name)
        .account(json!({"adoption": "Unclaimed"}))
        .build()
        .await
}

#[tokio::test]
async fn an_instance_that_is_named_is_taken_over() {
    let bed = adopting("adopt-id").await;
    let others = bed.start_unmanaged(MODEL_ID);
    let wanted = bed.start_unmanaged(MODEL_ID);
    let _operator = bed.operator();
    bed.create(
        "phi",
        json!({"modelId": MODEL, "adopt": {"instanceId": wanted}}),
    )
    .await;
    let resource = bed.wait("phi", "running", running).await;
    assert_eq!((bound(&resource), bed.starts()), (wanted.as_str(), 0));
    // The instance belongs to the resource now: the deletion of the resource deletes this instance and no other.
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!(bed.existing(), [others]);
}

#[tokio::test]
async fn a_matching_instance_is_taken_over_running_ones_first() {
    let bed = adopting("adopt-matching").await;
    let stopped = bed.start_unmanaged(MODEL_ID);
    bed.api.outsider_stop(&stopped).unwrap();
    let up = bed.start_unmanaged(MODEL_ID);
    bed.start_unmanaged(OTHER_MODEL_ID);
    let _operator = bed.operator();
    for (name, expected) in [("first", &up), ("second", &stopped)] {
        bed.create(name, json!({"modelId": MODEL, "adopt": {"matching": true}}))
            .await;
        let resource = bed.wait(name, "running", running).await;
        assert_eq!((bound(&resource), bed.starts()), (expected.as_str(), 0));
    }
    assert_eq!(bed.api.count(Endpoint::Restart), 1);
    // No instance is left to adopt, so the operator starts one.
    bed.create(
        "third",
        json!({"modelId": MODEL, "adopt": {"matching": true}}),
    )
    .await;
    bed.runs("third").await;
    assert_eq!((bed.starts(), bed.existing().len()), (1, 4));
}

#[tokio::test]
async fn without_the_accounts_consent_nothing_is_taken_over() {
    let bed = Bed::new("adopt-refused").await;
    let theirs = bed.start_unmanaged(MODEL_ID);
    let _operator = bed.operator();
    for (name, adopt) in [
        ("named", json!({"instanceId": theirs})),
        ("matching", json!({"matching": true})),
    ] {
        bed.create(name, json!({"modelId": MODEL, "adopt": adopt}))
            .await;
        let resource = bed.stalls(name, "AdoptionNotAllowed").await;
        resource.assert_says(STALLED, "spec.adoption");
        bed.delete(name).await;
        bed.wait_gone(name).await;
    }
    // The instance may still be pending.
    let untouched = matches!(
        bed.state_of(&theirs),
        Some(InstanceState::Pending | InstanceState::Running)
    );
    assert_eq!((bed.changes(), untouched), ([0; 4], true));
}

#[tokio::test]
async fn an_instance_is_never_taken_over_by_two() {
    let bed = adopting("adopt-once").await;
    let wanted = bed.start_unmanaged(MODEL_ID);
    let _operator = bed.operator();
    let names = ["a", "b", "c", "d"];
    for name in names {
        bed.create(
            name,
            json!({"modelId": MODEL, "adopt": {"instanceId": wanted}}),
        )
        .await;
    }
    for name in names {
        bed.wait(name, "settled", |r| {
            running(r) || stalled_because("InstanceClaimed")(r)
        })
        .await;
    }
    bed.wait_lists(2).await;
    let owners: Vec<_> = bed
        .instances
        .all()
        .into_iter()
        .filter(|r| bound(r) == wanted)
        .collect();
    assert_eq!((owners.len(), bed.starts()), (1, 0));
    // The deletion of the resources without an instance does not touch the instance.
    for loser in bed
        .instances
        .all()
        .into_iter()
        .filter(|r| bound(r).is_empty())
    {
        let name = loser.metadata.name.clone().unwrap();
        bed.delete(&name).await;
        bed.wait_gone(&name).await;
    }
    assert_eq!(bed.state_of(&wanted), Some(InstanceState::Running));
}

#[tokio::test]
async fn an_instance_that_is_not_there_or_not_as_asked_is_not_taken_over() {
    let bed = adopting("adopt-wrong").await;
    let other = bed.start_unmanaged(OTHER_MODEL_ID);
    let _operator = bed.operator();
    bed.create(
        "absent",
        json!({"modelId": MODEL, "adopt": {"instanceId": "no-such-id"}}),
    )
    .await;
    bed.create(
        "unlike",
        json!({"modelId": MODEL, "adopt": {"instanceId": other}}),
    )
    .await;
    bed.stalls("absent", "InstanceNotFound").await;
    bed.stalls("unlike", "InvalidArguments").await;
    assert_eq!(bed.starts(), 0);
}

#[tokio::test]
async fn ten_equal_resources_at_once_get_an_instance_each() {
    let bed = Bed::new("ten").await;
    let _operator = bed.operator();
    let names: Vec<String> = (0..10).map(|n| format!("phi-{n}")).collect();
    bed.create_each(&names).await;
    let ids: BTreeSet<String> = bed.all_run(&names).await.into_iter().collect();
    bed.wait_lists(2).await;
    assert_eq!((ids.len(), bed.starts(), bed.ever().len()), (10, 10, 10));
    assert_eq!(ids, bed.existing().into_iter().collect());
}
