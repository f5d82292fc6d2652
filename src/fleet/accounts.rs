//! Part of the directory: accounts from the watch.

use std::{collections::BTreeSet, sync::Arc};

use cortecs_resources::{CortecsAccount, account::AccountMode, decode::Decoded, key::ObjectKey};
use cortecs_rules::{
    facts::account_entry::{AccountEntry, AccountState},
    ledger::book::Scope,
};
use kube::ResourceExt;

use super::directory::{Directory, Record, State};

impl Directory {
    /// The account as it counts: of one that cannot be decoded, the spec that was known before still does.
    pub(crate) fn effective(&self, decoded: &Decoded<CortecsAccount>) -> Arc<CortecsAccount> {
        let Some(problem) = &decoded.problem else {
            return Arc::clone(&decoded.object);
        };
        let mut account = (*decoded.object).clone();
        let state = self.state();
        let known = state.accounts.get(&ObjectKey::of(&account));
        let known = known.filter(|record| record.uid == account.uid());
        match known {
            Some(record) => account.spec = record.entry.spec.clone(),
            None if problem.lacks("spec.mode") => account.spec.mode = AccountMode::Hold,
            None => {}
        }
        Arc::new(account)
    }

    /// Inserts or updates an account from the watch. Whether its entry has changed.
    pub(crate) fn upsert(&self, account: &CortecsAccount, unreadable: Option<String>) -> bool {
        let key = ObjectKey::of(account);
        let mut entry = AccountEntry {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            spec: account.spec.clone(),
            deleting: account.metadata.deletion_timestamp.is_some(),
            hold: None,
            stop_all: account.status.as_ref().and_then(|s| s.stop_all.clone()),
            managed_by: account.status.as_ref().and_then(|s| s.managed_by.clone()),
            unreadable,
            state: AccountState::Pending,
        };
        let mut state = self.state();
        let known = state.accounts.get(&key);
        let ending = known.and_then(|record| record.ending.as_ref());
        let holds = known.map(|record| record.holds.clone());
        let holds = holds
            .unwrap_or_default()
            .followed_by(account.status.as_ref(), ending);
        entry.hold.clone_from(&holds.hold);
        let Some(record) = state.accounts.get_mut(&key) else {
            let record = Record {
                uid: account.uid(),
                entry: Arc::new(entry),
                credentials: None,
                read_at: None,
                fleet: None,
                holds,
                ending: None,
                recorded: Arc::default(),
            };
            let hold = record.entry.hold.clone();
            state.accounts.insert(key, record);
            state.hold_changed(hold.as_ref());
            return true;
        };
        record.holds = holds;
        let before = record.fleet.clone();
        if record.is_of(account) {
            entry.state = record.entry.state.clone();
        } else {
            record.uid = account.uid();
            record.credentials = None;
            record.read_at = None;
            record.fleet = None;
        }
        let changed = *record.entry != entry;
        let (old, new) = (record.entry.hold.clone(), entry.hold.clone());
        if changed {
            record.entry = Arc::new(entry);
        }
        if old != new {
            state.end_release(&key);
            state.hold_changed(old.as_ref());
            state.hold_changed(new.as_ref());
        }
        if let Some(fleet) = before {
            state.refresh(&fleet);
        }
        changed
    }

    /// Removes an account that is gone. Whether the directory had the account.
    pub(crate) fn remove(&self, key: &ObjectKey) -> bool {
        let mut state = self.state();
        let Some(record) = state.accounts.remove(key) else {
            return false;
        };
        if let Some(fleet) = &record.fleet {
            state.refresh(fleet);
        }
        state.end_release(key);
        if let Some(hold) = &record.entry.hold {
            state.keep_hold(hold);
        }
        state.hold_changed(record.entry.hold.as_ref());
        state.unchecked.remove(key);
        self.update_synced(&state);
        true
    }

    /// Sets how many watches are going to call [`Self::end_listing`].
    pub(crate) fn expect_watches(&self, watches: usize) {
        let mut state = self.state();
        state.unlisted = Some(watches);
        self.update_synced(&state);
    }

    /// Ends a list of the watch of `scope`, which has the accounts `present`. Removes the other accounts of `scope` and returns them.
    pub(crate) fn end_listing(
        &self,
        scope: &Scope,
        present: &BTreeSet<ObjectKey>,
    ) -> Vec<ObjectKey> {
        let gone: Vec<ObjectKey> = {
            let mut state = self.state();
            if state.listed.insert(scope.clone()) {
                state.unlisted = state.unlisted.map(|n| n.saturating_sub(1));
                let State {
                    accounts,
                    unchecked: still_unchecked,
                    ..
                } = &mut *state;
                let unchecked = |key: &&ObjectKey| {
                    accounts
                        .get(key)
                        .is_some_and(|r| r.entry.state == AccountState::Pending)
                };
                still_unchecked.extend(present.iter().filter(unchecked).cloned());
                self.update_synced(&state);
            }
            let watched =
                |key: &&ObjectKey| scope.as_ref().is_none_or(|scope| *scope == key.namespace);
            let known = state.accounts.keys().filter(watched);
            known
                .filter(|key| !present.contains(key))
                .cloned()
                .collect()
        };
        for key in &gone {
            self.remove(key);
        }
        gone
    }
}
