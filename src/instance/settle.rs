//! What resources cost, in the metrics, and in the status of their account when they go.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use cortecs_api::types::Instance;
use cortecs_clock as clock;
use cortecs_resources::{CortecsInstance, instance_status::CortecsInstanceStatus, key::ObjectKey};
use cortecs_rules::{
    cost::{
        bill::{self, Bill},
        bills::Answer,
    },
    facts::{
        fleet_key::FleetKey,
        home::{fleet_of, home},
        snapshot::Snapshot,
    },
    ledger::entry::Entry,
};
use jiff::{SignedDuration, Timestamp};

use super::context::Context;

fn payer(context: &Context, resource: &CortecsInstance) -> Option<ObjectKey> {
    bill::payer(resource, context.default_account.as_ref())
}

/// Whether the account has what the resource has cost, so that the finalizer may be removed. No deletion waits long for that.
pub fn is_settled(
    context: &Context,
    resource: &CortecsInstance,
    status: &CortecsInstanceStatus,
) -> bool {
    let Some(bill) = Bill::of(resource, status, None, clock::wall()) else {
        return true;
    };
    let account = payer(context, resource);
    let known = account.and_then(|account| Some((context.directory.recorded(&account)?, account)));
    let Some((recorded, account)) = known else {
        tracing::warn!(
            ?bill,
            "the resource goes, and no account of this operator takes what it has cost"
        );
        return true;
    };
    let answer = {
        let mut bills = context.spending.bills();
        bills.submit(&account, bill.clone(), &recorded.settled, clock::moment())
    };
    match answer {
        Answer::Settled => return true,
        Answer::Begin => {
            context.spending.meter().look(&account.to_string(), &bill);
            context.accounts.add(account);
        }
        Answer::Wait => context.accounts.add(account),
        Answer::GiveUp => {
            tracing::warn!(?bill, %account, "the resource goes before its account could take what it has cost");
            return true;
        }
    }
    false
}

/// A resource is gone. If its finalizer was removed by somebody else, its account gets the bill now.
pub fn removed(context: &Context, entry: &Entry) {
    let resource = &entry.resource;
    let status = resource.status.as_ref();
    let bill = status.and_then(|status| Bill::of(resource, status, None, clock::wall()));
    let (Some(bill), Some(account)) = (bill, payer(context, resource)) else {
        return;
    };
    let Some(recorded) = context.directory.recorded(&account) else {
        return;
    };
    let waits = {
        let mut bills = context.spending.bills();
        bills.removed(&account, bill.clone(), &recorded.settled, clock::moment())
    };
    if waits {
        context.spending.meter().look(&account.to_string(), &bill);
        context.accounts.add(account);
    }
}

/// Sets the metrics of what was spent. `shown` has the accounts that have had some.
pub fn set_costs(context: &Context, shown: &mut BTreeSet<String>) {
    let directory = &context.directory;
    let mut lists: BTreeMap<FleetKey, Listed> = BTreeMap::new();
    for fleet in directory.fleets() {
        if let Some(listed) = Listed::of(fleet.snapshot()) {
            lists.insert(fleet.key().clone(), listed);
        }
    }
    let spenders = directory.spenders();
    let mut bills: Vec<(String, Bill)> = {
        let book = context.book.lock();
        let resources = book.iter().map(|(_, entry)| &entry.resource);
        let bill = |resource: &Arc<CortecsInstance>| {
            let account = payer(context, resource)?;
            let list = home(resource).and_then(|home| lists.get(&fleet_of(home)));
            let status = resource.status.as_ref()?;
            let listed = list.and_then(|list| list.instance(status));
            let at = list.map_or_else(clock::wall, |list| list.at);
            let bill = Bill::of(resource, status, listed, at)?;
            Some((account.to_string(), bill))
        };
        resources.filter_map(bill).collect()
    };
    bills.sort_by(|(_, a), (_, b)| a.resource.cmp(&b.resource));
    let mut meter = context.spending.meter();
    // Without a list it is not known how long the runs went on: counters that begin then could be less than those of an earlier process.
    for spender in &spenders {
        let listed = spender.fleet.as_ref();
        if listed.is_some_and(|fleet| lists.contains_key(fleet)) {
            let recorded = &spender.recorded;
            let account = spender.account.to_string();
            meter.begin(&account, &recorded.spent, &recorded.settled);
            shown.insert(account);
        }
    }
    for (account, bill) in &bills {
        meter.look(account, bill);
    }
    meter.looked();
    let own: BTreeSet<String> = spenders.iter().map(|s| s.account.to_string()).collect();
    meter.retain(|account| own.contains(account));
    shown.retain(|account| own.contains(account));
    for account in &*shown {
        if let Some(counters) = meter.counters(account) {
            context.metrics.set_costs(account, counters.clone());
        }
    }
}

/// The newest list of a fleet, and the time of its request.
struct Listed {
    snapshot: Arc<Snapshot>,
    at: Timestamp,
}

impl Listed {
    fn of(snapshot: Option<Arc<Snapshot>>) -> Option<Self> {
        let snapshot = snapshot?;
        let age = clock::moment().since(snapshot.requested_at);
        let age = SignedDuration::try_from(age).ok()?;
        let at = clock::wall().checked_sub(age).ok()?;
        Some(Self { snapshot, at })
    }

    /// The resource's instance.
    fn instance(&self, status: &CortecsInstanceStatus) -> Option<&Instance> {
        let id = status.instance_id.as_ref()?;
        self.snapshot.instances.get(id).map(|found| &**found)
    }
}
