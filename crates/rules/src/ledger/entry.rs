//! One resource, and what this process remembers of it.

use std::{collections::BTreeSet, sync::Arc};

use cortecs_resources::CortecsInstance;

use crate::facts::memory::Memory;

/// One resource.
#[derive(Clone, Debug)]
pub struct Entry {
    pub resource: Arc<CortecsInstance>,
    pub memory: Memory,
    /// Instances that are about to be recorded as this resource's: no other resource may claim them.
    pub(super) reserved: Vec<Reservation>,
}

#[derive(Clone, Debug)]
pub(super) struct Reservation {
    pub(super) api_url: String,
    pub(super) instance_id: String,
}

impl Entry {
    pub(super) fn api_url(&self) -> Option<&str> {
        Some(
            self.resource
                .status
                .as_ref()?
                .account
                .as_ref()?
                .api_url
                .as_str(),
        )
    }

    pub(super) fn bound_id(&self) -> Option<&str> {
        self.resource.status.as_ref()?.instance_id.as_deref()
    }

    /// Whether this resource had an open start that is not open in its newer version.
    pub(super) fn has_other_start(&self, newer: &CortecsInstance) -> bool {
        let start = |resource: &CortecsInstance| {
            let status = resource.status.as_ref()?;
            status.slot().start.as_ref().map(|start| start.id)
        };
        start(&self.resource).is_some() && start(&self.resource) != start(newer)
    }

    pub(super) fn claims(&self, api_url: &str, instance_id: &str) -> bool {
        let own = [self.bound_id(), self.memory.accepted_id()];
        (self.api_url() == Some(api_url) && own.contains(&Some(instance_id)))
            || self
                .reserved
                .iter()
                .any(|r| r.api_url == api_url && r.instance_id == instance_id)
    }

    /// A newer version of the resource, and what is remembered of it. If someone else has emptied the status, the
    /// status from before is kept: a binding, and above all an open start, must not be forgotten.
    pub(super) fn followed_by(
        &self,
        resource: Arc<CortecsInstance>,
    ) -> (Arc<CortecsInstance>, Memory) {
        let mut memory = self.memory.clone();
        // A version without the intent says that the write has not landed, and cannot any more.
        let status = resource.status.as_ref();
        memory
            .writing_start
            .take_if(|_| status.is_none_or(|s| s.slot().start.is_none()));
        memory.writing_restart &= status.is_some_and(|s| s.slot().restart.is_some());
        memory.status_lost = resource.records_nothing() && !self.resource.records_nothing();
        if !memory.status_lost {
            return (resource, memory);
        }
        let mut kept = Arc::unwrap_or_clone(resource);
        kept.status = self.resource.status.clone();
        (Arc::new(kept), memory)
    }

    /// Whether its annotation names an instance at this API that is not recorded as its own again yet.
    pub fn may_be_restored_at(&self, api_url: &str) -> bool {
        self.named_id(Some(api_url)).is_some()
    }

    /// The instance at this API, or at any, that only the annotation names.
    pub(super) fn named_id(&self, api_url: Option<&str>) -> Option<&str> {
        let named = self.memory.named.as_ref();
        let named = named.filter(|n| api_url.is_none_or(|api_url| n.fleet.api_url == api_url))?;
        Some(&named.bound.id)
    }

    pub(super) fn claimed_ids(&self) -> BTreeSet<String> {
        let reserved = self.reserved.iter().map(|r| r.instance_id.as_str());
        [
            self.bound_id(),
            self.memory.accepted_id(),
            self.named_id(None),
        ]
        .into_iter()
        .flatten()
        .chain(reserved)
        .map(str::to_owned)
        .collect()
    }
}
