//! Which resources are looked at when a list comes, an account changes or a turn has come: those whose instance changed, and
//! those with something in progress.

use std::{collections::BTreeSet, sync::Arc};

use cortecs_resources::{CortecsInstance, key::ObjectKey};
use cortecs_rules::facts::{
    fleet_key::FleetKey,
    home::{lives_in, lives_through, named_account},
    memory::FailureKind,
    snapshot::Snapshot,
};

use super::shared_book::SharedBook;
use crate::{
    fleet::hooks::{InstanceHooks, Listed},
    kubernetes::queue::Watches,
};

/// Adds resources to their queues.
pub struct Wakes {
    pub book: SharedBook,
    pub watches: Arc<Watches>,
    pub default_account: Option<ObjectKey>,
}

impl Wakes {
    /// Adds every resource.
    pub fn wake_all(&self) {
        self.wake(self.those(|_| true));
    }

    fn wake(&self, keys: impl IntoIterator<Item = ObjectKey>) {
        keys.into_iter().for_each(|key| self.watches.add(key));
    }

    /// The resources that name the account or are bound through it: whom a change of it concerns.
    fn concerned_by(&self, account: &ObjectKey) -> Vec<ObjectKey> {
        let named =
            |resource: &CortecsInstance| named_account(resource, self.default_account.as_ref());
        self.those(|r| lives_through(r, account) || named(r).as_ref() == Some(account))
    }

    fn those(&self, which: impl Fn(&CortecsInstance) -> bool) -> Vec<ObjectKey> {
        let book = self.book.lock();
        let entries = book.iter().filter(|(_, entry)| which(&entry.resource));
        entries.map(|(key, _)| key.clone()).collect()
    }

    /// The resources that claim an instance in which two lists differ.
    fn changed(
        &self,
        fleet: &FleetKey,
        old: Option<&Snapshot>,
        new: &Snapshot,
    ) -> BTreeSet<ObjectKey> {
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
        let book = self.book.lock();
        let claimants = changed
            .chain(gone)
            .flat_map(|id| book.claimants(&fleet.api_url, id));
        claimants.cloned().collect()
    }
}

impl InstanceHooks for Wakes {
    fn on_list(&self, listed: Listed<'_>) {
        let Listed {
            fleet,
            old,
            new,
            busy,
            recovered,
        } = listed;
        if recovered {
            // A resource that says why the lists failed has something else to say now.
            return self.wake_all();
        }
        let mut keys = self.changed(fleet, old, new);
        keys.extend(busy.iter().cloned());
        if old.is_none() {
            // The first list: a resource whose instance it lacks is woken by no id in it.
            keys.extend(self.those(|r| lives_in(r, fleet)));
        }
        self.wake(keys);
    }

    fn on_list_failed(&self, fleet: &FleetKey, busy: &[ObjectKey]) {
        self.wake(busy.iter().cloned());
        self.wake(self.those(|r| lives_in(r, fleet)));
    }

    fn on_turn(&self, resources: Vec<ObjectKey>) {
        self.wake(resources);
    }

    fn on_account_changed(&self, account: &ObjectKey) {
        let users = self.concerned_by(account);
        let mut book = self.book.lock();
        for key in &users {
            book.remember(key, |memory| {
                // Other credentials, or another consent: what was refused for their lack may be tried again.
                memory.failure.take_if(|f| f.kind == FailureKind::Auth);
            });
        }
        drop(book);
        self.wake(users);
    }
}
