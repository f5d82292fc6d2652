//! Which instance is claimed by which resource, and which starts are under way.
//!
//! The book has the newest version of each resource that this process knows: what the watch delivered, overlaid by
//! what the process itself has just written. Claims are asked for by API URL, since two client ids may belong to one
//! owner and show the same instances. Pure: the shell feeds it.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use cortecs_api::types::{Instance, InstanceArgs};
use cortecs_clock::Moment;
use cortecs_resources::{
    CortecsInstance, conditions, instance_status::CortecsInstanceStatus, key::ObjectKey,
};
use kube::ResourceExt;

use super::open_start::{OpenStart, Stalled};
use crate::facts::{args, memory::Memory};

/// All resources, their claims and what this process remembers of them.
#[derive(Clone, Debug, Default)]
pub struct Book {
    entries: HashMap<ObjectKey, Entry>,
    /// Who claims an instance id, over all API URLs.
    claims: HashMap<String, BTreeSet<ObjectKey>>,
    /// The resources with an open start.
    open: BTreeSet<ObjectKey>,
    /// Keys seen since a watch began to list anew, by the watched namespace (all of them without one).
    listings: HashMap<Scope, HashSet<ObjectKey>>,
    quorum_read_at: Option<Moment>,
    /// The newest version of any resource that was ever known.
    newest: String,
    /// The uids of resources that went while a quorum read was under way: what it found of them is out of date.
    gone_meanwhile: Option<HashSet<String>>,
}

/// What one watch covers: a namespace, or all of them.
pub type Scope = Option<String>;

/// One resource.
#[derive(Clone, Debug)]
pub struct Entry {
    pub resource: Arc<CortecsInstance>,
    pub memory: Memory,
    /// An instance that is about to be recorded as this resource's: taken for everyone else.
    reserved: Vec<Reservation>,
}

#[derive(Clone, Debug)]
struct Reservation {
    api_url: String,
    instance_id: String,
}

impl Book {
    /// Takes note of a version of a resource, from the watch or from a quorum read. Older versions change nothing. Returns
    /// another resource of the same name that it shows to be gone.
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
        self.unindex(&key);
        self.entries.insert(
            key.clone(),
            Entry {
                resource,
                memory,
                // A write that the reservation was for either made this version, or fails because of it.
                reserved: Vec::new(),
            },
        );
        self.index(&key);
        gone
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

    /// A quorum read has come to nothing: what goes from here on need not be remembered.
    pub fn abandon_quorum_read(&mut self) {
        self.gone_meanwhile = None;
    }

    /// Everything that this process looks after was read by quorum; the first of the reads began at `began`.
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

    /// Takes an instance for a resource before that is recorded.
    pub fn reserve(&mut self, key: &ObjectKey, api_url: &str, instance_id: &str) {
        let reservation = Reservation {
            api_url: api_url.to_owned(),
            instance_id: instance_id.to_owned(),
        };
        self.change_reservations(key, |reserved| reserved.push(reservation));
    }

    /// Gives back what was taken with [`Book::reserve`].
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

