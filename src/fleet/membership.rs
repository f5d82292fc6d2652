//! Which accounts belong to which fleet, and what they are told of it.

use std::sync::Arc;

use cortecs_api::Credentials;
use cortecs_resources::{CortecsAccount, key::ObjectKey};
use cortecs_rules::{
    account::summary::Summary,
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
    /// Makes `account` a member of the fleet, which `make` makes if there is none, and of no other. `None` if there is one with
    /// another secret: see [`Self::join_with`].
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
                troubled: false,
                told_hold: None,
                brake: FleetBrake::default(),
            };
            state.fleets.insert(key.clone(), record);
        }
        state.attach(account, key);
        Ok(state.fleets.get(key).map(|r| Arc::clone(&r.fleet)))
    }

    /// Makes `account` a member of the fleet with credentials of its own that the API has just accepted. They replace the fleet's if
    /// those are refused, or no other member has them. Those members that had other credentials must then prove theirs: they are
    /// returned.
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
        let held_by_another = state.members(key).any(|(member, record)| {
            let held = record.credentials.as_ref();
            *member != this && held.is_some_and(|held| fleet.client().uses(held))
        });
        let mut doubted = Vec::new();
        if fleet.health().authentication_failed || !held_by_another {
            fleet.set_credentials(credentials.clone());
            for (member, record) in &mut state.accounts {
                let differs = record.credentials.as_ref() != Some(credentials);
                if *member != this && record.fleet.as_ref() == Some(key) && differs {
                    record.fleet = None;
                    record.read_at = None;
                    record.set_state(AccountState::Pending);
                    doubted.push(member.clone());
                }
            }
        }
        state.attach(account, key);
        doubted
    }

    /// Another operator manages the account: it is a member of no fleet any more, and its Secret is forgotten.
    pub(crate) fn leave(&self, account: &ObjectKey) {
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

    /// What the last list of the fleet amounts to, once that is known.
    pub(crate) fn summary(&self, key: &FleetKey) -> Option<Summary> {
        self.state().fleets.get(key)?.summary.clone()
    }

    /// Notes what a good list says. The accounts to wake: none while nothing has changed.
    pub(crate) fn summarized(&self, key: &FleetKey, summary: Option<Summary>) -> Vec<ObjectKey> {
        let mut state = self.state();
        let Some(record) = state.fleets.get_mut(key) else {
            return Vec::new();
        };
        let recovered = std::mem::take(&mut record.troubled);
        let news = summary.is_some_and(|summary| {
            let before = record.summary.replace(summary);
            before != record.summary
        });
        if !recovered && !news {
            return Vec::new();
        }
        state.member_keys(key)
    }

    /// Notes that the accounts of the fleet are told of a failure, so that they are told of its end too.
    pub(crate) fn troubled(&self, key: &FleetKey) -> Vec<ObjectKey> {
        let mut state = self.state();
        if let Some(record) = state.fleets.get_mut(key) {
            record.troubled = true;
        }
        state.member_keys(key)
    }

    /// Lets go of the fleets that no account has and nothing is bound in.
    pub(crate) fn prune(&self, claims: &dyn Claims) {
        if !claims.synced() {
            return;
        }
        let unused: Vec<FleetKey> = {
            let state = self.state();
            let keys = state.fleets.keys();
            keys.filter(|key| state.members(key).next().is_none())
                .cloned()
                .collect()
        };
        for key in unused.iter().filter(|key| !claims.fleet_in_use(key)) {
            let mut state = self.state();
            if state.members(key).next().is_none()
                && let Some(record) = state.fleets.remove(key)
            {
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
