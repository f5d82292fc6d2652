//! Part of the directory: which accounts belong to which fleet.

use std::{collections::BTreeSet, sync::Arc};

use cortecs_api::Credentials;
use cortecs_resources::{CortecsAccount, key::ObjectKey};
use cortecs_rules::{
    account::{late_starts::Late, stop_all::Calls, summary::Summary},
    facts::{account_entry::AccountState, fleet_key::FleetKey},
    pacing::schedule::PollSettings,
};

use super::{
    admission::FleetBrake,
    api_calls::ApiObserver,
    directory::{Directory, FleetRecord, State},
    hooks::Claims,
    poll::Fleet,
};

impl Directory {
    /// Makes `account` a member of this fleet only; `make` makes the fleet if there is none. `None` if the fleet has another client
    /// secret: see [`Self::join_with`].
    pub(crate) fn join<E>(
        &self,
        account: &CortecsAccount,
        key: &FleetKey,
        credentials: &Credentials,
        make: impl FnOnce(PollSettings) -> Result<(Fleet, Arc<ApiObserver>), E>,
    ) -> Result<Option<Arc<Fleet>>, E> {
        let mut state = self.state();
        if let Some(record) = state.fleets.get(key) {
            if !record.fleet.client().uses(credentials) {
                return Ok(None);
            }
        } else {
            let (fleet, observer) = make(PollSettings::from(&account.spec.poll))?;
            let record = FleetRecord {
                fleet: Arc::new(fleet),
                observer,
                summary: None,
                failure_shown: false,
                shown_hold: None,
                brake: FleetBrake::default(),
                stop_calls: Calls::default(),
                late: Late::default(),
            };
            state.fleets.insert(key.clone(), record);
        }
        state.attach(account, key);
        Ok(state.fleets.get(key).map(|r| Arc::clone(&r.fleet)))
    }

    /// Makes `account` a member of the fleet with other credentials, which the API has just accepted. They replace the credentials of
    /// the fleet if the API refuses those, or no other member has them. After a replacement, members with other credentials leave
    /// the fleet until their credentials are verified: these members are returned.
    pub(crate) fn join_with(
        &self,
        account: &CortecsAccount,
        key: &FleetKey,
        credentials: &Credentials,
    ) -> Vec<ObjectKey> {
        let this = ObjectKey::of(account);
        let mut state = self.state();
        let Some(record) = state.fleets.get(key) else {
            return Vec::new();
        };
        let fleet = Arc::clone(&record.fleet);
        let another_has_them = state.members(key).any(|(member, record)| {
            let credentials = record.credentials.as_ref();
            *member != this && credentials.is_some_and(|own| fleet.client().uses(own))
        });
        let mut unverified = Vec::new();
        if fleet.health().authentication_failed || !another_has_them {
            fleet.set_credentials(credentials.clone());
            for (member, record) in &mut state.accounts {
                let differs = record.credentials.as_ref() != Some(credentials);
                if *member != this && record.fleet.as_ref() == Some(key) && differs {
                    record.fleet = None;
                    record.read_at = None;
                    record.set_state(AccountState::Pending);
                    unverified.push(member.clone());
                }
            }
        }
        state.attach(account, key);
        unverified
    }

    /// Removes the account from its fleet and drops its credentials: another operator manages the account.
    pub(crate) fn leave_fleet(&self, account: &ObjectKey) {
        let mut state = self.state();
        let Some(record) = state.accounts.get_mut(account) else {
            return;
        };
        record.credentials = None;
        record.read_at = None;
        if let Some(fleet) = record.fleet.take() {
            state.refresh(&fleet);
        }
    }

    /// The summary of the last list of the fleet.
    pub(crate) fn summary(&self, key: &FleetKey) -> Option<Summary> {
        self.state().fleets.get(key)?.summary.clone()
    }

    /// Records the summary of a list. Returns the accounts to reconcile: none without a change.
    pub(crate) fn set_summary(&self, key: &FleetKey, summary: Option<Summary>) -> Vec<ObjectKey> {
        let mut state = self.state();
        let Some(record) = state.fleets.get_mut(key) else {
            return Vec::new();
        };
        let recovered = std::mem::take(&mut record.failure_shown);
        let changed = summary.is_some_and(|summary| {
            let before = record.summary.replace(summary);
            before != record.summary
        });
        if !recovered && !changed {
            return Vec::new();
        }
        state.member_keys(key)
    }

    /// Returns the accounts of the fleet, to be reconciled to show a failure, and notes this for [`Self::set_summary`].
    pub(crate) fn show_failure(&self, key: &FleetKey) -> Vec<ObjectKey> {
        let mut state = self.state();
        if let Some(record) = state.fleets.get_mut(key) {
            record.failure_shown = true;
        }
        state.member_keys(key)
    }

    /// Removes the fleets without accounts in which no resource has an instance or an open start, but resources whose accounts this
    /// operator leaves to another one: it must not go on listing with the other's credentials.
    pub(crate) fn prune(&self, claims: &dyn Claims) {
        if !claims.synced() {
            return;
        }
        let (unused, left): (Vec<FleetKey>, BTreeSet<ObjectKey>) = {
            let state = self.state();
            let keys = state.fleets.keys();
            let unused = keys.filter(|key| state.members(key).next().is_none());
            let accounts = state.accounts.iter();
            let left = accounts.filter(|(_, record)| record.entry.state.is_elsewhere());
            (
                unused.cloned().collect(),
                left.map(|(key, _)| key.clone()).collect(),
            )
        };
        let unused = unused.iter();
        for key in unused.filter(|key| !claims.fleet_in_use(key, &left)) {
            let mut state = self.state();
            if state.members(key).next().is_none()
                && let Some(record) = state.fleets.remove(key)
            {
                tracing::info!(fleet = %key, "the fleet is listed no more");
                record.fleet.stop();
            }
        }
    }
}

impl State {
    fn attach(&mut self, account: &CortecsAccount, key: &FleetKey) {
        let Some(record) = self.accounts.get_mut(&ObjectKey::of(account)) else {
            return;
        };
        if !record.is_of(account) {
            return;
        }
        let before = record.fleet.replace(key.clone());
        if let Some(before) = before.filter(|before| before != key) {
            self.refresh(&before);
        }
        self.refresh(key);
    }
}
