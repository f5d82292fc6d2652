//! What the operator has told people.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::events::v1::Event;
use kube::ResourceExt;

use super::bed::Bed;

/// The versions of all resources and accounts, and the Events with their counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) resources: BTreeMap<String, String>,
    pub(crate) accounts: BTreeMap<String, String>,
    pub(crate) events: BTreeMap<String, i32>,
}

impl Told {
    pub(crate) async fn look(bed: &Bed) -> Self {
        let events = bed.events().await.into_iter();
        let count = |event: &Event| event.series.as_ref().map_or(1, |series| series.count);
        Self {
            resources: versions(&bed.instances.all()),
            accounts: versions(&bed.accounts.all()),
            events: events.map(|e| (e.name_any(), count(&e))).collect(),
        }
    }

    /// What is there now and was not before.
    pub(crate) fn since(&self, before: &Self) -> Vec<String> {
        let versions = self.resources.iter().chain(&self.accounts);
        let old = |name: &str| before.resources.get(name).or(before.accounts.get(name));
        let written = versions.filter(|(name, version)| old(name) != Some(*version));
        let written = written.map(|(name, _)| format!("{name} was written"));
        let events = self.events.iter();
        let new = events.filter(|(name, count)| before.events.get(*name) != Some(count));
        written
            .chain(new.map(|(name, _)| format!("the event {name} was told")))
            .collect()
    }
}

fn versions<R: ResourceExt>(objects: &[Arc<R>]) -> BTreeMap<String, String> {
    let versions = objects.iter();
    versions
        .filter_map(|object| Some((object.name_any(), object.resource_version()?)))
        .collect()
}
