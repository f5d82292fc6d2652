//! Which instance is claimed by which resource, and which starts are under way.
//!
//! The book has the newest version of each resource that this process knows: what the watch delivered, overlaid by
//! what the process itself has just written. Claims are asked for by API URL, since two client ids may belong to one
//! owner and show the same instances. Pure: the shell passes everything in.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    sync::Arc,
};

use cortecs_api::types::{Instance, InstanceArgs};
use cortecs_clock::Moment;
use cortecs_resources::{CortecsInstance, key::ObjectKey};
use kube::ResourceExt;

use super::{
    ended::Ended,
    entry::{Entry, Reservation},
    given_up::GivenUp,
    index::Index,
    let_go::LetGo,
    open_start::{OpenStart, Progress},
    versions::{compare_decimal, compare_versions, is_older},
};
use crate::facts::memory::Memory;

/// All resources, their claims and what this process remembers of them.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pub(super) entries: HashMap<ObjectKey, Entry>,
    pub(super) index: Index,
    /// Keys seen since a watch began to list anew, by the watched namespace (all of them without one).
    listings: HashMap<Scope, HashSet<ObjectKey>>,
    quorum_read_at: Option<Moment>,
    /// The newest version of any resource that was ever known.
    newest: String,
    pub(super) let_go: LetGo,
    ended: Ended,
    pub(super) given_up: GivenUp,
    /// The uids of resources that went while a quorum read was under way: the read found them as they no longer are.
    gone_meanwhile: Option<HashSet<String>>,
}

/// The scope of one watch: a namespace, or all of them.
pub type Scope = Option<String>;

impl Book {
    /// Takes note of a version of a resource, from the watch or from a quorum read. Older versions change nothing. Returns
    /// an earlier resource of the same name, which is gone.
    pub fn apply(&mut self, resource: Arc<CortecsInstance>) -> Option<Entry> {
        let key = ObjectKey::of(&*resource);
        for (scope, listed) in &mut self.listings {
            if covers(scope, &key) {
                listed.insert(key.clone());
            }
        }
        let version = resource.metadata.resource_version.as_deref();
        if let Some(version) = version.filter(|version| is_older(&self.newest, version)) {
            self.newest = version.to_owned();
        }
        let (resource, memory) = match self.entries.get(&key) {
            Some(entry) if compare_versions(&entry.resource, &resource) != Ordering::Less => {
                return None;
            }
            Some(entry) if entry.resource.uid() == resource.uid() => entry.followed_by(resource),
            _ => (resource, Memory::default()),
        };
        let other = self
            .get(&key)
            .is_some_and(|e| e.resource.uid() != resource.uid());
        let gone = if other { self.remove(&key) } else { None };
        if let Some(before) = self.entries.get(&key)
            && before.has_other_start(&resource)
        {
            self.ended.note(before);
            self.given_up.note(before, &resource);
        }
        self.unindex(&key);
        self.entries.insert(
            key.clone(),
            Entry {
                resource,
                memory,
                // The write that the reservation was made for either made this version, or fails because of it.
                reserved: Vec::new(),
            },
        );
        self.index(&key);
        self.forget_ended();
        gone
    }

    fn forget_ended(&mut self) {
        if self.index.open().next().is_none() {
            self.ended.clear();
        }
    }

    /// Whether a newer version of this very resource is known.
    pub fn knows_newer(&self, resource: &CortecsInstance) -> bool {
        self.entries
            .get(&ObjectKey::of(resource))
            .is_some_and(|known| {
                known.resource.uid() == resource.uid()
                    && compare_versions(resource, &known.resource) == Ordering::Less
            })
    }

    /// Takes note of what this process has just written. A resource that is gone meanwhile stays gone.
    pub fn wrote(&mut self, resource: Arc<CortecsInstance>) {
        let known = self
            .entries
            .get(&ObjectKey::of(&*resource))
            .is_some_and(|entry| entry.resource.uid() == resource.uid());
        if known {
            self.apply(resource);
        }
    }

    /// Takes note of a resource as it was read just now. One that is gone meanwhile stays gone. Returns what [`Book::apply`] does.
    pub fn refresh(&mut self, resource: Arc<CortecsInstance>) -> Option<Entry> {
        let known = self.entries.contains_key(&ObjectKey::of(&*resource));
        known.then(|| self.apply(resource)).flatten()
    }

