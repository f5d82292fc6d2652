//! The interfaces through which fleets and accounts reach the controller of instances.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cortecs_resources::key::ObjectKey;
use cortecs_rules::{
    account::brake::{Lists, Measure},
    cost::bill::{Bill, Settlement},
    facts::{fleet_key::FleetKey, snapshot::Snapshot},
    ledger::book::Book,
};

/// Which resources use which account, fleet and instance. Implementations read memory only and must not block.
pub trait Claims: Send + Sync {
    /// Whether all resources are known. Before that the other methods miss resources, so no status is written and no finalizer of
    /// an account is removed.
    fn synced(&self) -> bool;

    /// Whether a resource claims the instance. `api_url` as in [`FleetKey`].
    fn is_claimed(&self, api_url: &str, instance_id: &str) -> bool;

    /// The resources that keep the account from being deleted, in order.
    fn users(&self, account: &ObjectKey) -> Vec<ObjectKey>;

    /// Whether a resource has an instance or an open start in the fleet, unless this operator leaves the account of the resource to
    /// another one.
    fn fleet_in_use(&self, key: &FleetKey, left: &BTreeSet<ObjectKey>) -> bool;

    /// The accounts through which resources have an instance or an open start in the fleet.
    fn homes(&self, key: &FleetKey) -> BTreeSet<ObjectKey>;

    /// Looks at the resources and at what this process remembers of them.
    fn with_book(&self, look: &mut dyn FnMut(&Book));

    /// How long a list may lag behind the API.
    fn settle(&self) -> Duration;

    /// Compares a list with the instances that the statuses of the resources record.
    fn measure(&self, lists: Lists<'_>) -> Measure;

    /// The instances of resources in the fleet that the list lacks or shows as stopped.
    fn down(&self, fleet: &FleetKey, list: &Snapshot) -> BTreeSet<String>;

    /// The instances of the list that are probably the late outcome of a resource's start: the resource by the instance's id.
    fn late(&self, fleet: &FleetKey, list: &Snapshot) -> BTreeMap<String, ObjectKey>;

    /// How many instances of resources in the fleet the API finds and its lists lack.
    fn unlisted(&self, fleet: &FleetKey) -> u64;

    /// The namespace of a resource that claims the instance.
    fn namespace_of(&self, api_url: &str, instance_id: &str) -> Option<String>;

    /// What the resources that are about to go have cost, for a status with these settled uids, and when to ask again.
    fn settlement(&self, account: &ObjectKey, settled: &[String])
    -> (Settlement, Option<Duration>);

    /// The status of the account has these settled uids now.
    fn settled(&self, account: &ObjectKey, settled: &[String]);

    /// The account cannot take these bills, so no resource needs to wait for that.
    fn dropped(&self, account: &ObjectKey, bills: &[Bill]);

    /// The account is gone or another operator manages it, so no resource needs to wait for it.
    fn account_gone(&self, account: &ObjectKey);
}

/// A published list.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    pub fleet: &'a FleetKey,
    /// The list that was published before.
    pub old: Option<&'a Snapshot>,
    pub new: &'a Snapshot,
    /// The busy resources of the fleet.
    pub busy: &'a [ObjectKey],
    /// Whether a list has failed since `old`.
    pub recovered: bool,
}

/// Observes the poll loop of a fleet. The loop keeps no lock during the calls. Implementations must not block.
pub trait FleetObserver: Send + Sync {
    /// Decides whether the new list is published. A withheld list is used by nothing else, and the next list follows soon. `old` is
    /// the last published list.
    fn admits(&self, fleet: &FleetKey, old: Option<&Snapshot>, new: &Snapshot) -> bool;

    /// A list was published. Called for each published list, in order, also without a change.
    fn on_list(&self, listed: Listed<'_>);

    /// A list failed; the last published one stays in use. `busy`: the busy resources of the fleet.
    fn on_list_failed(&self, fleet: &FleetKey, busy: &[ObjectKey]);

    /// The API refused a start or restart for lack of money, or takes them again.
    fn on_payment_changed(&self, fleet: &FleetKey);

    /// The API's prices are other ones than before, or known for the first time.
    fn on_prices_changed(&self, fleet: &FleetKey);

    /// The summary of the last list has to be computed anew: a resource with an instance was removed, or the prices or the balance are
    /// new.
    fn on_summary_stale(&self, fleet: &FleetKey);

    /// These resources waited for their turn to make a call: their turn has come, or they have to wait longer.
    fn on_turn(&self, resources: Vec<ObjectKey>);
}

/// Events for the controller of instances. The callers keep no lock. Implementations must not block.
pub trait InstanceHooks: Send + Sync {
    /// As [`FleetObserver::on_list`].
    fn on_list(&self, listed: Listed<'_>);

    /// As [`FleetObserver::on_list_failed`].
    fn on_list_failed(&self, fleet: &FleetKey, busy: &[ObjectKey]);

    /// As [`FleetObserver::on_turn`].
    fn on_turn(&self, resources: Vec<ObjectKey>);

    /// The result of [`Directory::account`](super::directory::Directory::account) for this account has changed.
    fn on_account_changed(&self, account: &ObjectKey);
}

/// What the resources need of the API's catalog. Implementations read memory only and must not block.
pub trait Demand: Send + Sync {
    /// The models that resources name, in the form of [`used_id`](cortecs_rules::catalog::details::used_id).
    fn used_models(&self) -> BTreeSet<String>;

    /// Whether a resource waits until its hardware is available: then the available hardware is asked for more often.
    fn waits_for_capacity(&self) -> bool;
}

/// For tests: an observer that takes every list and does nothing.
#[cfg(test)]
pub(crate) struct Unobserved;

#[cfg(test)]
impl FleetObserver for Unobserved {
    fn admits(&self, _: &FleetKey, _: Option<&Snapshot>, _: &Snapshot) -> bool {
        true
    }

    fn on_list(&self, _: Listed<'_>) {}

    fn on_list_failed(&self, _: &FleetKey, _: &[ObjectKey]) {}

    fn on_payment_changed(&self, _: &FleetKey) {}

    fn on_prices_changed(&self, _: &FleetKey) {}

    fn on_summary_stale(&self, _: &FleetKey) {}

    fn on_turn(&self, _: Vec<ObjectKey>) {}
}
