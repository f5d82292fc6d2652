//! Which resources use which account, fleet and instance, by the book.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use cortecs_clock as clock;
use cortecs_resources::{
    CortecsInstance,
    conditions::{READY, find_condition},
    key::ObjectKey,
    reason::Reason,
};
use cortecs_rules::{
    account::brake::{self, Lists, Measure},
    catalog::details::used_id,
    cost::bill::{Bill, Settlement},
    facts::{
        fleet_key::FleetKey,
        home::{home_account, lives_in, lives_through, named_account},
        snapshot::Snapshot,
    },
    ledger::{book::Book, late, unlisted},
};

use super::{shared_book::SharedBook, spending::Spending};
use crate::{
    fleet::hooks::{Claims, Demand},
    kubernetes::queue::Watches,
};

/// The claims of the resources in the book.
pub struct BookClaims {
    pub book: SharedBook,
    pub watches: Arc<Watches>,
    pub spending: Arc<Spending>,
    pub default_account: Option<ObjectKey>,
    /// How long a list may lag behind the API.
    pub settle: Duration,
}

impl BookClaims {
    /// Whether the resource keeps the account from being deleted. A resource of another namespace does so only while it has an
    /// instance or an open start of the account: its name alone must not block a foreign account.
    fn needs(&self, resource: &CortecsInstance, account: &ObjectKey) -> bool {
        let at_home = resource.metadata.namespace.as_ref() == Some(&account.namespace);
        let named = || named_account(resource, self.default_account.as_ref());
        lives_through(resource, account) || (at_home && named().as_ref() == Some(account))
    }
}

impl Claims for BookClaims {
    fn synced(&self) -> bool {
        self.watches.all_listed()
    }

    fn is_claimed(&self, api_url: &str, instance_id: &str) -> bool {
        self.book.lock().is_claimed(api_url, instance_id)
    }

    fn users(&self, account: &ObjectKey) -> Vec<ObjectKey> {
        let book = self.book.lock();
        let users = book
            .iter()
            .filter(|(_, entry)| self.needs(&entry.resource, account));
        let mut users: Vec<_> = users.map(|(key, _)| key.clone()).collect();
        drop(book);
        users.sort();
        users
    }

    fn fleet_in_use(&self, key: &FleetKey, left: &BTreeSet<ObjectKey>) -> bool {
        let book = self.book.lock();
        let is_left = |resource: &CortecsInstance| {
            home_account(resource).is_some_and(|account| left.contains(&account))
        };
        book.iter()
            .any(|(_, entry)| lives_in(&entry.resource, key) && !is_left(&entry.resource))
    }

    fn homes(&self, key: &FleetKey) -> BTreeSet<ObjectKey> {
        let book = self.book.lock();
        let here = book.iter().filter(|(_, e)| lives_in(&e.resource, key));
        here.filter_map(|(_, entry)| home_account(&entry.resource))
            .collect()
    }

    fn with_book(&self, look: &mut dyn FnMut(&Book)) {
        look(&self.book.lock());
    }

    fn settle(&self) -> Duration {
        self.settle
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

    fn unlisted(&self, fleet: &FleetKey) -> u64 {
        unlisted::count(&self.book.lock(), fleet, clock::moment(), self.settle)
    }

    fn namespace_of(&self, api_url: &str, instance_id: &str) -> Option<String> {
        let book = self.book.lock();
        let mut claimants = book.present_and_future_claimants(api_url, instance_id);
        claimants.next().map(|key| key.namespace.clone())
    }

    fn settlement(
        &self,
        account: &ObjectKey,
        settled: &[String],
    ) -> (Settlement, Option<Duration>) {
        self.spending.settlement(&self.book, account, settled)
    }

    fn settled(&self, account: &ObjectKey, settled: &[String]) {
        let waited = self.spending.written(&self.book, account, settled);
        waited.into_iter().for_each(|key| self.watches.add(key));
    }

    fn dropped(&self, account: &ObjectKey, bills: &[Bill]) {
        let waited = self.spending.bills().dropped(account, bills);
        waited.into_iter().for_each(|key| self.watches.add(key));
    }

    fn account_gone(&self, account: &ObjectKey) {
        let waited = self.spending.without(account);
        waited.into_iter().for_each(|key| self.watches.add(key));
    }
}

impl Demand for BookClaims {
    fn used_models(&self) -> BTreeSet<String> {
        let book = self.book.lock();
        let models = book.iter().map(|(_, entry)| &entry.resource.spec.model_id);
        models.map(|model| used_id(model)).collect()
    }

    fn waits_for_capacity(&self) -> bool {
        let book = self.book.lock();
        let mut statuses = book.iter().filter_map(|(_, e)| e.resource.status.as_ref());
        statuses.any(|status| {
            let ready = find_condition(&status.conditions, READY);
            ready.is_some_and(|ready| ready.reason == Reason::WaitingForCapacity.as_str())
        })
    }
}
