//! What resources have cost stays known when they go: in the status of their account and in the metrics, once, and whatever crashes.

use std::collections::BTreeSet;

use cortecs_resources::CortecsInstance;
use cortecs_simulator::InstanceHistory;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::json;

use crate::harness::{
    Bed, CrashPoint, MODEL, MODEL_ID, OTHER_MODEL, OTHER_MODEL_ID, Process, bound, running, stopped,
};

/// Rounding.
const NOTHING: f64 = 1e-4;

pub(crate) fn is_priced(resource: &CortecsInstance) -> bool {
    let cost = resource.status.as_ref().and_then(|s| s.cost.as_ref());
    cost.is_some_and(|cost| cost.price_per_hour.is_some())
}

/// Creates a resource and waits until it runs at a known price.
async fn run_priced(bed: &Bed, name: &str, spec: serde_json::Value) {
    bed.create(name, spec).await;
    bed.wait(name, "running", |r| running(r) && is_priced(r))
        .await;
}

/// What the runs of the resources and their accounts have cost by the statuses: of those that are gone, and of those that are there.
fn shown(bed: &Bed) -> f64 {
    let resources = bed.instances.all();
    let accrued = resources.iter().filter_map(|r| {
        let cost = r.status.as_ref()?.cost.as_ref()?;
        cost.accrued.parse::<f64>().ok()
    });
    accrued.sum::<f64>() + spent(bed, None)
}

/// What the account has of resources that are gone.
pub(crate) fn spent(bed: &Bed, model: Option<&str>) -> f64 {
    let accounts = bed.accounts.all();
    let statuses = accounts.iter().filter_map(|a| a.status.as_ref());
    let spent = statuses.flat_map(|status| &status.spent);
    let spent = spent.filter(|spent| model.is_none_or(|model| spent.model_id == model));
    spent
        .map(|spent| spent.amount.parse::<f64>().expect("an amount"))
        .sum()
}

/// What the API has billed.
pub(crate) fn bill(bed: &Bed) -> f64 {
    let ever = bed.ever();
    ever.iter().map(|held: &InstanceHistory| held.cost).sum()
}

/// Whether the statuses show what the API has billed: each run, and an interval of it more at most, since the operator counts from
/// shortly before the API does, and may see the end of a run shortly after it.
pub(crate) fn is_the_bill(shown: f64, bed: &Bed) -> bool {
    let ever = bed.ever().into_iter();
    let intervals = ever.map(|held| held.interval_cost * f64::from(held.billed_starts));
    let bill = bill(bed);
    (bill - NOTHING..=bill + intervals.sum::<f64>() + NOTHING).contains(&shown)
}

/// The counters by their labels, once they name the model.
async fn counters(process: &mut Process, model: &str) -> Vec<(String, f64)> {
    let model = format!("model=\"{model}\"");
    let counts = |line: &str| line.starts_with("cortecs_cost_total{") && line.contains(&model);
    let text = process
        .answers("/metrics", |_, text| text.lines().any(counts))
        .await;
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("cortecs_cost_total"));
    let samples = lines.filter_map(|line| line.rsplit_once(' '));
    samples
        .map(|(labels, value)| (labels.to_owned(), value.parse().expect("a number")))
        .collect()
}

fn total(counters: &[(String, f64)]) -> f64 {
    counters.iter().map(|(_, value)| value).sum()
}

#[tokio::test]
async fn a_counter_outlives_resources_and_processes() {
    let bed = Bed::builder("spending").elected().build().await;
    let mut first = Process::start(&bed, "first");
    run_priced(&bed, "phi", json!({"modelId": MODEL, "numWorkers": 2})).await;
    let before = counters(&mut first, MODEL_ID).await;
    assert!(total(&before) >= 0.07 - NOTHING, "{before:?}");
    // A stop, another run, a restart and another model.
    bed.change("phi", json!({"state": "Stopped"})).await;
    bed.wait("phi", "stopped", stopped).await;
    bed.change("phi", json!({"state": "Running"})).await;
    bed.wait("phi", "running", |r| running(r) && is_priced(r))
        .await;
    bed.annotate("phi", "cortecs.ai/restartedAt", "now").await;
    let restarted = |r: &CortecsInstance| {
        let handled = r
            .status
            .as_ref()
            .and_then(|s| s.last_handled_restart_at.as_deref());
        handled == Some("now") && running(r) && is_priced(r)
    };
    let phi = bed.wait("phi", "restarted", restarted).await;
    let id = bound(&phi).to_owned();
    bed.change("phi", json!({"modelId": OTHER_MODEL})).await;
    bed.wait("phi", "replaced", |r| {
        running(r) && bound(r) != id && is_priced(r)
    })
    .await;
    bed.change("phi", json!({"state": "Stopped"})).await;
    let phi = bed.wait("phi", "stopped", stopped).await;
    assert!(
        is_the_bill(shown(&bed), &bed),
        "{} of {}: {:?}",
        shown(&bed),
        bill(&bed),
        phi.status
    );
    // Nothing falls when the process ends, and each model keeps what is its own.
    let before = counters(&mut first, OTHER_MODEL_ID).await;
    assert_eq!(before.len(), 2, "{before:?}");
    first.signal("KILL");
    first.ended().await;
    let mut second = Process::start(&bed, "second");
    assert_no_less(&counters(&mut second, OTHER_MODEL_ID).await, &before);

    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    let at_the_end = counters(&mut second, OTHER_MODEL_ID).await;
    assert_no_less(&at_the_end, &before);
    for model in [MODEL_ID, OTHER_MODEL_ID] {
        assert!(spent(&bed, Some(model)) > 0.0, "{:?}", bed.accounts.all());
    }
    assert!(is_the_bill(spent(&bed, None), &bed));
    second.signal("KILL");
    second.ended().await;
    let mut third = Process::start(&bed, "third");
    let after = counters(&mut third, OTHER_MODEL_ID).await;
    assert_no_less(&after, &at_the_end);
    assert!((total(&after) - spent(&bed, None)).abs() < NOTHING);
}

