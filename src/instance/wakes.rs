//! Which resources look again when a list comes or an account changes: those whose instance changed, and those that wait.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cortecs_clock as clock;
use cortecs_resources::{CortecsInstance, key::ObjectKey};
use cortecs_rules::{
    account::brake::{self, Lists, Measure},
    facts::{
        fleet_key::FleetKey,
        home::{lives_in, lives_through, named_account},
        memory::FailureKind,
        snapshot::Snapshot,
    },
    ledger::late,
};

use super::shared_book::SharedBook;
use crate::{
    fleet::hooks::{Claims, Listener},
    kubernetes::{scope::Namespaces, wake::WakeSet},
};

/// Wakes resources, and answers the accounts' questions about claims.
pub struct Wakes {
    book: SharedBook,
    default_account: Option<ObjectKey>,
    /// A set of its own for each watch, by the watched namespace (`None`: all).
    sets: BTreeMap<Option<String>, Arc<WakeSet>>,
    /// The resources with something in progress, and the fleet whose lists they wait for.
    busy: Mutex<BTreeMap<ObjectKey, FleetKey>>,
    synced: Mutex<BTreeSet<Option<String>>>,
    /// The fleets whose last list failed.
    failing: Mutex<BTreeSet<FleetKey>>,
    /// How long lists may lag.
    settle: Duration,
}

impl Wakes {
    pub fn new(
        book: SharedBook,
        default_account: Option<ObjectKey>,
        namespaces: &Namespaces,
        settle: Duration,
    ) -> Self {
        let scopes: Vec<Option<String>> = if namespaces.is_all() {
            vec![None]
        } else {
            namespaces
                .names()
                .map(|name| Some(name.to_owned()))
                .collect()
        };
        Self {
            book,
            default_account,
            sets: scopes
                .into_iter()
                .map(|scope| (scope, Arc::default()))
                .collect(),
            busy: Mutex::default(),
            synced: Mutex::default(),
            failing: Mutex::default(),
            settle,
        }
    }

    /// What is watched: each watch by its namespace, and whom to wake there.
    pub fn scopes(&self) -> impl Iterator<Item = (&Option<String>, &Arc<WakeSet>)> {
        self.sets.iter()
    }

    /// A watch has listed everything that it covers.
    pub fn watch_synced(&self, scope: Option<String>) {
        lock(&self.synced).insert(scope);
    }

    pub fn wake(&self, key: ObjectKey) {
        let set = self
            .sets
            .get(&Some(key.namespace.clone()))
            .or_else(|| self.sets.get(&None));
        if let Some(set) = set {
            set.wake(key);
        }
    }

    /// Wakes every resource.
    pub fn wake_all(&self) {
        let keys: Vec<ObjectKey> = self
            .book
            .lock()
            .iter()
            .map(|(key, _)| key.clone())
            .collect();
        keys.into_iter().for_each(|key| self.wake(key));
    }

    /// Notes whether a resource waits for the lists of a fleet. Returns the fleet that it waited for before, if another.
    pub fn set_busy(&self, key: &ObjectKey, fleet: Option<&FleetKey>) -> Option<FleetKey> {
        let mut busy = lock(&self.busy);
        let before = match fleet {
            Some(fleet) => busy.insert(key.clone(), fleet.clone()),
            None => busy.remove(key),
        };
        before.filter(|before| Some(before) != fleet)
    }

    /// The account that a resource names, or the default one.
    pub fn account_of(&self, resource: &CortecsInstance) -> Option<ObjectKey> {
        named_account(resource, self.default_account.as_ref())
    }

    /// The resources that name the account or are bound through it: whom a change of it concerns.
    fn concerned_by(&self, account: &ObjectKey) -> Vec<ObjectKey> {
        self.those(|r| lives_through(r, account) || self.account_of(r).as_ref() == Some(account))
    }

    /// The resources that need the account. From another namespace only those that have something through it: merely naming
    /// somebody's account must not keep it from being deleted.
    fn users_of(&self, account: &ObjectKey) -> Vec<ObjectKey> {
        self.those(|r| {
            let at_home = r.metadata.namespace.as_ref() == Some(&account.namespace);
            lives_through(r, account) || (at_home && self.account_of(r).as_ref() == Some(account))
        })
    }

