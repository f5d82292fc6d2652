//! The counters of what was spent, by account, namespace and model: they never fall while the process lives.
//!
//! A counter begins with what the account's status has of the resources that are gone, and with what the others have cost until then. From then
//! on it grows by what each resource costs more. So a counter also stays where it is when a resource goes, when a status is emptied, and when
//! the API says that a run ended earlier than it seemed.

use std::collections::{BTreeMap, HashMap};

use cortecs_resources::money::Spent;

use super::{bill::Bill, labels::Labels, money::amount};

/// After so many looks at all resources a resource that none of them saw is forgotten.
const FORGET: u64 = 150;

/// All counters.
#[derive(Debug, Default)]
pub struct Meter {
    accounts: BTreeMap<String, Account>,
    /// By the uid of a resource.
    known: HashMap<String, Known>,
    looks: u64,
}

#[derive(Debug, Default)]
struct Account {
    counters: BTreeMap<Labels, f64>,
    /// The resources that are in the counters by the account's status, and not by themselves.
    settled: Vec<String>,
}

#[derive(Debug, Default)]
struct Known {
    /// What was counted, by currency and model.
    counted: BTreeMap<(String, String), f64>,
    /// The number of the last look.
    seen: u64,
}

impl Meter {
    /// Begins the counters of an account that has none yet, with `spent` and `settled` of its status.
    pub fn begin(&mut self, account: &str, spent: &[Spent], settled: &[String]) {
        if self.accounts.contains_key(account) {
            return;
        }
        let mut counters = Account {
            counters: BTreeMap::new(),
            settled: settled.to_vec(),
        };
        for entry in spent {
            let labels = Labels {
                namespace: entry.namespace.clone(),
                model: entry.model_id.clone(),
                currency: entry.currency.clone(),
            };
            counters.add(labels, amount(&entry.amount));
        }
        self.accounts.insert(account.to_owned(), counters);
    }

    /// Counts what the resource has cost since the last look at it. Without [`Meter::begin`] before it does nothing.
    pub fn look(&mut self, account: &str, bill: &Bill) {
        let Some(counters) = self.accounts.get_mut(account) else {
            return;
        };
        if counters.settled.contains(&bill.uid) {
            return;
        }
        let known = self.known.entry(bill.uid.clone()).or_default();
        known.seen = self.looks;
        for (model, amount) in &bill.parts {
            let of_model = (bill.currency.clone(), model.clone());
            let counted = known.counted.entry(of_model).or_default();
            let more = amount - *counted;
            if more > 0.0 {
                *counted = *amount;
                let labels = Labels {
                    namespace: bill.resource.namespace.clone(),
                    model: model.clone(),
                    currency: bill.currency.clone(),
                };
                counters.add(labels, more);
            }
        }
    }

    /// All resources were looked at.
    pub fn looked(&mut self) {
        self.looks += 1;
        let looks = self.looks;
        self.known.retain(|_, known| known.seen + FORGET > looks);
    }

    /// The counters of the account; `None` before they have begun.
    pub fn counters(&self, account: &str) -> Option<&BTreeMap<Labels, f64>> {
        self.accounts.get(account).map(|account| &account.counters)
    }

    /// Forgets the accounts that are not to be kept.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.accounts.retain(|account, _| keep(account));
    }
}

impl Account {
    fn add(&mut self, labels: Labels, more: f64) {
        if let Some(labels) = labels.bounded(&self.counters) {
            *self.counters.entry(labels).or_default() += more;
        }
    }
}

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
