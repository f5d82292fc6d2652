//! The cost of many resources that are idle.

use std::time::{Duration, Instant};

use cortecs_resources::CortecsInstance;
use cortecs_simulator::Endpoint;
use futures::{StreamExt, stream};
use kube::ResourceExt;
use serde_json::json;

use crate::{
    control_plane::assert_succeeded,
    harness::{Bed, MODEL, Record, SOON, apply, is_ready, running, sorted},
};

const RESOURCES: usize = 200;
const INTERVALS: u64 = 5;

#[tokio::test]
async fn two_hundred_idle_resources_cost_one_list_an_interval_and_no_write() {
    let bed = Bed::builder("fleet")
        .step(Duration::from_millis(20))
        .account(json!({"poll": {"idleSeconds": 2}, "allowedNamespaces": {"from": "All"}}))
        .neighbour("a", &[])
        .neighbour("b", &[])
        .alone()
        .build()
        .await;
    count_writes(&bed).await;
    let _operator = bed.operator();
    let namespaces = [
        bed.namespace.clone(),
        bed.neighbour("a"),
        bed.neighbour("b"),
    ];
    let all: Vec<(&str, String)> = (0..RESOURCES)
        .map(|n| {
            (
                namespaces[n % namespaces.len()].as_str(),
                format!("phi-{n}"),
            )
        })
        .collect();
    stream::iter(&all)
        .for_each_concurrent(8, async |(namespace, name)| {
            bed.create_in(namespace, name, json!({"modelId": MODEL}))
                .await;
        })
        .await;
    // Many tests share two cores, and no order is promised: each one has to follow the one before soon.
    for n in 1..=RESOURCES {
        let run = |record: &Record<CortecsInstance>| {
            let all = record.all();
            let count = all.iter().filter(|resource| running(resource)).count();
            (count >= n).then_some(())
        };
        let runs = bed.instances.wait(SOON, run).await;
        assert!(runs.is_some(), "{n} of {RESOURCES} do not run");
    }
    assert_eq!((bed.starts(), bed.ever().len()), (200, 200));
    assert_eq!(bed.bound_ids(), sorted(bed.existing()));
    bed.wait_account("counted", |a| {
        let counts = a.status.as_ref().and_then(|s| s.instances.as_ref());
        is_ready(a) && counts.is_some_and(|c| (c.managed, c.running) == (200, 200))
    })
    .await;
    settle(&bed).await;

    let versions = || -> Vec<String> {
        let (instances, accounts) = (bed.instances.all(), bed.accounts.all());
        let versions = instances.iter().filter_map(|r| r.resource_version());
        versions
            .chain(accounts.iter().filter_map(|r| r.resource_version()))
            .collect()
    };
    let before = (versions(), writes(&bed).await);
    assert!(
        before.1 > 600,
        "the API server counts the operator's writes"
    );
    let began = Instant::now();
    bed.api.reset_counts();
    bed.wait_lists(INTERVALS).await;
    let counts = bed.api.counts();
    // An interval is at most a tenth shorter than two seconds, and begins when the previous list has ended.
    let most = began.elapsed().as_secs_f64() / 1.8 + 1.0;

    let others: Vec<_> = counts
        .iter()
        .filter(|(endpoint, _)| **endpoint != Endpoint::ListInstances)
        .collect();
    assert!(others.is_empty(), "idle resources cost calls: {others:?}");
    let lists = counts[&Endpoint::ListInstances];
    assert!(lists as f64 <= most, "{lists} lists where {most} may be");
    assert_eq!(
        (versions(), writes(&bed).await),
        before,
        "idle resources cost writes"
    );
}

/// Waits until the operator has stopped writing.
async fn settle(bed: &Bed) {
    let mut quiet = 0;
    let mut last = writes(bed).await;
    let mut lists = 0;
    while quiet < 3 {
        lists += 1;
        assert!(lists < 30, "idle resources do not cease to be written");
        bed.wait_lists(1).await;
        let now = writes(bed).await;
        quiet = if now == last { quiet + 1 } else { 0 };
        last = now;
    }
}

/// Makes the API server count the operator's writes, by a FlowSchema that only they match.
async fn count_writes(bed: &Bed) {
    let schema = json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "FlowSchema",
        "metadata": {"name": "writes"},
        "spec": {
            "priorityLevelConfiguration": {"name": "workload-low"},
            "matchingPrecedence": 10,
            "rules": [{
                "subjects": [{"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "cortecs-system"}}],
                "resourceRules": [{
                    "verbs": ["create", "update", "patch", "delete", "deletecollection"],
                    "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"],
                }],
            }],
        },
    });
    assert_succeeded("the flow schema", &apply(bed.plane, &schema).await);
}

/// The number of the operator's writes that the API server has executed.
async fn writes(bed: &Bed) -> u64 {
    let metrics = bed.kubectl_text(&["get", "--raw", "/metrics"]).await;
    metrics
        .lines()
        .filter(|line| line.starts_with("apiserver_flowcontrol_dispatched_requests_total{"))
        .filter(|line| line.contains("flow_schema=\"writes\""))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}