fn assert_no_less(after: &[(String, f64)], before: &[(String, f64)]) {
    for (labels, value) in before {
        let now = after.iter().find(|(known, _)| known == labels);
        let now = now.map(|(_, value)| *value).unwrap_or_default();
        assert!(now >= value - NOTHING, "{labels}: {now} after {value}");
    }
}

#[tokio::test]
async fn a_crash_between_the_account_and_the_finalizer_bills_nothing_twice() {
    let bed = Bed::builder("spending-crash").elected().build().await;
    let point = CrashPoint::at(1, Some("settle the cost"));
    let doomed = bed.operator_until(&point);
    run_priced(&bed, "phi", json!({"modelId": MODEL, "numWorkers": 2})).await;
    bed.delete("phi").await;
    point.reached().await;
    let phi = bed.latest("phi").expect("its finalizer is not removed yet");
    let uid = phi.uid().expect("a uid");
    bed.wait_account("billed", |a| {
        let status = a.status.as_ref();
        status.is_some_and(|s| s.settled == [uid.clone()])
    })
    .await;
    let before = spent(&bed, None);
    assert!(is_the_bill(before, &bed) && before > 0.0);
    doomed.kill();

    let mut next = Process::start(&bed, "next");
    bed.wait_gone("phi").await;
    assert!((total(&counters(&mut next, MODEL_ID).await) - before).abs() < NOTHING);
    // The next bill takes the uid out, and the amounts add up.
    run_priced(&bed, "other", json!({"modelId": MODEL})).await;
    bed.delete("other").await;
    bed.wait_gone("other").await;
    let account = bed
        .wait_account("billed again", |a| {
            let status = a.status.as_ref();
            status.is_some_and(|s| !s.settled.contains(&uid))
        })
        .await;
    let status = account.status.as_ref().expect("a status");
    assert_eq!((status.spent.len(), status.settled.len()), (1, 1));
    assert!(is_the_bill(spent(&bed, None), &bed));
    assert!(spent(&bed, None) >= before + 0.035 - NOTHING);
}

#[tokio::test]
async fn many_that_go_at_once_share_writes_of_their_account() {
    const RESOURCES: usize = 24;
    let bed = Bed::new("spending-many").await;
    let _operator = bed.operator();
    let names: Vec<String> = (0..RESOURCES).map(|n| format!("phi-{n}")).collect();
    bed.create_each(&names).await;
    for name in &names {
        bed.wait(name, "running", |r| running(r) && is_priced(r))
            .await;
    }
    let api: Api<CortecsInstance> = bed.api_of(&bed.namespace);
    let (how, which) = (DeleteParams::default(), ListParams::default());
    api.delete_collection(&how, &which)
        .await
        .expect("deletions");
    for name in &names {
        bed.wait_gone(name).await;
    }
    let versions = bed.account_versions();
    let amounts = versions.iter().filter_map(|a| {
        let spent = a.status.as_ref()?.spent.first()?;
        Some(spent.amount.clone())
    });
    let writes = amounts.collect::<BTreeSet<_>>().len();
    assert!(
        (1..=RESOURCES / 2).contains(&writes),
        "{writes} writes for {RESOURCES} resources"
    );
    assert!(is_the_bill(spent(&bed, None), &bed));
    assert!(spent(&bed, None) >= 0.035 * RESOURCES as f64 - NOTHING);
}

#[tokio::test]
async fn a_resource_that_is_removed_by_force_is_billed_and_an_account_that_is_gone_holds_nothing_up()
 {
    let bed = Bed::new("spending-force").await;
    let _operator = bed.operator();
    run_priced(&bed, "phi", json!({"modelId": MODEL})).await;
    bed.lose("phi").await;
    bed.wait_account("billed", |a| {
        a.status.as_ref().is_some_and(|s| !s.spent.is_empty())
    })
    .await;
    assert!(spent(&bed, None) >= 0.035 - NOTHING);

    run_priced(
        &bed,
        "other",
        json!({"modelId": MODEL, "deletionPolicy": "Orphan"}),
    )
    .await;
    bed.lose_account().await;
    bed.delete("other").await;
    bed.wait_gone("other").await;
}
