//! Changes of a resource with an instance: stop, restart, replacement.

use cortecs_api::types::InstanceState;
use serde_json::json;

use super::{DELETE, RECORD, RESTART, SEAL, START, STATUS, STOP, each_crash_point, nothing_leaked};
use crate::harness::{MODEL, bound, running, stopped};

#[tokio::test]
async fn a_stop_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-stop",
        &[STOP, STATUS],
        async |bed| {
            bed.run("phi", json!({"modelId": MODEL})).await;
        },
        async |bed| {
            bed.change("phi", json!({"state": "Stopped"})).await;
            let resource = bed.wait("phi", "stopped", stopped).await;
            assert_eq!(bed.state_of(bound(&resource)), Some(InstanceState::Stopped));
            bed.wait_lists(2).await;
            nothing_leaked(bed);
            assert_eq!((bed.ever().len(), bed.ever()[0].billed_starts), (1, 1));
        },
    )
    .await;
}

#[tokio::test]
async fn a_restart_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-restart",
        &[STATUS, RESTART],
        async |bed| {
            bed.run("phi", json!({"modelId": MODEL})).await;
            bed.change("phi", json!({"state": "Stopped"})).await;
            bed.wait("phi", "stopped", stopped).await;
        },
        async |bed| {
            bed.change("phi", json!({"state": "Running"})).await;
            bed.runs("phi").await;
            bed.wait_lists(2).await;
            nothing_leaked(bed);
            assert_eq!((bed.ever().len(), bed.ever()[0].billed_starts), (1, 2));
        },
    )
    .await;
}

#[tokio::test]
async fn a_restart_of_what_runs_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-again",
        &[STOP, STATUS, RESTART],
        async |bed| {
            bed.run("phi", json!({"modelId": MODEL})).await;
        },
        async |bed| {
            bed.annotate("phi", "cortecs.ai/restartedAt", "now").await;
            let again = bed.wait("phi", "running again", |r| {
                let status = r.status.as_ref();
                let handled = status.and_then(|s| s.last_handled_restart_at.as_deref());
                handled == Some("now") && running(r)
            });
            again.await;
            bed.wait_lists(2).await;
            nothing_leaked(bed);
            // The instance was stopped and restarted once.
            let ever = bed.ever();
            assert_eq!((ever.len(), ever[0].billed_starts), (1, 2));
        },
    )
    .await;
}

#[tokio::test]
async fn a_replacement_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-replace",
        &[STATUS, STOP, DELETE, START, RECORD, SEAL],
        async |bed| {
            bed.run("phi", json!({"modelId": MODEL})).await;
        },
        async |bed| {
            bed.change("phi", json!({"numWorkers": 2})).await;
            let id = bound(&*bed.wait("phi", "running with two", running).await).to_owned();
            bed.sealed("phi", &id).await;
            bed.wait_lists(3).await;
            nothing_leaked(bed);
            assert_eq!((bed.existing().len(), bed.ever().len()), (1, 2));
        },
    )
    .await;
}
