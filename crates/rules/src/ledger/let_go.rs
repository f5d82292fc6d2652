//! Instances that resources have had: those of resources that went while a start was open, which look new to that start, and all that any
//! resource has claimed.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::entry::Entry;

/// Most instances that are remembered, for one API.
const MOST: usize = 10_000;
/// Most instances of which it is remembered that a resource claimed them, over all APIs.
const MOST_CLAIMED: usize = 50_000;

/// By API URL, the ids of the instances.
#[derive(Clone, Debug, Default)]
pub(super) struct LetGo {
    gone: HashMap<String, HashSet<String>>,
    claimed: HashSet<String>,
}

impl LetGo {
    /// A resource is gone. Without an open start nothing has to be remembered.
    pub(super) fn note(&mut self, gone: &Entry, is_start_open: bool) {
        if !is_start_open {
            self.gone.clear();
            return;
        }
        if let (Some(api_url), Some(id)) = (gone.api_url(), gone.bound_id()) {
            let ids = self.gone.entry(api_url.to_owned()).or_default();
            if ids.len() < MOST {
                ids.insert(id.to_owned());
            }
        }
    }

    pub(super) fn contains(&self, api_url: &str, instance_id: &str) -> bool {
        let ids = self.gone.get(api_url);
        ids.is_some_and(|ids| ids.contains(instance_id))
    }

    /// A resource claims these instances.
    pub(super) fn claim(&mut self, ids: &BTreeSet<String>) {
        for id in ids {
            if self.claimed.len() < MOST_CLAIMED && !self.claimed.contains(id) {
                self.claimed.insert(id.clone());
            }
        }
    }

    /// Whether a resource has claimed the instance since this process began, or may have.
    pub(super) fn may_have_been_claimed(&self, instance_id: &str) -> bool {
        self.claimed.len() >= MOST_CLAIMED || self.claimed.contains(instance_id)
    }
}