    /// The resources that claim the instance at this API.
    pub fn claimants<'a>(
        &'a self,
        api_url: &'a str,
        instance_id: &'a str,
    ) -> impl Iterator<Item = &'a ObjectKey> {
        self.claims
            .get(instance_id)
            .into_iter()
            .flatten()
            .filter(move |key| {
                self.entries
                    .get(key)
                    .is_some_and(|e| e.claims(api_url, instance_id))
            })
    }

    /// Whether a resource other than `me` claims the instance at this API, or will once it has been made sure that the
    /// instance is there: its annotation proves that it was its own.
    pub fn is_claimed_by_other(&self, api_url: &str, instance_id: &str, me: &ObjectKey) -> bool {
        self.present_and_future_claimants(api_url, instance_id)
            .any(|key| key != me)
    }

    /// Whether a resource claims the instance at this API, or will: see [`Book::is_claimed_by_other`].
    pub fn is_claimed(&self, api_url: &str, instance_id: &str) -> bool {
        self.present_and_future_claimants(api_url, instance_id)
            .next()
            .is_some()
    }

    /// The resources that claim the instance at this API, or will: see [`Book::is_claimed_by_other`].
    pub fn present_and_future_claimants<'a>(
        &'a self,
        api_url: &'a str,
        instance_id: &'a str,
    ) -> impl Iterator<Item = &'a ObjectKey> {
        let keys = self.claims.get(instance_id).into_iter().flatten();
        keys.filter(move |key| {
            let entry = self.entries.get(key);
            entry.is_some_and(|e| {
                e.claims(api_url, instance_id) || e.named_id(Some(api_url)) == Some(instance_id)
            })
        })
    }

    /// Whether the instance at this API is recorded as that of a resource other than `me`: not only taken in this process's memory.
    pub fn is_recorded_for_other(&self, api_url: &str, instance_id: &str, me: &ObjectKey) -> bool {
        self.claimants(api_url, instance_id)
            .filter(|key| *key != me)
            .filter_map(|key| self.entries.get(key))
            .any(|entry| entry.bound_id() == Some(instance_id))
    }

    /// Open starts at this API of resources other than `me`.
    pub fn open_starts<'a>(
        &'a self,
        api_url: &'a str,
        me: &'a ObjectKey,
    ) -> impl Iterator<Item = OpenStart<'a>> {
        self.open
            .iter()
            .filter(move |key| *key != me)
            .filter_map(move |key| self.open_start(key, api_url))
    }

    fn open_start<'a>(&'a self, key: &'a ObjectKey, api_url: &str) -> Option<OpenStart<'a>> {
        let entry = self.entries.get(key)?;
        let status = entry.resource.status.as_ref()?;
        let stalled = conditions::find_condition(&status.conditions, conditions::STALLED);
        (entry.api_url() == Some(api_url)).then_some(OpenStart {
            key,
            intent: status.start.as_ref()?,
            in_flight: entry.memory.start_in_flight(),
            unresolved: entry.memory.start_unresolved(),
            client_id: &status.account.as_ref()?.client_id,
            stalled: stalled.map(Stalled::of),
        })
    }

    /// Open starts at this API of resources other than `me` whose instance could be taken for one started with `args`.
    pub fn equal_open_starts<'a>(
        &'a self,
        api_url: &'a str,
        args: &'a InstanceArgs,
        me: &'a ObjectKey,
    ) -> impl Iterator<Item = OpenStart<'a>> {
        self.open_starts(api_url, me)
            .filter(move |open| args::matches(args, &args::of_record(&open.intent.args)))
    }

    /// Whether an open start at this API, of any resource, may have made the instance.
    pub fn may_be_of_an_open_start(&self, api_url: &str, instance: &Instance) -> bool {
        self.open
            .iter()
            .filter_map(|key| self.open_start(key, api_url))
            .any(|open| open.may_have_made(instance))
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

    fn index(&mut self, key: &ObjectKey) {
        let Some(entry) = self.entries.get(key) else {
            return;
        };
        for id in entry.claimed_ids() {
            self.claims.entry(id).or_default().insert(key.clone());
        }
        if entry
            .resource
            .status
            .as_ref()
            .is_some_and(|s| s.start.is_some())
        {
            self.open.insert(key.clone());
        }
    }

    fn unindex(&mut self, key: &ObjectKey) {
        let Some(entry) = self.entries.get(key) else {
            return;
        };
        for id in entry.claimed_ids() {
            if let Some(claimants) = self.claims.get_mut(&id) {
                claimants.remove(key);
                if claimants.is_empty() {
                    self.claims.remove(&id);
                }
            }
        }
        self.open.remove(key);
    }
}

impl Entry {
    fn api_url(&self) -> Option<&str> {
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

    fn bound_id(&self) -> Option<&str> {
        self.resource.status.as_ref()?.instance_id.as_deref()
    }

    fn claims(&self, api_url: &str, instance_id: &str) -> bool {
        let own = [self.bound_id(), self.memory.accepted_id()];
        (self.api_url() == Some(api_url) && own.contains(&Some(instance_id)))
            || self
                .reserved
                .iter()
                .any(|r| r.api_url == api_url && r.instance_id == instance_id)
    }

    /// A newer version of the resource, and what is remembered of it. A status that someone else has emptied is kept: what
    /// is bound, and above all a start under way, must not be forgotten.
    fn followed_by(&self, resource: Arc<CortecsInstance>) -> (Arc<CortecsInstance>, Memory) {
        let is_empty = |resource: &CortecsInstance| {
            let status = resource.status.as_ref();
            status.is_none_or(CortecsInstanceStatus::records_nothing)
        };
        let mut memory = self.memory.clone();
        memory.status_lost = is_empty(&resource) && !is_empty(&self.resource);
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
    fn named_id(&self, api_url: Option<&str>) -> Option<&str> {
        let named = self.memory.named.as_ref();
        let named = named.filter(|n| api_url.is_none_or(|api_url| n.api_url == api_url))?;
        Some(&named.bound.id)
    }

    fn claimed_ids(&self) -> BTreeSet<String> {
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

fn covers(scope: &Scope, key: &ObjectKey) -> bool {
    scope
        .as_ref()
        .is_none_or(|namespace| *namespace == key.namespace)
}

fn compare_versions(a: &CortecsInstance, b: &CortecsInstance) -> Ordering {
    let version = |r: &CortecsInstance| r.metadata.resource_version.clone().unwrap_or_default();
    compare_decimal(&version(a), &version(b))
}

/// Whether resource version `a` is older than `b`.
pub fn is_older(a: &str, b: &str) -> bool {
    compare_decimal(a, b) == Ordering::Less
}

/// Compares resource versions as the decimal numbers that they are (KEP-5504), without a bound on their length.
fn compare_decimal(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
