//! Kubernetes refuses writes of the operator for good: by a policy, or since an object has no room. What can still be written says so,
//! with the words of the refusal, and money is spent and saved as before.

use cortecs_resources::{INSTANCE_FINALIZER, instance_status::Phase};
use cortecs_simulator::Endpoint;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    eventually::eventually_true,
    harness::{
        Bed, MODEL, Policy, Process, Read, SOON, bound, leads, phase_is, running, stalled_because,
    },
};

/// Waits for the warning about the refusal, on the object of this name.
async fn warns(bed: &Bed, name: &str) {
    let told = async || {
        bed.events().await.iter().any(|event| {
            let regarding = event.regarding.as_ref().and_then(|r| r.name.as_deref());
            let note = event.note.as_deref().unwrap_or_default();
            regarding == Some(name)
                && event.reason.as_deref() == Some("WriteRefused")
                && event.type_.as_deref() == Some("Warning")
                && note.contains("the house forbids it")
        })
    };
    eventually_true("an event tells the refusal", SOON, told).await;
}

#[tokio::test]
async fn a_finalizer_that_a_policy_refuses_is_shown_and_nothing_is_started_without_it() {
    let bed = Bed::builder("no-finalizers").elected().build().await;
    let mut operator = Process::start(&bed, "the operator");
    operator.answers("/metrics", leads).await;
    bed.wait_lists(1).await;
    let policy = Policy::refuse(
        &bed,
        "cortecsinstances",
        "object.kind != 'CortecsInstance' || !has(object.metadata.finalizers)",
    )
    .await;
    bed.create("phi", json!({"modelId": MODEL})).await;
    let resource = bed.stalls("phi", "WriteRefused").await;
    assert!(
        resource.message("Ready").contains("the house forbids it"),
        "{}",
        resource.message("Ready")
    );
    warns(&bed, "phi").await;
    let counted = |_: u16, metrics: &str| {
        let line = "cortecs_kubernetes_writes_refused_total{controller=\"cortecsinstance\"} ";
        let value = metrics.lines().find_map(|l| l.strip_prefix(line));
        value.is_some_and(|value| value != "0")
    };
    operator.answers("/metrics", counted).await;
    assert_eq!(bed.starts(), 0);
    policy.end().await;
    bed.runs("phi").await;
    assert_eq!(bed.starts(), 1);
}

#[tokio::test]
async fn a_finalizer_that_may_not_be_removed_leaves_a_status_that_is_true() {
    let bed = Bed::new("kept-finalizers").await;
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    let policy = Policy::refuse(
        &bed,
        "cortecsinstances",
        "object.kind != 'CortecsInstance' || has(object.metadata.finalizers)",
    )
    .await;
    bed.delete("phi").await;
    let resource = bed
        .wait("phi", "refused", stalled_because("WriteRefused"))
        .await;
    assert!(phase_is(Phase::Deleting)(&resource));
    assert_eq!(
        resource.condition("Available").map(|c| c.status.as_str()),
        Some("False")
    );
    assert_eq!(resource.status.as_ref().unwrap().base_url, None);
    assert!(resource.message("Ready").contains("the house forbids it"));
    assert_eq!(resource.finalizers(), [INSTANCE_FINALIZER]);
    warns(&bed, "phi").await;
    assert_eq!(bed.existing(), [""; 0]);
    policy.end().await;
    bed.wait_gone("phi").await;
    let calls = [Endpoint::Start, Endpoint::Stop, Endpoint::Delete];
    assert_eq!(calls.map(|call| bed.api.count(call)), [1, 1, 1]);
}

#[tokio::test]
async fn a_status_that_a_policy_refuses_is_told_by_events_and_holds_no_deletion_up() {
    let bed = Bed::new("no-statuses").await;
    let _operator = bed.operator();
    bed.run_sealed("phi", json!({"modelId": MODEL})).await;
    let policy = Policy::refuse(
        &bed,
        "cortecsinstances/status",
        "object.kind != 'CortecsInstance'",
    )
    .await;
    bed.create("other", json!({"modelId": MODEL})).await;
    warns(&bed, "other").await;
    assert_eq!(bed.starts(), 1, "a start is written ahead");
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    warns(&bed, "phi").await;
    assert_eq!(bed.existing(), [""; 0]);
    policy.end().await;
    bed.runs("other").await;
}

