//! What fleets and accounts ask of the controller of instances, and what they tell it.

use std::collections::{BTreeMap, BTreeSet};

use cortecs_resources::key::ObjectKey;
use cortecs_rules::{
    account::brake::{Lists, Measure},
    facts::{fleet_key::FleetKey, snapshot::Snapshot},
};

/// Which resources use what. Answers come from memory and must not block.
pub trait Claims: Send + Sync {
    /// Whether the answers below are complete. Until then no status is written and no account is let go.
    fn synced(&self) -> bool;

    /// Whether a resource has, or is about to have, the instance. `api_url` as in [`FleetKey`].
    fn is_claimed(&self, api_url: &str, instance_id: &str) -> bool;

    /// The resources that need the account, in order.
    fn users(&self, account: &ObjectKey) -> Vec<ObjectKey>;

    /// Whether a resource is bound, or has something open, in the fleet.
    fn fleet_in_use(&self, key: &FleetKey) -> bool;

    /// What a list means for the instances of the fleet, by what is recorded of them.
    fn measure(&self, lists: Lists<'_>) -> Measure;

    /// The instances of the fleet that resources have and that the list lacks or shows as stopped.
    fn down(&self, fleet: &FleetKey, list: &Snapshot) -> BTreeSet<String>;

    /// The instances of the list that are probably the late outcome of a resource's start, by id.
    fn late(&self, fleet: &FleetKey, list: &Snapshot) -> BTreeMap<String, ObjectKey>;
}

/// A good list that has been made known.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    pub fleet: &'a FleetKey,
    /// The one that was made known before it.
    pub old: Option<&'a Snapshot>,
    pub new: &'a Snapshot,
    /// The resources with something in progress in the fleet.
    pub busy: &'a [ObjectKey],
    /// A list has failed since the one before.
    pub recovered: bool,
}

/// What the loop of a fleet tells. Calls come with no lock held, and must not block.
pub trait FleetObserver: Send + Sync {
    /// A good list has come; `old` is the last one that was made known. Whether `new` is made known: otherwise nobody sees it, and
    /// another one follows soon.
    fn admits(&self, fleet: &FleetKey, old: Option<&Snapshot>, new: &Snapshot) -> bool;

    /// A good list has been made known. Called for each list, in order, also when nothing has changed.
    fn on_list(&self, listed: Listed<'_>);

    /// A list failed; the last good one stands. `busy`: the resources with something in progress in the fleet.
    fn on_list_failed(&self, fleet: &FleetKey, busy: &[ObjectKey]);

    /// What the last list amounts to has changed without another one: a resource went that had an instance, or prices came.
    fn on_summary_stale(&self, fleet: &FleetKey);

    /// These resources waited for their turn to make a call: it has come, or they have to wait longer.
    fn on_turn(&self, resources: Vec<ObjectKey>);
}

/// What the controller of instances is told. Calls come with no lock held, and must not block.
pub trait InstanceHooks: Send + Sync {
    /// As [`FleetObserver::on_list`].
    fn on_list(&self, listed: Listed<'_>);

    /// As [`FleetObserver::on_list_failed`].
    fn on_list_failed(&self, fleet: &FleetKey, busy: &[ObjectKey]);

    /// As [`FleetObserver::on_turn`].
    fn on_turn(&self, resources: Vec<ObjectKey>);

    /// What [`Directory::account`](super::directory::Directory::account) answers for this account has changed.
    fn on_account_changed(&self, account: &ObjectKey);
}
