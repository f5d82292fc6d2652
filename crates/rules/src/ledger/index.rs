//! By instance id, the resources that claim it; and the resources with a start that is open or being written.

use std::collections::{BTreeSet, HashMap};

use cortecs_resources::key::ObjectKey;

use super::entry::Entry;

/// Finds resources by what they claim and by their open starts. It has an entry as it was when it was inserted: an entry
/// is removed before it changes and inserted again after that.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// The resources that claim an instance id, over all API URLs.
    claims: HashMap<String, BTreeSet<ObjectKey>>,
    /// The resources with an open start.
    open: BTreeSet<ObjectKey>,
    /// The resources for which this process is writing the intent of a start.
    writing: BTreeSet<ObjectKey>,
}

impl Index {
    pub(super) fn insert(&mut self, key: &ObjectKey, entry: &Entry) {
        for id in entry.claimed_ids() {
            self.claims.entry(id).or_default().insert(key.clone());
        }
        let status = entry.resource.status.as_ref();
        if status.is_some_and(|s| s.slot().start.is_some()) {
            self.open.insert(key.clone());
        }
        if entry.memory.writing_start.is_some() {
            self.writing.insert(key.clone());
        }
    }

    pub(super) fn remove(&mut self, key: &ObjectKey, entry: &Entry) {
        for id in entry.claimed_ids() {
            if let Some(claimants) = self.claims.get_mut(&id) {
                claimants.remove(key);
                if claimants.is_empty() {
                    self.claims.remove(&id);
                }
            }
        }
        self.open.remove(key);
        self.writing.remove(key);
    }

    /// The resources that claim the instance id at any API.
    pub(super) fn claimants(&self, instance_id: &str) -> impl Iterator<Item = &ObjectKey> {
        self.claims.get(instance_id).into_iter().flatten()
    }

    /// The resources with an open start.
    pub(super) fn open(&self) -> impl Iterator<Item = &ObjectKey> {
        self.open.iter()
    }

    /// The resources for which this process is writing the intent of a start.
    pub(super) fn writing(&self) -> impl Iterator<Item = &ObjectKey> {
        self.writing.iter()
    }
}
