//! Adds resources to the queue after a list, a change of an account or a new turn: the resources whose instance changed, and the
//! busy ones.

use std::{collections::BTreeSet, sync::Arc};

use cortecs_resources::{CortecsInstance, key::ObjectKey};
use cortecs_rules::facts::{
    failure::FailureKind,
    fleet_key::FleetKey,
    home::{lives_in, lives_through, named_account},
    snapshot::Snapshot,
};

use super::shared_book::SharedBook;
use crate::{
    fleet::hooks::{InstanceHooks, Listed},
    kubernetes::queue::Watches,
};

/// Adds resources to the queue of their watch.
pub struct Enqueuer {
    pub book: SharedBook,
    pub watches: Arc<Watches>,
    pub default_account: Option<ObjectKey>,
}

impl Enqueuer {
    /// Adds every resource.
    pub fn enqueue_all(&self) {
        self.enqueue(self.matching(|_| true));
    }

    fn enqueue(&self, keys: impl IntoIterator<Item = ObjectKey>) {
        keys.into_iter().for_each(|key| self.watches.add(key));
    }

    /// The resources that name the account, or have an instance or an open start of it.
    fn users_of(&self, account: &ObjectKey) -> Vec<ObjectKey> {
        let named =
            |resource: &CortecsInstance| named_account(resource, self.default_account.as_ref());
        self.matching(|r| lives_through(r, account) || named(r).as_ref() == Some(account))
    }

    fn matching(&self, predicate: impl Fn(&CortecsInstance) -> bool) -> Vec<ObjectKey> {
        let book = self.book.lock();
        let entries = book.iter().filter(|(_, entry)| predicate(&entry.resource));
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

impl InstanceHooks for Enqueuer {
    fn on_list(&self, listed: Listed<'_>) {
        let Listed {
            fleet,
            old,
            new,
            busy,
            recovered,
        } = listed;
        if recovered {
            // The condition of any resource may show the failure of the lists.
            return self.enqueue_all();
        }
        let mut keys = self.changed(fleet, old, new);
        keys.extend(busy.iter().cloned());
        if old.is_none() {
            // The first list may lack instances, and then has no id that leads to their resources.
            keys.extend(self.matching(|r| lives_in(r, fleet)));
        }
        self.enqueue(keys);
    }

    fn on_list_failed(&self, fleet: &FleetKey, busy: &[ObjectKey]) {
        self.enqueue(busy.iter().cloned());
        self.enqueue(self.matching(|r| lives_in(r, fleet)));
    }

    fn on_turn(&self, resources: Vec<ObjectKey>) {
        self.enqueue(resources);
    }

    fn on_account_changed(&self, account: &ObjectKey) {
        let users = self.users_of(account);
        let mut book = self.book.lock();
        for key in &users {
            book.remember(key, |memory| {
                // The credentials or the permission may be new: a call that they failed may be repeated at once.
                memory.failure.take_if(|f| f.kind == FailureKind::Auth);
            });
        }
        drop(book);
        self.enqueue(users);
    }
}
