//! Other clients of the API stop or delete an instance, and lists show changes late.

use std::time::Duration;

use cortecs_api::types::InstanceState;
use cortecs_resources::conditions::READY;
use cortecs_simulator::Endpoint;
use serde_json::json;

use crate::harness::{Bed, CLIENT_ID, MODEL, Read, bound, running, sorted};

#[tokio::test]
async fn an_instance_that_others_stop_is_restarted() {
    let bed = Bed::new("revert-stop").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.api.outsider_stop(&id).unwrap();
    bed.wait_api("restart it", |view| view.count(Endpoint::Restart) == 1)
        .await;
    let resource = bed.wait("phi", "running", running).await;
    assert_eq!(
        (bound(&resource), bed.existing(), bed.starts()),
        (id.as_str(), vec![id.clone()], 1)
    );
}

#[tokio::test]
async fn with_accept_an_instance_that_others_stop_rests_until_it_is_asked_for() {
    let bed = Bed::new("accept-stop").await;
    let _operator = bed.operator();
    let id = bed
        .run("phi", json!({"modelId": MODEL, "driftPolicy": "Accept"}))
        .await;
    bed.api.outsider_stop(&id).unwrap();
    bed.wait("phi", "at rest", |r| {
        r.is_current() && r.reason(READY) == "DriftAccepted"
    })
    .await;
    bed.wait_lists(3).await;
    assert_eq!(bed.state_of(&id), Some(InstanceState::Stopped));
    bed.annotate("phi", "cortecs.ai/restartedAt", "please")
        .await;
    let resource = bed.wait("phi", "running", running).await;
    assert_eq!((bound(&resource), bed.starts()), (id.as_str(), 1));
}

#[tokio::test]
async fn an_instance_that_others_delete_is_started_anew_after_a_get_says_that_it_is_gone() {
    let bed = Bed::new("revert-delete").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.api.outsider_delete(&id).unwrap();
    let resource = bed
        .wait("phi", "running anew", |r| running(r) && bound(r) != id)
        .await;
    assert_eq!(
        (bed.existing(), bed.starts()),
        (vec![bound(&resource).to_owned()], 2)
    );
    assert!(
        bed.api.count(Endpoint::GetInstance) >= 1,
        "a list alone is no proof"
    );
}

#[tokio::test]
async fn with_accept_an_instance_that_others_delete_is_not_replaced() {
    let bed = Bed::new("accept-delete").await;
    let _operator = bed.operator();
    let id = bed
        .run("phi", json!({"modelId": MODEL, "driftPolicy": "Accept"}))
        .await;
    bed.api.outsider_delete(&id).unwrap();
    bed.wait("phi", "at rest", |r| {
        r.is_current() && r.reason(READY) == "DriftAccepted" && bound(r).is_empty()
    })
    .await;
    bed.wait_lists(3).await;
    assert_eq!(bed.starts(), 1);
    bed.change("phi", json!({"numWorkers": 2})).await;
    bed.runs("phi").await;
    assert_eq!((bed.starts(), bed.existing().len()), (2, 1));
}

#[tokio::test]
async fn an_instance_that_lists_do_not_show_yet_is_neither_gone_nor_started_again() {
    let bed = Bed::new("lag").await;
    bed.api.set_list_lag(Duration::from_secs(8));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.wait("phi", "bound", |r| !bound(r).is_empty()).await;
    // The resource is reconciled while no list shows its instance.
    for round in ["1", "2", "3"] {
        bed.wait_lists(1).await;
        bed.annotate("phi", "cortecs.ai/requestedAt", round).await;
    }
    let resource = bed.wait("phi", "running", running).await;
    bed.wait_lists(8).await;
    assert_eq!(
        (bed.existing(), bed.starts()),
        (vec![bound(&resource).to_owned()], 1)
    );
    let ids: Vec<_> = bed
        .versions("phi")
        .iter()
        .map(|r| bound(r).to_owned())
        .collect();
    assert!(
        ids.iter().all(|id| id.is_empty() || id == bound(&resource)),
        "{ids:?}"
    );
    // After the deletion, lists still show the instance. The operator does not take them as proof that it exists.
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!(bed.existing(), [""; 0]);
}

#[tokio::test]
async fn two_instances_that_others_stop_at_once_are_both_restarted() {
    let bed = Bed::new("stop-everything").await;
    let _operator = bed.operator();
    let names = ["a", "b"];
    bed.create_each(&names).await;
    bed.all_run(&names).await;
    let stopped = bed.api.stop_everything(CLIENT_ID);
    bed.wait_api("restart both", |view| view.count(Endpoint::Restart) == 2)
        .await;
    let ids = bed.all_run(&names).await;
    assert_eq!((sorted(ids), bed.starts()), (sorted(stopped), 2));
}
