//! A status that is emptied, and a resource that comes back from a backup.

use serde_json::json;

use super::{
    DELETE, FINALIZER_OFF, FINALIZER_ON, GET, STATUS, STOP, each_crash_point, nothing_leaked,
};
use crate::harness::{Bed, MODEL};

#[tokio::test]
async fn an_emptied_status_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-wiped",
        &[STATUS],
        async |bed| {
            bed.run_sealed("phi", json!({"modelId": MODEL})).await;
        },
        async |bed| {
            bed.wait_lists(2).await;
            bed.empty_status("phi").await;
            bed.runs("phi").await;
            bed.wait_lists(3).await;
            nothing_leaked(bed);
            assert_eq!((bed.starts(), bed.ever().len()), (1, 1));
        },
    )
    .await;
}

/// Backs the resource up, loses it, and restores it while the operator runs.
async fn come_back(bed: &Bed) {
    let backup = bed.back_up("phi").await;
    bed.api.set_down(true);
    bed.lose("phi").await;
    bed.restore(&backup).await;
    // The operator knows by now that the deleted resource is gone, and does not remove its instance any more.
    bed.wait("phi", "protected", |phi| phi.metadata.finalizers.is_some())
        .await;
    bed.api.set_down(false);
}

#[tokio::test]
async fn a_restored_resource_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-backup",
        &[FINALIZER_ON, GET, STATUS],
        async |bed| {
            bed.run_sealed("phi", json!({"modelId": MODEL})).await;
        },
        async |bed| {
            come_back(bed).await;
            bed.runs("phi").await;
            bed.wait_lists(3).await;
            nothing_leaked(bed);
            assert_eq!((bed.starts(), bed.ever().len()), (1, 1));
        },
    )
    .await;
}

#[tokio::test]
async fn a_restored_resource_that_is_deleted_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-backup-delete",
        &[GET, STATUS, STOP, DELETE, FINALIZER_OFF],
        async |bed| {
            bed.run_sealed("phi", json!({"modelId": MODEL})).await;
        },
        async |bed| {
            come_back(bed).await;
            bed.wait("phi", "protected", |r| r.metadata.finalizers.is_some())
                .await;
            bed.delete("phi").await;
            bed.wait_gone("phi").await;
            assert_eq!((bed.existing(), bed.ever().len()), (Vec::new(), 1));
        },
    )
    .await;
}
