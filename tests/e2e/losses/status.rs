//! A status is emptied, or a finalizer is taken off.

use std::time::Duration;

use cortecs_resources::INSTANCE_FINALIZER;
use cortecs_simulator::{Effect, Endpoint, Fault, RequestRecord, When};
use kube::ResourceExt;
use serde_json::json;

use crate::harness::{Bed, MODEL, bound, running, seal_of};

fn has_start(resource: &cortecs_resources::CortecsInstance) -> bool {
    resource
        .status
        .as_ref()
        .is_some_and(|s| s.slot().start.is_some())
}

#[tokio::test]
async fn an_emptied_status_is_put_back_while_the_operator_runs() {
    let bed = Bed::new("wiped").await;
    let _operator = bed.operator();
    let id = bed.run_sealed("phi", json!({"modelId": MODEL})).await;
    // The operator writes the annotation again after it was removed.
    bed.tamper(
        "phi",
        json!({"metadata": {"annotations": {"cortecs.ai/instance-id": null}}}),
    )
    .await;
    bed.sealed("phi", &id).await;
    for _ in 0..2 {
        let before = bed.wait("phi", "running", running).await;
        bed.empty_status("phi").await;
        let after = bed.wait("phi", "running", running).await;
        assert_eq!(bound(&after), id);
        let (before, after) = (before.status.clone(), after.status.clone());
        let known = |s: Option<cortecs_resources::instance_status::CortecsInstanceStatus>| {
            s.map(|s| (s.slot().clone(), s.account))
        };
        assert_eq!(known(before), known(after));
    }
    bed.wait_lists(2).await;
    assert_eq!((bed.starts(), bed.existing()), (1, vec![id]));
    // A merge patch empties the status too.
    bed.kubectl_text(&[
        "patch",
        "cortecsinstance/phi",
        "--subresource=status",
        "--type=merge",
        "--patch={\"status\":null}",
    ])
    .await;
    bed.runs("phi").await;
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!((bed.starts(), bed.existing()), (1, Vec::new()));
}

#[tokio::test]
async fn a_start_under_way_is_not_repeated_when_its_status_is_emptied() {
    // In the second case the answer comes later than the request time-out.
    for (name, duration) in [("wiped-calling", 600), ("wiped-lost", 2500)] {
        let bed = Bed::new(name).await;
        let delay = Effect::delay(When::After, Duration::from_millis(duration));
        bed.api.add_fault(Fault::once(Endpoint::Start, delay));
        let _operator = bed.operator();
        bed.create("phi", json!({"modelId": MODEL})).await;
        bed.wait_api("get the start", |view| view.count(Endpoint::Start) == 1)
            .await;
        bed.empty_status("phi").await;
        bed.wait("phi", "starting again", |r| {
            has_start(r) || !bound(r).is_empty()
        })
        .await;
        let id = bed.runs("phi").await;
        bed.wait_lists(2).await;
        assert_eq!((bed.starts(), bed.existing()), (1, vec![id]), "{name}");
    }
}

#[tokio::test]
async fn a_status_that_is_emptied_while_the_operator_is_down_is_found_by_the_annotation() {
    let bed = Bed::new("wiped-down").await;
    let first = bed.operator();
    let id = bed.run_sealed("phi", json!({"modelId": MODEL})).await;
    first.kill();
    bed.empty_status("phi").await;
    let _second = bed.operator();
    assert_eq!(bed.runs("phi").await, id);
    bed.wait_lists(2).await;
    assert_eq!((bed.starts(), bed.existing()), (1, vec![id]));
}

#[tokio::test]
async fn a_finalizer_that_is_taken_off_comes_back() {
    let bed = Bed::new("bare").await;
    let _operator = bed.operator();
    bed.run_sealed("phi", json!({"modelId": MODEL})).await;
    bed.strip_finalizers("phi").await;
    bed.wait("phi", "protected again", |r| {
        r.finalizers().contains(&INSTANCE_FINALIZER.to_owned()) && seal_of(r).is_some()
    })
    .await;
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!((bed.existing(), bed.starts()), (Vec::new(), 1));
}

#[tokio::test]
async fn the_account_shows_the_instance_of_a_lost_resource_at_once() {
    let bed = Bed::builder("lost")
        .request_timeout(Duration::from_secs(20))
        .account(json!({"poll": {"activeSeconds": 1, "idleSeconds": 3600}}))
        .build()
        .await;
    let first = bed.operator();
    let id = bed.run_sealed("phi", json!({"modelId": MODEL})).await;
    bed.wait_account("one managed", |a| managed(a) == Some((1, 0)))
        .await;
    // From here on no list and no stop is answered, so the deletion cannot end.
    let late = Effect::delay(When::Before, Duration::from_secs(3600));
    for call in [Endpoint::ListInstances, Endpoint::Stop] {
        bed.api.add_fault(Fault::new(call, late.clone()));
    }
    let lists = ended_lists(&bed);
    bed.lose("phi").await;
    // The account is reconciled once a minute anyway. Its status must change earlier.
    let told = bed.wait_account("one unmanaged", |a| managed(a) == Some((0, 1)));
    let told = tokio::time::timeout(Duration::from_secs(40), told).await;
    assert!(told.is_ok(), "the account was not told");
    assert_eq!(
        (ended_lists(&bed), bed.existing()),
        (lists, vec![id.clone()])
    );
    first.kill();
    bed.api.clear_faults();
    // An operator that was not running learns it from its first list.
    let _second = bed.operator();
    bed.wait_account("one unmanaged", |a| {
        a.status
            .as_ref()
            .is_some_and(|s| s.unmanaged.iter().any(|u| u.id == id))
    })
    .await;
}

fn ended_lists(bed: &Bed) -> usize {
    let requests = bed.api.requests().into_iter();
    let ended = |r: &RequestRecord| r.endpoint == Endpoint::ListInstances && r.status.is_some();
    requests.filter(ended).count()
}

fn managed(account: &cortecs_resources::CortecsAccount) -> Option<(i32, i32)> {
    let counts = account.status.as_ref()?.instances.as_ref()?;
    Some((
        i32::try_from(counts.managed).ok()?,
        i32::try_from(counts.unmanaged).ok()?,
    ))
}
