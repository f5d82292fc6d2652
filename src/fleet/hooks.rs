//! What the accounts ask of the controller of instances, and what they tell it.

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

    /// How many resources name the account or are bound through it.
    fn users(&self, namespace: &str, account: &str) -> usize;

    /// Some of those resources, for messages: at most `limit` of them.
    fn user_names(&self, namespace: &str, account: &str, limit: usize) -> Vec<ObjectKey> {
        let _ = (namespace, account, limit);
        Vec::new()
    }

    /// Whether a resource is bound, or has something open, in the fleet.
    fn fleet_in_use(&self, key: &FleetKey) -> bool;

    /// What a list means for the instances of the fleet, by what is recorded of them.
    fn measure(&self, lists: Lists<'_>) -> Measure {
        let _ = lists;
        Measure::default()
    }

    /// The instances of the fleet that resources have and that the list lacks or shows as stopped.
    fn down(&self, fleet: &FleetKey, list: &Snapshot) -> BTreeSet<String> {
        let _ = (fleet, list);
        BTreeSet::new()
    }

    /// The instances of the list that are probably the late outcome of a resource's start, by id.
    fn late(&self, fleet: &FleetKey, list: &Snapshot) -> BTreeMap<String, ObjectKey> {
        let _ = (fleet, list);
        BTreeMap::new()
    }
}

/// Is told what changes. Calls come from the fleets' poll loops and from the account controller, with no lock held; they must not block.
pub trait Listener: Send + Sync {
    /// A good list has come; `old` is the last one that was made known. Whether `new` is made known: otherwise nobody sees it, and
    /// another one follows soon.
    fn admits(&self, fleet: &FleetKey, old: Option<&Snapshot>, new: &Snapshot) -> bool {
        let _ = (fleet, old, new);
        true
    }

    /// A good list has been made known; `old` is the one before it. Called for each list, in order, also when nothing has changed.
    fn on_list(&self, fleet: &FleetKey, old: Option<&Snapshot>, new: &Snapshot);

    /// A list failed; the last good one stands.
    fn on_list_failed(&self, fleet: &FleetKey);

    /// What the last list amounts to has changed without another one: a resource went that had an instance, or prices came.
    fn on_summary_stale(&self, fleet: &FleetKey) {
        let _ = fleet;
    }

    /// What [`Directory::account`](crate::fleet::directory::Directory::account) answers for this account has changed.
    fn on_account_changed(&self, namespace: &str, name: &str);

    /// These waited for their turn to make a call: it has come, or they have to wait longer.
    fn on_turn(&self, resources: Vec<ObjectKey>);
}
