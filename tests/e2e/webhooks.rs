//! Webhooks that take off what the operator writes, or refuse it. The operator says so, tries again later and later, and makes no
//! call that is not written ahead.

use std::time::Instant;

use cortecs_resources::CortecsInstance;
use cortecs_simulator::{Effect, Endpoint, Fault, When};
use serde_json::{Value, json};

use crate::{
    eventually::eventually,
    harness::{Asked, Bed, HangingProxy, MODEL, Meddling, Read, SOON, bound, running, sorted},
    spending::is_priced,
};

/// The request without the field below `parent`. `None` if it has no such field.
fn without(asked: &Asked, parent: &str, field: &str) -> Option<Meddling> {
    let mut body: Value = serde_json::from_str(&asked.body).ok()?;
    let parent = body.pointer_mut(parent)?.as_object_mut()?;
    parent.remove(field)?;
    Some(Meddling::Changes(body.to_string()))
}

fn is_about(asked: &Asked, method: &str, path: &str) -> bool {
    asked.method == method && asked.path.contains(path)
}

/// Lets a webhook meddle with the start of one resource while lists go on. Each of its writes comes after a pause.
async fn starts_after(name: &'static str, webhook: fn(&Asked) -> Option<Meddling>, warns: &str) {
    let bed = Bed::new(name).await;
    let proxy = HangingProxy::new(&bed.kubeconfig).await;
    let _operator = bed.operator_through(&proxy);
    bed.wait_lists(1).await;
    proxy.set_webhook(Some(webhook));
    let began = Instant::now();
    bed.create("phi", json!({"modelId": MODEL})).await;
    eventually("the log says it", SOON, async || {
        let log = bed.logs.text();
        let says = log.lines().any(|line| {
            line.contains("WARN") && line.contains(warns) && line.contains("look for a webhook")
        });
        says.then_some(()).ok_or(log)
    })
    .await;
    bed.wait_lists(4).await;
    // Each pause is a second at least.
    let most = began.elapsed().as_secs_f64() + 1.0;
    let writes = proxy.meddled();
    assert!(writes as f64 <= most, "{writes} writes, {most} may be");
    assert_eq!((bed.starts(), bed.ever().len()), (0, 0));

    proxy.set_webhook(None);
    bed.runs("phi").await;
    assert_eq!((bed.starts(), bed.ever().len()), (1, 1));
}

#[tokio::test]
async fn a_finalizer_that_is_taken_off_is_put_on_again_after_a_pause() {
    let webhook = |asked: &Asked| {
        let meddles = is_about(asked, "PATCH", "/phi?");
        meddles
            .then(|| without(asked, "/metadata", "finalizers"))
            .flatten()
    };
    starts_after("no-finalizer", webhook, "metadata.finalizers").await;
}

#[tokio::test]
async fn a_start_whose_record_is_taken_off_is_not_called() {
    let webhook = |asked: &Asked| {
        let slot = "/status/journal/slots/current";
        let meddles = is_about(asked, "PUT", "/phi/status");
        meddles.then(|| without(asked, slot, "start")).flatten()
    };
    starts_after("no-intent", webhook, "start in status.journal").await;
}

/// So it is also with definitions of accounts that lack the fields.
#[tokio::test]
async fn an_account_that_keeps_no_cost_holds_no_deletion_up_and_is_written_once_for_it() {
    let bed = Bed::new("no-spent").await;
    let proxy = HangingProxy::new(&bed.kubeconfig).await;
    proxy.set_webhook(Some(|asked| {
        let mut body: Value = serde_json::from_str(&asked.body).ok()?;
        let meddles = is_about(asked, "PUT", "/cortecsaccounts/main/status");
        let status = body.get_mut("status").filter(|_| meddles)?;
        let status = status.as_object_mut()?;
        let spent = status.remove("spent").is_some();
        (status.remove("settled").is_some() || spent).then(|| Meddling::Changes(body.to_string()))
    }));
    let _operator = bed.operator_through(&proxy);
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.wait("phi", "running", |r| running(r) && is_priced(r))
        .await;
    let began = Instant::now();
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    // A deletion waits for half a minute for an account that cannot be written.
    assert!(began.elapsed().as_secs() < 25, "{:?}", began.elapsed());
    bed.wait_lists(4).await;
    let writes = proxy.meddled();
    assert!(
        (1..=2).contains(&writes),
        "{writes} writes: one may have met a conflict"
    );
    let log = bed.logs.text();
    let says = |line: &str| {
        line.contains("ERROR") && line.contains("dropped status.spent and status.settled")
    };
    assert_eq!(log.lines().filter(|line| says(line)).count(), 1, "{log}");
}

/// Nothing waits for the annotation, so it can wait long.
#[tokio::test]
async fn an_annotation_that_is_taken_off_is_not_written_again_at_once() {
    let bed = Bed::new("no-seal").await;
    let proxy = HangingProxy::new(&bed.kubeconfig).await;
    proxy.set_webhook(Some(|asked| {
        let meddles = is_about(asked, "PATCH", "/phi?");
        meddles
            .then(|| without(asked, "/metadata", "annotations"))
            .flatten()
    }));
    let _operator = bed.operator_through(&proxy);
    bed.run("phi", json!({"modelId": MODEL})).await;
    let began = Instant::now();
    bed.wait_lists(4).await;
    let most = 2 + began.elapsed().as_secs() / 60;
    let writes = proxy.meddled();
    assert!(
        (1..=most).contains(&(writes as u64)),
        "{writes} writes, {most} may be"
    );
}

/// An instance is to be left behind, an open start in another namespace has to be told of it first, and a webhook there refuses.
#[tokio::test]
async fn a_start_that_cannot_be_told_of_what_is_left_behind_is_named() {
    let bed = Bed::builder("refused")
        .account(json!({"allowedNamespaces": {"from": "All"}}))
        .neighbour("b", &[])
        .settle(SOON / 3)
        .build()
        .await;
    let tenant = bed.neighbour("b");
    let proxy = HangingProxy::new(&bed.kubeconfig).await;
    let _operator = bed.operator_through(&proxy);
    let spec = json!({"modelId": MODEL, "deletionPolicy": "Orphan"});
    let left = bed.run("leaves", spec).await;
    bed.wait_lists(2).await;
    proxy.set_webhook(Some(|asked| {
        let tells = is_about(asked, "PATCH", "/open/status") && asked.body.contains("known");
        tells.then_some(Meddling::Refuses)
    }));
    let lost = Effect::reset(When::Before);
    bed.api.add_fault(Fault::once(Endpoint::Start, lost));
    bed.create_in(&tenant, "open", json!({"modelId": MODEL}))
        .await;
    bed.wait_api("two starts", |view| view.count(Endpoint::Start) == 2)
        .await;
    let began = Instant::now();
    bed.delete("leaves").await;
    let names = |r: &CortecsInstance| {
        let message = r.message("Stalled");
        r.reason("Stalled") == "WriteRefused"
            && message.contains(&format!("{tenant}/open"))
            && message.contains("policy.example")
    };
    bed.wait("leaves", "held up, and says by what", names).await;
    bed.wait_lists(4).await;
    let most = began.elapsed().as_secs_f64() + 1.0;
    let writes = proxy.meddled();
    assert!(writes as f64 <= most, "{writes} writes, {most} may be");

    proxy.set_webhook(None);
    bed.wait_gone("leaves").await;
    let open = bed.wait_in(&tenant, "open", "running", running).await;
    let own = bound(&open).to_owned();
    assert_eq!(sorted(bed.existing()), sorted(vec![own, left]));
}
