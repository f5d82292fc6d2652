//! The bills of resources that are about to go, on their way into the status of their account.
//!
//! The status takes a bill together with the uid of its resource, and only then the finalizer is removed. A uid leaves the status when its
//! resource is gone, by a write that [`Bills::settlement`] makes: at that moment no bill of this uid waits, and none comes any more. Either
//! its removal was seen ([`Bills::removed`]), or no resource of this uid was there for a while.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cortecs_clock::Moment;
use cortecs_resources::key::ObjectKey;

use super::bill::{Bill, Settlement};

/// How long bills wait for others, so that many deletions share a write.
pub const GATHER: Duration = Duration::from_millis(500);
/// How long a deletion waits for its account.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long after the book has lost a resource its removal may come.
const ON_ITS_WAY: Duration = Duration::from_secs(10);
/// Most bills that wait.
const MOST: usize = 10_000;

/// All bills that wait, by account and uid.
#[derive(Debug, Default)]
pub struct Bills {
    waiting: BTreeMap<ObjectKey, BTreeMap<String, Waiting>>,
    /// The uids of resources whose removal this process will see, and that are settled.
    settled: BTreeSet<String>,
    /// The settled uids of which no resource is there, by account, and since when; `None` if its removal was seen.
    absent: BTreeMap<ObjectKey, BTreeMap<String, Option<Moment>>>,
}

#[derive(Debug)]
struct Waiting {
    bill: Bill,
    since: Moment,
    /// The removal of the resource was seen.
    is_gone: bool,
}

/// Whether the finalizer may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The account has the bill.
    Settled,
    /// The account is going to have it: the bill waits from now on.
    Begin,
    /// The same, and the bill waits already.
    Wait,
    /// The account did not take it in time.
    GiveUp,
}

impl Bills {
    /// The resource is to go. `recorded`: the settled uids in the account's status.
    pub fn submit(
        &mut self,
        account: &ObjectKey,
        bill: Bill,
        recorded: &[String],
        now: Moment,
    ) -> Answer {
        if self.settled.contains(&bill.uid) || recorded.contains(&bill.uid) {
            self.forget(account, &bill.uid);
            self.settled.insert(bill.uid);
            return Answer::Settled;
        }
        let waits = self.waiting.get(account);
        let waits = waits.is_some_and(|bills| bills.contains_key(&bill.uid));
        match self.add(account, bill, now) {
            Some(_) if !waits => Answer::Begin,
            Some(since) if now.since(since) < PATIENCE => Answer::Wait,
            _ => Answer::GiveUp,
        }
    }

    /// The resource is gone. Without a bill before, as when its finalizer was removed by force, the bill waits from now on. Whether one
    /// waits.
    pub fn removed(
        &mut self,
        account: &ObjectKey,
        bill: Bill,
        recorded: &[String],
        now: Moment,
    ) -> bool {
        let is_settled = self.settled.remove(&bill.uid) || recorded.contains(&bill.uid);
        let uid = bill.uid.clone();
        if is_settled {
            self.went(account, uid);
            return false;
        }
        if self.add(account, bill, now).is_none() {
            return false;
        }
        let of_account = self.waiting.get_mut(account);
        if let Some(waiting) = of_account.and_then(|bills| bills.get_mut(&uid)) {
            waiting.is_gone = true;
        }
        true
    }

    /// Since when the bill waits; `None` if there is no room.
    fn add(&mut self, account: &ObjectKey, bill: Bill, now: Moment) -> Option<Moment> {
        let full = self.waiting.values().map(BTreeMap::len).sum::<usize>() >= MOST;
        let of_account = self.waiting.entry(account.clone()).or_default();
        if let Some(waiting) = of_account.get(&bill.uid) {
            return Some(waiting.since);
        }
        if full {
            return None;
        }
        let uid = bill.uid.clone();
        let waiting = Waiting {
            bill,
            since: now,
            is_gone: false,
        };
        of_account.insert(uid, waiting);
        Some(now)
    }