    fn those(&self, which: impl Fn(&CortecsInstance) -> bool) -> Vec<ObjectKey> {
        self.book
            .lock()
            .iter()
            .filter(|(_, entry)| which(&entry.resource))
            .map(|(key, _)| key.clone())
            .collect()
    }
}

impl Claims for Wakes {
    fn synced(&self) -> bool {
        let synced = lock(&self.synced);
        self.sets.keys().all(|scope| synced.contains(scope))
    }

    fn is_claimed(&self, api_url: &str, instance_id: &str) -> bool {
        self.book.lock().is_claimed(api_url, instance_id)
    }

    fn users(&self, namespace: &str, account: &str) -> usize {
        self.users_of(&ObjectKey::new(namespace, account)).len()
    }

    fn user_names(&self, namespace: &str, account: &str, limit: usize) -> Vec<ObjectKey> {
        let mut users = self.users_of(&ObjectKey::new(namespace, account));
        users.sort();
        users.truncate(limit);
        users
    }

    fn measure(&self, lists: Lists<'_>) -> Measure {
        let book = self.book.lock();
        let entries = book.iter().map(|(_, entry)| entry);
        brake::measure(entries, lists, self.settle, clock::wall())
    }

    fn down(&self, fleet: &FleetKey, list: &Snapshot) -> BTreeSet<String> {
        let book = self.book.lock();
        brake::down(book.iter().map(|(_, entry)| entry), fleet, list)
    }

    fn late(&self, fleet: &FleetKey, list: &Snapshot) -> BTreeMap<String, ObjectKey> {
        late::late(&self.book.lock(), fleet, list, clock::wall())
    }

    fn fleet_in_use(&self, key: &FleetKey) -> bool {
        self.book
            .lock()
            .iter()
            .any(|(_, entry)| lives_in(&entry.resource, key))
    }
}

impl Listener for Wakes {
    fn on_list(&self, fleet: &FleetKey, old: Option<&Snapshot>, new: &Snapshot) {
        if lock(&self.failing).remove(fleet) {
            // Whoever said why the lists failed has something else to say now.
            return self.wake_all();
        }
        let mut keys = self.busy_in(fleet);
        {
            let book = self.book.lock();
            let before = |id: &String| old.and_then(|old| old.instances.get(id));
            let changed = new
                .instances
                .iter()
                .filter(|(id, instance)| before(id) != Some(instance))
                .map(|(id, _)| id);
            let gone = old
                .into_iter()
                .flat_map(|old| old.instances.keys())
                .filter(|id| !new.instances.contains_key(*id));
            for id in changed.chain(gone) {
                keys.extend(book.claimants(&fleet.api_url, id).cloned());
            }
            if old.is_none() {
                // The first list: those whose instance it lacks have not been woken by any id in it.
                let here =
                    |key: &&ObjectKey| book.get(key).is_some_and(|e| lives_in(&e.resource, fleet));
                keys.extend(book.iter().map(|(key, _)| key).filter(here).cloned());
            }
        }
        keys.into_iter().for_each(|key| self.wake(key));
    }

    fn on_list_failed(&self, fleet: &FleetKey) {
        lock(&self.failing).insert(fleet.clone());
        let mut keys = self.busy_in(fleet);
        {
            let book = self.book.lock();
            keys.extend(
                book.iter()
                    .filter(|(_, entry)| lives_in(&entry.resource, fleet))
                    .map(|(key, _)| key.clone()),
            );
        }
        keys.into_iter().for_each(|key| self.wake(key));
    }

    fn on_account_changed(&self, namespace: &str, name: &str) {
        let users = self.concerned_by(&ObjectKey::new(namespace, name));
        let mut book = self.book.lock();
        for key in users {
            book.remember(&key, |memory| {
                // Other credentials, or another consent: what was refused for their lack may be tried again.
                memory.failure.take_if(|f| f.kind == FailureKind::Auth);
            });
            self.wake(key);
        }
    }

    fn on_turn(&self, resources: Vec<ObjectKey>) {
        resources.into_iter().for_each(|key| self.wake(key));
    }
}

impl Wakes {
    fn busy_in(&self, fleet: &FleetKey) -> BTreeSet<ObjectKey> {
        lock(&self.busy)
            .iter()
            .filter(|(_, waits_for)| *waits_for == fleet)
            .map(|(key, _)| key.clone())
            .collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
