//! What resources and their account say that they have cost is what the API has billed for their instances.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use cortecs_resources::{CortecsInstance, instance::DeletionPolicy};
use cortecs_rules::cost::accrued;
use cortecs_simulator::InstanceHistory;
use jiff::Timestamp;
use kube::ResourceExt;

use super::{people::Actions, tally::Tally};
use crate::harness::{Bed, bound};

/// Rounding of each amount.
const NOTHING: f64 = 1e-3;

/// What the API has billed for some instances, and the most that the statuses may show of it: an interval more for each run.
#[derive(Clone, Copy, Debug, Default)]
struct Bill {
    least: f64,
    most: f64,
}

impl Bill {
    fn add(&mut self, other: Self) {
        self.least += other.least;
        self.most += other.most;
    }

    fn of(held: &InstanceHistory) -> Self {
        let intervals = held.interval_cost * f64::from(held.billed_starts);
        Self {
            least: held.cost,
            most: held.cost + intervals,
        }
    }

    fn is(self, shown: f64) -> bool {
        (self.least - NOTHING..=self.most + NOTHING).contains(&shown)
    }
}

/// Compares each resource with the bill for its instances, and the account with those of the resources that are gone.
pub(super) fn judge(bed: &Bed, actions: &Actions, logs: &Path, tally: &mut Tally) {
    let (now, history) = (Timestamp::now(), bed.instances.history());
    let held: BTreeMap<String, InstanceHistory> = bed
        .ever()
        .into_iter()
        .map(|held| (held.instance.instance_id.clone(), held))
        .collect();
    let mut of_gone = Bill::default();
    for (key, versions) in &history {
        let ids: BTreeSet<&str> = versions.iter().map(|version| bound(version)).collect();
        let (mut bill, mut stopped) = (Bill::default(), None);
        for (id, held) in ids.into_iter().filter_map(|id| held.get_key_value(id)) {
            let mut of_one = Bill::of(held);
            stopped = stopped.max(stop_of(held));
            tally.billed += of_one.least;
            if !is_priced(versions, id) {
                of_one.least = 0.0;
                tally.unpriced += 1;
            }
            bill.add(of_one);
        }
        let is_gone = bed.instances.latest(key).is_none();
        if is_gone && actions.policies.get(&key.1) == Some(&DeletionPolicy::Orphan) {
            // What it has left behind is billed on.
            bill.least = 0.0;
        } else if let Some(last) = versions.last() {
            // What a deletion finds may be in no status, but in what the account takes.
            let at = stopped.filter(|_| is_gone).unwrap_or(now);
            let (shown, mut due) = (shown(last, at), bill);
            if is_gone {
                due.least = 0.0;
            }
            if !due.is(shown) {
                let name = &key.1;
                tally.wrong(format!("{name} says that it has cost {shown} of {bill:?}"));
            }
        }
        if is_gone {
            of_gone.add(bill);
        }
    }
    let (spent, dropped) = (spent(bed), dropped(logs));
    of_gone.least -= dropped;
    if !of_gone.is(spent) {
        tally.wrong(format!(
            "the account has {spent} of {of_gone:?}, and {dropped} was dropped"
        ));
    }
}

fn stop_of(held: &InstanceHistory) -> Option<Timestamp> {
    let stopped = held.instance.instance_status.stopped_at.as_deref()?;
    stopped.parse().ok()
}

/// Whether the statuses had a price for each run of the instance at the end of it. Nothing can be shown while the operator does not know the
/// API's prices.
fn is_priced(versions: &[Arc<CortecsInstance>], id: &str) -> bool {
    let mut runs: BTreeMap<Option<Timestamp>, bool> = BTreeMap::new();
    for version in versions.iter().filter(|version| bound(version) == id) {
        let Some(status) = &version.status else {
            continue;
        };
        let state = status.instance_status.as_ref().map(|s| s.status.as_str());
        if matches!(state, Some("pending" | "running")) {
            let price = status.cost.as_ref().and_then(|c| c.price_per_hour.as_ref());
            runs.insert(status.slot().last_start_time, price.is_some());
        }
    }
    runs.values().all(|priced| *priced)
}

/// What the runs of the resource have cost until then, by its status.
fn shown(resource: &CortecsInstance, at: Timestamp) -> f64 {
    let Some(status) = &resource.status else {
        return 0.0;
    };
    let args = status.instance_args.as_ref();
    let interval = args.and_then(|args| args.billing_interval.as_deref());
    let seconds = accrued::interval_seconds(interval);
    let amount = |cost| accrued::until(cost, at, seconds).parse::<f64>();
    let cost = status.cost.as_ref().map(amount);
    cost.transpose().expect("an amount").unwrap_or_default()
}

/// What the accounts have of resources that are gone, those included that were deleted by force.
fn spent(bed: &Bed) -> f64 {
    let mut last = BTreeMap::new();
    for account in bed.account_versions() {
        let spent = account.status.as_ref().map(|status| status.spent.clone());
        last.insert(account.uid(), spent.unwrap_or_default());
    }
    let amounts = last.values().flatten().map(|spent| &spent.amount);
    amounts
        .map(|amount| amount.parse::<f64>().expect("an amount"))
        .sum()
}

/// What the operator says that it has dropped, since there was no account to take it.
fn dropped(logs: &Path) -> f64 {
    let mut dropped: BTreeMap<String, f64> = BTreeMap::new();
    let logs = std::fs::read_dir(logs).expect("the logs");
    for log in logs.map(|log| log.expect("a log").path()) {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        for line in text
            .lines()
            .filter(|line| line.contains("the resource goes"))
        {
            let (uid, amount) = bill_of(line).expect("a bill");
            dropped.insert(uid, amount);
        }
    }
    dropped.values().sum()
}

/// The uid and the sum of the parts of a bill in a line of the log.
fn bill_of(line: &str) -> Option<(String, f64)> {
    let (_, bill) = line.split_once("Bill { uid: \"")?;
    let (uid, rest) = bill.split_once('"')?;
    let (_, parts) = rest.split_once("parts: [")?;
    let (parts, _) = parts.split_once(']')?;
    let amounts = parts.split(')').filter_map(|part| part.rsplit_once(", "));
    let amounts = amounts.filter_map(|(_, amount)| amount.parse::<f64>().ok());
    Some((uid.to_owned(), amounts.sum()))
}

#[test]
fn a_bill_is_read_from_the_log() {
    let line = "WARN the resource goes, and none takes it bill=Bill { uid: \"u-1\", resource: ns/a, currency: \"EUR\", parts: [(\"m--1\", 0.04), (\"m--2\", 1.2)] }";
    assert_eq!(bill_of(line), Some(("u-1".to_owned(), 1.24)));
}
