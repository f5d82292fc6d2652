//! Instances of resources that went while a start was open: they look new to that start, and no resource claims them.

use std::collections::{HashMap, HashSet};

use super::entry::Entry;

/// Most instances that are remembered, for one API.
const MOST: usize = 10_000;

/// By API URL, the ids of the instances.
#[derive(Clone, Debug, Default)]
pub(super) struct LetGo(HashMap<String, HashSet<String>>);

impl LetGo {
    /// A resource is gone. Without an open start nothing has to be remembered.
    pub(super) fn note(&mut self, gone: &Entry, is_start_open: bool) {
        if !is_start_open {
            self.0.clear();
            return;
        }
        if let (Some(api_url), Some(id)) = (gone.api_url(), gone.bound_id()) {
            let ids = self.0.entry(api_url.to_owned()).or_default();
            if ids.len() < MOST {
                ids.insert(id.to_owned());
            }
        }
    }

    pub(super) fn contains(&self, api_url: &str, instance_id: &str) -> bool {
        let ids = self.0.get(api_url);
        ids.is_some_and(|ids| ids.contains(instance_id))
    }
}