    /// Takes note that this very resource is gone; returns it if it was there.
    pub fn deleted(&mut self, resource: &CortecsInstance) -> Option<Entry> {
        let key = ObjectKey::of(resource);
        let known = self
            .entries
            .get(&key)
            .is_some_and(|entry| entry.resource.uid() == resource.uid());
        known.then(|| self.remove(&key)).flatten()
    }

    fn remove(&mut self, key: &ObjectKey) -> Option<Entry> {
        self.unindex(key);
        let removed = self.entries.remove(key)?;
        self.ended.note(&removed);
        self.forget_ended();
        self.let_go
            .note(&removed, self.index.open().next().is_some());
        if let Some(gone) = &mut self.gone_meanwhile {
            gone.extend(removed.resource.uid());
        }
        Some(removed)
    }

    /// A watch begins to list anew.
    pub fn begin_listing(&mut self, scope: Scope) {
        self.listings.insert(scope, HashSet::new());
    }

    /// A watch has listed everything that it covers: what it did not list is gone, and returned.
    pub fn end_listing(&mut self, scope: &Scope) -> Vec<Entry> {
        match self.listings.remove(scope) {
            Some(listed) => self.retain(|key, _| !covers(scope, key) || listed.contains(key)),
            None => Vec::new(),
        }
    }

    /// Takes over what a quorum read of `scope` found. `version` is the list's resource version: what is newer stays. Returns
    /// what is gone.
    pub fn quorum_read(
        &mut self,
        scope: &Scope,
        resources: Vec<Arc<CortecsInstance>>,
        version: &str,
    ) -> Vec<Entry> {
        let mut went = Vec::new();
        let listed: HashSet<ObjectKey> = resources.iter().map(|r| ObjectKey::of(&**r)).collect();
        for resource in resources {
            let uid = resource.uid().unwrap_or_default();
            let gone = self.gone_meanwhile.as_ref();
            if !gone.is_some_and(|gone| gone.contains(&uid)) {
                went.extend(self.apply(resource));
            }
        }
        went.extend(self.retain(|key, entry| {
            let known = entry.resource.metadata.resource_version.as_deref();
            let newer = compare_decimal(known.unwrap_or_default(), version) == Ordering::Greater;
            !covers(scope, key) || listed.contains(key) || newer
        }));
        went
    }

    /// A quorum read begins.
    pub fn begin_quorum_read(&mut self) {
        self.gone_meanwhile = Some(HashSet::new());
    }

    /// A quorum read has failed: resources that go from here on need not be remembered.
    pub fn abandon_quorum_read(&mut self) {
        self.gone_meanwhile = None;
    }

    /// All watched namespaces were read by quorum. The first of the reads began at `began`.
    pub fn read_by_quorum(&mut self, began: Moment) {
        self.gone_meanwhile = None;
        self.quorum_read_at = self.quorum_read_at.max(Some(began));
    }

    /// The newest version of any resource that was ever known; empty as long as there was none.
    pub fn newest(&self) -> &str {
        &self.newest
    }

    /// When the last quorum read began.
    pub fn quorum_read_at(&self) -> Option<Moment> {
        self.quorum_read_at
    }

    pub fn get(&self, key: &ObjectKey) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Changes what is remembered of a resource.
    pub fn remember<T>(
        &mut self,
        key: &ObjectKey,
        change: impl FnOnce(&mut Memory) -> T,
    ) -> Option<T> {
        self.unindex(key);
        let result = self
            .entries
            .get_mut(key)
            .map(|entry| change(&mut entry.memory));
        self.index(key);
        result
    }

    /// Reserves an instance for a resource before the binding is recorded.
    pub fn reserve(&mut self, key: &ObjectKey, api_url: &str, instance_id: &str) {
        let reservation = Reservation {
            api_url: api_url.to_owned(),
            instance_id: instance_id.to_owned(),
        };
        self.change_reservations(key, |reserved| reserved.push(reservation));
    }

    /// Gives up what [`Book::reserve`] has reserved.
    pub fn release(&mut self, key: &ObjectKey) {
        self.change_reservations(key, Vec::clear);
    }

