//! What many resources cost when nothing happens.

use std::time::Duration;

use cortecs_operator::simulator::Endpoint;
use futures::{StreamExt, stream};
use kube::ResourceExt;
use serde_json::json;

use crate::{
    control_plane::assert_succeeded,
    harness::{Bed, MODEL, is_ready, shared},
};

const RESOURCES: usize = 200;
const INTERVALS: u64 = 6;

#[tokio::test]
async fn two_hundred_idle_resources_cost_one_list_an_interval_and_no_write() {
    let mut bed = Bed::builder("fleet")
        .step(Duration::from_millis(20))
        .build()
        .await;
    // A user of its own, so that the API server can count what this operator writes.
    bed.kubeconfig = crate::harness::service_account("fleet-operator").await;
    count_writes_of("fleet-operator").await;
    let _operator = bed.operator();
    let names: Vec<String> = (0..RESOURCES).map(|n| format!("phi-{n}")).collect();
    stream::iter(&names)
        .for_each_concurrent(8, async |name| {
            bed.create(name, json!({"modelId": MODEL})).await;
        })
        .await;
    for name in &names {
        bed.runs(name).await;
    }
    assert_eq!((bed.starts(), bed.existing().len()), (200, 200));
    bed.wait_account("counted", |a| {
        let counts = a.status.as_ref().and_then(|s| s.instances.as_ref());
        is_ready(a) && counts.is_some_and(|c| (c.managed, c.running) == (200, 200))
    })
    .await;
    settle(&bed).await;

    let versions = || -> Vec<String> {
        let instances = bed.instances.all();
        let accounts = bed.accounts.all();
        let versions = instances.iter().filter_map(|r| r.resource_version());
        versions
            .chain(accounts.iter().filter_map(|r| r.resource_version()))
            .collect()
    };
    let before = (versions(), writes_of("fleet-operator").await);
    let began = std::time::Instant::now();
    bed.api.reset_counts();
    bed.wait_lists(INTERVALS).await;
    let counts = bed.api.counts();
    let most = began.elapsed().as_secs_f64() / 0.9 + 1.0;

    let others: Vec<_> = counts
        .iter()
        .filter(|(endpoint, _)| **endpoint != Endpoint::ListInstances)
        .collect();
    assert!(others.is_empty(), "idle resources cost calls: {others:?}");
    let lists = counts[&Endpoint::ListInstances];
    assert!((lists as f64) <= most, "{lists} lists, {most} allowed");
    assert_eq!(
        (versions(), writes_of("fleet-operator").await),
        before,
        "idle resources cost writes"
    );
    assert!(before.1 > 0, "the API server's count of writes works");
}

/// Waits until the last writes that follow from what has happened are done.
async fn settle(bed: &Bed) {
    let mut quiet = 0;
    let mut last = writes_of("fleet-operator").await;
    while quiet < 3 {
        bed.wait_lists(1).await;
        let now = writes_of("fleet-operator").await;
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
    }
}

/// Makes the API server count the writes of a service account apart: those that match a flow schema of its own.
async fn count_writes_of(account: &str) {
    let schema = json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema",
        "metadata": {"name": format!("writes-of-{account}")},
        "spec": {
            "priorityLevelConfiguration": {"name": "workload-low"},
            "matchingPrecedence": 10,
            "rules": [{
                "subjects": [{"kind": "ServiceAccount", "serviceAccount": {"name": account, "namespace": "cortecs-system"}}],
                "resourceRules": [{
                    "verbs": ["create", "update", "patch", "delete", "deletecollection"],
                    "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"],
                }],
            }],
        },
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), schema.to_string()).unwrap();
    let path = file.path().to_string_lossy().into_owned();
    let plane = shared().await.plane;
    assert_succeeded(
        "the flow schema",
        &plane.kubectl(&["apply", "-f", &path]).await,
    );
}

async fn writes_of(account: &str) -> u64 {
    let output = shared()
        .await
        .plane
        .kubectl(&["get", "--raw", "/metrics"])
        .await;
    assert_succeeded("metrics", &output);
    let schema = format!("flow_schema=\"writes-of-{account}\"");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter(|line| {
            line.starts_with("apiserver_flowcontrol_dispatched_requests_total{")
                && line.contains(&schema)
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}
