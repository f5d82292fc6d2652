//! What this process knows of what was spent, shared by the controllers.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use cortecs_clock as clock;
use cortecs_resources::key::ObjectKey;
use cortecs_rules::cost::{bill::Settlement, bills::Bills, meter::Meter};
use kube::ResourceExt;

use super::shared_book::SharedBook;
use crate::mutex::lock;

/// What this process knows of what was spent.
#[derive(Debug, Default)]
pub struct Spending {
    /// The lock of the book, if any, is taken first.
    bills: Mutex<Bills>,
    meter: Mutex<Meter>,
}

impl Spending {
    pub fn bills(&self) -> MutexGuard<'_, Bills> {
        lock(&self.bills)
    }

    pub fn meter(&self) -> MutexGuard<'_, Meter> {
        lock(&self.meter)
    }

    /// See [`Bills::settlement`].
    pub fn settlement(
        &self,
        book: &SharedBook,
        account: &ObjectKey,
        recorded: &[String],
    ) -> (Settlement, Option<Duration>) {
        with_uids(book, recorded, |is_there| {
            self.bills()
                .settlement(account, recorded, is_there, clock::moment())
        })
    }

    /// See [`Bills::written`].
    pub fn written(
        &self,
        book: &SharedBook,
        account: &ObjectKey,
        recorded: &[String],
    ) -> Vec<ObjectKey> {
        with_uids(book, recorded, |is_there| {
            self.bills().written(account, recorded, is_there)
        })
    }

    /// The account is gone. Returns the resources that waited for it.
    pub fn without(&self, account: &ObjectKey) -> Vec<ObjectKey> {
        self.bills().without(account)
    }
}

/// Calls `ask` with the answer to whether there is a resource of a uid, while no resource comes or goes.
fn with_uids<T>(
    book: &SharedBook,
    recorded: &[String],
    ask: impl FnOnce(&dyn Fn(&str) -> bool) -> T,
) -> T {
    let book = book.lock();
    let resources = book.iter().filter(|_| !recorded.is_empty());
    let uids: HashSet<String> = resources.filter_map(|(_, e)| e.resource.uid()).collect();
    ask(&|uid| uids.contains(uid))
}
