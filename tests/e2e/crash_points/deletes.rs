//! A deletion, a deletion right after the start, and a deletion that keeps the instance.

use cortecs_api::types::InstanceState;
use serde_json::json;

use super::{
    DELETE, FINALIZER_OFF, FINALIZER_ON, RECORD, SETTLE, START, STATUS, STOP, each_crash_point,
};
use crate::{
    harness::{MODEL, running},
    spending::{bill, is_priced, is_the_bill, spent},
};

#[tokio::test]
async fn a_delete_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-delete",
        &[STOP, DELETE, SETTLE, FINALIZER_OFF],
        async |bed| {
            bed.create("phi", json!({"modelId": MODEL})).await;
            bed.wait("phi", "running", |r| running(r) && is_priced(r))
                .await;
        },
        async |bed| {
            bed.delete("phi").await;
            bed.wait_gone("phi").await;
            assert_eq!((bed.existing(), bed.ever().len()), (Vec::new(), 1));
            let (spent, billed) = (spent(bed, None), bill(bed));
            assert!(
                spent > 0.0 && is_the_bill(spent, bed),
                "{spent} of {billed}"
            );
        },
    )
    .await;
}

#[tokio::test]
async fn a_delete_right_after_the_start_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-start-delete",
        &[
            FINALIZER_ON,
            STATUS,
            START,
            RECORD,
            STOP,
            DELETE,
            FINALIZER_OFF,
        ],
        async |_| {},
        async |bed| {
            bed.create("phi", json!({"modelId": MODEL})).await;
            bed.wait_api("get the start", |view| !view.instances.is_empty())
                .await;
            bed.delete("phi").await;
            bed.wait_gone("phi").await;
            assert_eq!((bed.existing(), bed.ever().len()), (Vec::new(), 1));
        },
    )
    .await;
}

#[tokio::test]
async fn a_deletion_that_only_stops_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-delete-stop",
        &[STOP, FINALIZER_OFF],
        async |bed| {
            let spec = json!({"modelId": MODEL, "deletionPolicy": "Stop"});
            bed.run("phi", spec).await;
        },
        async |bed| {
            bed.delete("phi").await;
            bed.wait_gone("phi").await;
            let ever = bed.ever();
            assert_eq!((ever.len(), ever[0].billed_starts), (1, 1));
            // The instance still exists, and is not billed.
            let id = bed.existing().pop().expect("the instance");
            assert_eq!(bed.state_of(&id), Some(InstanceState::Stopped));
        },
    )
    .await;
}