    fn change_reservations(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Vec<Reservation>)) {
        self.unindex(key);
        if let Some(entry) = self.entries.get_mut(key) {
            change(&mut entry.reserved);
        }
        self.index(key);
    }

    /// Each resource in the version that is known now.
    pub fn resources(&self) -> HashMap<ObjectKey, Arc<CortecsInstance>> {
        let entries = self.entries.iter();
        entries
            .map(|(key, entry)| (key.clone(), Arc::clone(&entry.resource)))
            .collect()
    }

    /// All resources.
    pub fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &Entry)> {
        self.entries.iter()
    }

    /// Whether a resource that went while a start was open had the instance at this API.
    pub fn was_let_go(&self, api_url: &str, instance_id: &str) -> bool {
        self.let_go.contains(api_url, instance_id)
    }

    /// When the call ended of the start of this model that came to an end last without an answer of the API, while others are open.
    pub fn last_ended(&self, api_url: &str, model_id: &str) -> Option<Moment> {
        self.ended.last(api_url, model_id)
    }

    /// Whether the intent of a start of a resource other than `me` is being written.
    pub fn is_start_being_written(&self, me: &ObjectKey) -> bool {
        self.index.writing().any(|key| key != me)
    }

    /// The starts at this API of resources other than `me` whose intents are being written since `since` or later, as open starts
    /// that have made no call.
    pub fn starts_being_written<'a>(
        &'a self,
        api_url: &'a str,
        me: &'a ObjectKey,
        since: Moment,
    ) -> impl Iterator<Item = OpenStart<'a>> {
        let others = self.index.writing().filter(move |key| *key != me);
        let others = others.filter_map(|key| {
            let entry = self.entries.get(key)?;
            Some((key, entry.memory.writing_start.as_deref()?))
        });
        others
            .filter(move |(_, start)| start.account.api_url == api_url && start.since >= since)
            .map(|(key, start)| OpenStart {
                key,
                intent: &start.intent,
                progress: Progress::NotCalled,
                client_id: &start.account.client_id,
                attempt: None,
            })
    }

    /// Open starts at this API of resources other than `me`.
    pub fn open_starts<'a>(
        &'a self,
        api_url: &'a str,
        me: &'a ObjectKey,
    ) -> impl Iterator<Item = OpenStart<'a>> {
        self.index
            .open()
            .filter(move |key| *key != me)
            .filter_map(move |key| self.open_start(key, api_url))
    }

    fn open_start<'a>(&'a self, key: &'a ObjectKey, api_url: &str) -> Option<OpenStart<'a>> {
        let entry = self.entries.get(key)?;
        let status = entry.resource.status.as_ref()?;
        (entry.api_url() == Some(api_url)).then_some(OpenStart {
            key,
            intent: status.slot().start.as_ref()?,
            progress: Progress::of(&entry.memory),
            client_id: &status.account.as_ref()?.client_id,
            attempt: entry.memory.start.as_ref(),
        })
    }

    /// Open starts at this API of resources other than `me` that ask for exactly these arguments.
    pub fn equal_open_starts<'a>(
        &'a self,
        api_url: &'a str,
        args: &'a InstanceArgs,
        me: &'a ObjectKey,
    ) -> impl Iterator<Item = OpenStart<'a>> {
        self.open_starts(api_url, me)
            .filter(move |open| open.is_equal(args))
    }

    /// Whether an open start at this API, of any resource, may have made the instance.
    pub fn may_be_of_an_open_start(&self, api_url: &str, instance: &Instance) -> bool {
        self.index
            .open()
            .filter_map(|key| self.open_start(key, api_url))
            .any(|open| open.may_have_made(instance))
    }

    fn index(&mut self, key: &ObjectKey) {
        if let Some(entry) = self.entries.get(key) {
            self.index.insert(key, entry);
            self.let_go.claim(&entry.claimed_ids());
        }
    }

    fn unindex(&mut self, key: &ObjectKey) {
        if let Some(entry) = self.entries.get(key) {
            self.index.remove(key, entry);
        }
    }

    /// Removes the entries that are not to be kept, and returns them.
    fn retain(&mut self, keep: impl Fn(&ObjectKey, &Entry) -> bool) -> Vec<Entry> {
        let gone: Vec<ObjectKey> = self
            .entries
            .iter()
            .filter(|(key, entry)| !keep(key, entry))
            .map(|(key, _)| key.clone())
            .collect();
        gone.iter().filter_map(|key| self.remove(key)).collect()
    }
}

fn covers(scope: &Scope, key: &ObjectKey) -> bool {
    scope
        .as_ref()
        .is_none_or(|namespace| *namespace == key.namespace)
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