#[tokio::test]
async fn the_finalizer_of_an_account_may_be_refused_as_well() {
    let bed = Bed::builder("account-policies").build().await;
    let policy = Policy::refuse(
        &bed,
        "cortecsaccounts",
        "object.kind != 'CortecsAccount' || !has(object.metadata.finalizers)",
    )
    .await;
    let _operator = bed.operator();
    let account = bed.account_stalls("WriteRefused").await;
    assert!(account.message("Ready").contains("the house forbids it"));
    warns(&bed, "main").await;
    policy.end().await;
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.runs("phi").await;
    bed.delete("phi").await;
    bed.wait_gone("phi").await;

    let policy = Policy::refuse(
        &bed,
        "cortecsaccounts",
        "object.kind != 'CortecsAccount' || (has(object.metadata.finalizers) && 'cortecs.ai/account' in object.metadata.finalizers)",
    )
    .await;
    let own = account.finalizers().first().cloned();
    let finalizers = json!(["cortecs.ai/account", "of.others/x"]);
    let patch = json!({"metadata": {"finalizers": finalizers}}).to_string();
    bed.kubectl_text(&["patch", "cortecsaccount/main", "--type=merge", "-p", &patch])
        .await;
    assert_eq!(own, None, "it was refused then");
    bed.delete_account().await;
    let refused = stalled_because("WriteRefused");
    let account = bed.wait_account("refused", refused).await;
    assert!(account.message("Ready").contains("the house forbids it"));
    // Further tries change nothing that is shown.
    bed.wait_lists(4).await;
    let versions = bed.account_versions();
    assert_eq!(
        versions.last().map(|a| a.resource_version()),
        Some(account.resource_version())
    );
    policy.end().await;
    bed.wait_account("kept by others", |a| a.finalizers() == ["of.others/x"])
        .await;
    let patch = json!({"metadata": {"finalizers": []}}).to_string();
    bed.kubectl_text(&["patch", "cortecsaccount/main", "--type=merge", "-p", &patch])
        .await;
    bed.wait_account_gone().await;
}

/// What an object may have in annotations, in bytes.
const ROOM: usize = 256 * 1024;

/// A resource whose annotation with the id cannot be written: it runs, says what that means, and writes nothing again and again.
async fn runs_unsealed(bed: &Bed, annotations: Value, says: &str) {
    bed.create_with(
        "phi",
        json!({"annotations": annotations}),
        json!({"modelId": MODEL}),
    )
    .await;
    let resource = bed
        .wait("phi", "running, with a note", |r| {
            running(r) && r.message("Ready").contains("cortecs.ai/instance-id")
        })
        .await;
    let said = resource.message("Ready").to_owned();
    assert!(said.contains("backup") && said.contains(says), "{said}");
    let told = async || bed.events().await.iter().filter(|e| is_refusal(e)).count() == 1;
    eventually_true("one event tells it", SOON, told).await;
    let version = resource.resource_version();
    bed.wait_lists(3).await;
    assert_eq!(bed.latest("phi").unwrap().resource_version(), version);
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!(bed.existing(), [""; 0]);
}

#[tokio::test]
async fn an_object_without_room_for_the_annotation_says_what_that_means() {
    for left in [0, 100] {
        let bed = Bed::new("no-room").await;
        let _operator = bed.operator();
        let filler = "x".repeat(ROOM - "filler".len() - left);
        runs_unsealed(&bed, json!({"filler": filler}), "Too long").await;
    }
}

#[tokio::test]
async fn an_annotation_that_a_policy_refuses_is_told_in_the_same_way() {
    let bed = Bed::new("no-annotations").await;
    let _operator = bed.operator();
    let permits = "object.kind != 'CortecsInstance' || !has(object.metadata.annotations) || \
        !('cortecs.ai/instance-id' in object.metadata.annotations)";
    let policy = Policy::refuse(&bed, "cortecsinstances", permits).await;
    runs_unsealed(&bed, json!({}), "the house forbids it").await;
    policy.end().await;
}

fn is_refusal(event: &k8s_openapi::api::events::v1::Event) -> bool {
    event.reason.as_deref() == Some("WriteRefused")
}

#[tokio::test]
async fn annotations_that_are_too_long_are_named() {
    let bed = Bed::new("long-values").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    let long = "2026-11-30T00:00:00Z".repeat(13);
    for name in ["restartedAt", "requestedAt", "resolve-start"] {
        let annotation = format!("cortecs.ai/{name}");
        bed.annotate("phi", &annotation, &long).await;
        let resource = bed
            .wait("phi", "running, with a note", |r| {
                running(r) && r.message("Ready").contains(&annotation)
            })
            .await;
        let said = resource.message("Ready").to_owned();
        assert!(said.contains("256 bytes"), "{said}");
        assert_eq!(bound(&resource), id);
    }
    for name in ["resume", "operator"] {
        let annotation = format!("cortecs.ai/{name}");
        bed.annotate_account(&annotation, &long).await;
        let account = bed
            .wait_account("noted", |a| a.message("Ready").contains(&annotation))
            .await;
        assert_eq!(account.reason("Ready"), "Verified");
    }
    assert_eq!(bed.api.count(Endpoint::Restart), 0);
    // The note goes with its cause.
    bed.annotate("phi", "cortecs.ai/restartedAt", "now").await;
    bed.wait_api("restart", |view| view.count(Endpoint::Restart) == 1)
        .await;
    let short = |r: &_| running(r) && !r.message("Ready").contains("restartedAt");
    bed.wait("phi", "running, without the note", short).await;
}