    /// The settlement to write into an account whose status has these uids, and the time after which one is due. `is_there`: whether there is
    /// a resource of a uid. No resource may go meanwhile.
    pub fn settlement(
        &mut self,
        account: &ObjectKey,
        recorded: &[String],
        is_there: impl Fn(&str) -> bool,
        now: Moment,
    ) -> (Settlement, Option<Duration>) {
        self.written(account, recorded, &is_there);
        let mut settlement = Settlement {
            bills: Vec::new(),
            gone: self.gone(account, recorded, now),
        };
        let Some(waiting) = self.waiting.get(account) else {
            return (settlement, None);
        };
        let Some(oldest) = waiting.values().map(|waiting| waiting.since).min() else {
            return (settlement, None);
        };
        let age = now.since(oldest);
        if age < GATHER {
            return (settlement, Some(GATHER.saturating_sub(age)));
        }
        settlement.bills = waiting.values().map(|w| w.bill.clone()).collect();
        // What has no room in this write is for the next one.
        (settlement, Some(GATHER))
    }

    /// The removal of a settled resource was seen.
    fn went(&mut self, account: &ObjectKey, uid: String) {
        let absent = self.absent.entry(account.clone()).or_default();
        absent.insert(uid, None);
    }

    /// The settled uids of which no bill comes any more.
    fn gone(&mut self, account: &ObjectKey, recorded: &[String], now: Moment) -> Vec<String> {
        let before = self.absent.remove(account).unwrap_or_default();
        let absent = recorded.iter().filter(|uid| !self.settled.contains(*uid));
        let since = |uid| before.get(uid).copied().unwrap_or(Some(now));
        let absent: BTreeMap<String, Option<Moment>> =
            absent.map(|uid| (uid.clone(), since(uid))).collect();
        let gone = absent.iter();
        let gone = gone.filter(|(_, since)| since.is_none_or(|at| now.since(at) >= ON_ITS_WAY));
        let gone = gone.map(|(uid, _)| uid.clone()).collect();
        if !absent.is_empty() {
            self.absent.insert(account.clone(), absent);
        }
        gone
    }

    /// The status of the account has these uids now. Returns the resources whose bills waited for that. `is_there` as in
    /// [`Bills::settlement`].
    pub fn written(
        &mut self,
        account: &ObjectKey,
        recorded: &[String],
        is_there: impl Fn(&str) -> bool,
    ) -> Vec<ObjectKey> {
        let mut waited = Vec::new();
        for uid in recorded {
            let waiting = self.forget(account, uid);
            // The removal of a resource may be on its way to here.
            let goes = waiting.as_ref().is_some_and(|waiting| !waiting.is_gone);
            if goes || is_there(uid) {
                self.settled.insert(uid.clone());
            }
            if waiting.as_ref().is_some_and(|waiting| waiting.is_gone) {
                self.went(account, uid.clone());
            }
            waited.extend(waiting.map(|waiting| waiting.bill.resource));
        }
        waited
    }

    /// The account cannot take these bills: nobody waits for it any more. Returns the resources that waited.
    pub fn dropped(&mut self, account: &ObjectKey, bills: &[Bill]) -> Vec<ObjectKey> {
        let mut waited = Vec::new();
        for bill in bills {
            let Some(waiting) = self.forget(account, &bill.uid) else {
                continue;
            };
            if !waiting.is_gone {
                self.settled.insert(bill.uid.clone());
                waited.push(waiting.bill.resource);
            }
        }
        waited
    }

    fn forget(&mut self, account: &ObjectKey, uid: &str) -> Option<Waiting> {
        let of_account = self.waiting.get_mut(account)?;
        let forgotten = of_account.remove(uid);
        if of_account.is_empty() {
            self.waiting.remove(account);
        }
        forgotten
    }

    /// The account is gone, or another operator manages it. Returns the resources whose bills waited for it.
    pub fn without(&mut self, account: &ObjectKey) -> Vec<ObjectKey> {
        self.absent.remove(account);
        let bills = self.waiting.remove(account).unwrap_or_default();
        bills.into_values().map(|w| w.bill.resource).collect()
    }
}

#[cfg(test)]
#[path = "bills_tests.rs"]
mod tests;
