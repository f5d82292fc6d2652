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
    /// The account whose counters have it.
    account: String,
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
        if known.account != account {
            account.clone_into(&mut known.account);
        }
        for (model, more) in known.count(bill) {
            let labels = Labels {
                namespace: bill.resource.namespace.clone(),
                model: model.to_owned(),
                currency: bill.currency.clone(),
            };
            counters.add(labels, more);
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

    /// Forgets the accounts that are not to be kept, and what was counted in them: their counters begin anew when they come back.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        let known = self.accounts.len();
        self.accounts.retain(|account, _| keep(account));
        if self.accounts.len() < known {
            let accounts = &self.accounts;
            self.known
                .retain(|_, known| accounts.contains_key(&known.account));
        }
    }
}

impl Known {
    /// What the bill has more than was counted, by model. An amount that moves to another model is nothing more.
    fn count<'a>(&mut self, bill: &'a Bill) -> Vec<(&'a str, f64)> {
        let total: f64 = bill.parts.iter().map(|(_, amount)| amount).sum();
        let of_currency = self.counted.iter();
        let of_currency = of_currency.filter(|((currency, _), _)| *currency == bill.currency);
        let mut rest = total - of_currency.map(|(_, counted)| counted).sum::<f64>();
        let mut counted = Vec::new();
        // The present model is the last one, and the one that costs more.
        let parts = bill.parts.iter().rev();
        let all = parts.map(|(model, amount)| (model, Some(*amount)));
        let remainder = bill.parts.last().map(|(model, _)| (model, None));
        for (model, amount) in all.chain(remainder) {
            let of_model = (bill.currency.clone(), model.clone());
            let known = self.counted.entry(of_model).or_default();
            let more = amount.map_or(rest, |amount| rest.min(amount - *known));
            if more > 0.0 {
                *known += more;
                rest -= more;
                counted.push((model.as_str(), more));
            }
        }
        counted
    }
}

impl Account {
    fn add(&mut self, labels: Labels, more: f64) {
        let counters = &self.counters;
        let is_known = |labels: &Labels| counters.contains_key(labels);
        if let Some(labels) = labels.bounded(counters.len(), is_known) {
            *self.counters.entry(labels).or_default() += more;
        }
    }
}

#[cfg(test)]
#[path = "meter_tests.rs"]
mod tests;
