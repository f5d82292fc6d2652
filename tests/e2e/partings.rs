//! What the status says while a deletion lasts: because the API is slow, or because others have finalizers, too.

use std::{sync::Arc, time::Duration};

use cortecs_resources::{CortecsInstance, instance_status::Phase};
use cortecs_simulator::{Effect, Endpoint, Fault, When};
use kube::ResourceExt;
use serde_json::json;

use crate::harness::{Bed, MODEL, Read, bound, phase_is};

const OTHERS: &str = "of.others/cleanup";

/// The finalizers of the object, with a change by a person.
async fn set_finalizers(bed: &Bed, object: &str, finalizers: &[&str]) {
    let patch = json!({"metadata": {"finalizers": finalizers}}).to_string();
    bed.kubectl_text(&["patch", object, "--type=merge", "-p", &patch])
        .await;
}

/// The resource offers nothing any more.
fn is_parting(resource: &CortecsInstance) -> bool {
    let available = resource.condition("Available");
    phase_is(Phase::Deleting)(resource)
        && resource.status.as_ref().unwrap().base_url.is_none()
        && available.is_some_and(|c| c.status == "False")
        && resource
            .condition("Ready")
            .is_some_and(|c| c.status == "False")
}

async fn parts(bed: &Bed, name: &str) -> Arc<CortecsInstance> {
    bed.wait(name, "shown as being deleted", is_parting).await
}

#[tokio::test]
async fn before_a_slow_stop_is_called_the_resource_offers_nothing_any_more() {
    for endpoint in [Endpoint::Stop, Endpoint::Delete] {
        let bed = Bed::new("slow-parting").await;
        let delay = Effect::delay(When::Before, Duration::from_secs(4));
        bed.api.add_fault(Fault::once(endpoint, delay));
        let _operator = bed.operator();
        bed.run("phi", json!({"modelId": MODEL})).await;
        bed.delete("phi").await;
        let shown = parts(&bed, "phi").await;
        // What is shown is shown before the API has answered anything.
        let stopped = shown.status.as_ref().unwrap().instance_status.as_ref();
        assert_eq!(stopped.map(|s| s.status.as_str()), Some("running"));
        bed.wait_gone("phi").await;
        assert_eq!(bed.existing(), [""; 0]);
    }
}

#[tokio::test]
async fn a_resource_that_others_keep_names_their_finalizers() {
    for policy in ["Delete", "Stop", "Orphan"] {
        let bed = Bed::new("kept-by-others").await;
        let _operator = bed.operator();
        let spec = json!({"modelId": MODEL, "deletionPolicy": policy});
        let id = bed.run_sealed("phi", spec).await;
        let own = bed.latest("phi").unwrap().finalizers().to_vec();
        let all: Vec<&str> = own.iter().map(String::as_str).chain([OTHERS]).collect();
        set_finalizers(&bed, "cortecsinstance/phi", &all).await;
        bed.delete("phi").await;
        let kept = bed
            .wait("phi", "kept by others", |r| r.finalizers() == [OTHERS])
            .await;
        assert!(is_parting(&kept), "{policy}: {:?}", kept.status);
        assert!(kept.message("Ready").contains(OTHERS), "{policy}");
        assert_eq!(bound(&kept), id);
        let left = usize::from(policy != "Delete");
        assert_eq!(bed.existing().len(), left, "{policy}");
        set_finalizers(&bed, "cortecsinstance/phi", &[]).await;
        bed.wait_gone("phi").await;
    }
}

#[tokio::test]
async fn a_resource_that_never_had_the_finalizer_says_who_keeps_it() {
    let bed = Bed::builder("kept-early").without_account().build().await;
    let metadata = json!({"finalizers": [OTHERS]});
    bed.create_with("phi", metadata, json!({"modelId": MODEL}))
        .await;
    bed.delete("phi").await;
    let _operator = bed.operator();
    let kept = parts(&bed, "phi").await;
    assert!(kept.message("Ready").contains(OTHERS));
    set_finalizers(&bed, "cortecsinstance/phi", &[]).await;
    bed.wait_gone("phi").await;
}

#[tokio::test]
async fn an_account_that_others_keep_names_their_finalizers() {
    let bed = Bed::new("account-kept").await;
    let _operator = bed.operator();
    let account = bed
        .wait_account("verified", |a| a.reason("Ready") == "Verified")
        .await;
    let own = account.finalizers().to_vec();
    let all: Vec<&str> = own.iter().map(String::as_str).chain([OTHERS]).collect();
    set_finalizers(&bed, "cortecsaccount/main", &all).await;
    bed.delete_account().await;
    let kept = bed
        .wait_account("kept by others", |a| a.finalizers() == [OTHERS])
        .await;
    assert_eq!(kept.reason("Ready"), "Deleting");
    assert!(kept.message("Ready").contains(OTHERS));
    set_finalizers(&bed, "cortecsaccount/main", &[]).await;
    bed.wait_account_gone().await;
}
