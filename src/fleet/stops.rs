//! Part of the directory: `mode: StopAll`. Which accounts order to stop everything, and what came of the calls.

use std::{collections::BTreeSet, sync::Arc};

use cortecs_resources::{
    account::{AccountMode, ManagedBy},
    key::ObjectKey,
    stop_all::StopAll,
    unmanaged::LateStartPolicy,
};
use cortecs_rules::{
    account::{
        stop_all::{Calls, is_about},
        stop_parties::Party,
    },
    facts::{fleet_key::FleetKey, stop_order::StopOrder},
};

use super::{
    directory::{Directory, State},
    poll::Fleet,
};

impl Directory {
    /// The order to stop everything in the fleet, as the accounts record it.
    pub fn stop_order(&self, key: &FleetKey) -> Option<StopOrder> {
        self.state().stop_order(key)
    }

    /// The accounts that a stop of everything in the fleet concerns: its members, those that may have its client id, and `homes`: the
    /// accounts through which resources have instances that would be stopped, whatever client id they have by now.
    pub(crate) fn stop_parties(
        &self,
        key: &FleetKey,
        homes: &BTreeSet<ObjectKey>,
        us: &ManagedBy,
    ) -> Vec<Party> {
        let state = self.state();
        let parties = state.accounts.iter().filter_map(|(account, record)| {
            let entry = &record.entry;
            let is_member = record.fleet.as_ref() == Some(key);
            let is_home = homes.contains(account);
            let here = || FleetKey::new(&entry.spec.api_url, key.client_id.as_str()) == *key;
            let may_be = record.fleet.is_none() && entry.state.is_passing() && here();
            (is_member || is_home || may_be).then(|| Party {
                key: account.clone(),
                mode: entry.spec.mode,
                sharing: entry.spec.sharing,
                is_managed_here: entry.managed_by.as_ref() == Some(us),
                is_checked: is_member || is_home,
            })
        });
        parties.collect()
    }

    /// Whether accounts other than these have the API URL of the fleet, and so may have instances of the same owner.
    pub(crate) fn has_others_at(&self, key: &FleetKey, parties: &[Party]) -> bool {
        let state = self.state();
        state.accounts.iter().any(|(account, record)| {
            let here = || FleetKey::new(&record.entry.spec.api_url, key.client_id.as_str()) == *key;
            !parties.iter().any(|party| party.key == *account) && here()
        })
    }

    /// The fleet that the account is a member of.
    pub(crate) fn fleet_of_member(&self, account: &ObjectKey) -> Option<Arc<Fleet>> {
        let state = self.state();
        let key = state.accounts.get(account)?.fleet.as_ref()?;
        state.fleets.get(key).map(|r| Arc::clone(&r.fleet))
    }

    /// The record in the status of this account of what it has ordered to stop.
    pub(crate) fn stop_record(&self, account: &ObjectKey) -> Option<StopAll> {
        self.state().accounts.get(account)?.entry.stop_all.clone()
    }

    /// What this process remembers of the calls in the fleet.
    pub(crate) fn stop_calls(&self, key: &FleetKey) -> Calls {
        let state = self.state();
        let record = state.fleets.get(key);
        record.map(|r| r.stop_calls.clone()).unwrap_or_default()
    }

    /// Changes what this process remembers of the calls in the fleet.
    pub(crate) fn change_stop_calls(&self, key: &FleetKey, change: impl FnOnce(&mut Calls)) {
        if let Some(record) = self.state().fleets.get_mut(key) {
            change(&mut record.stop_calls);
        }
    }

    /// The accounts that look at each list of the fleet: they order to stop everything or have done so, or delete late instances.
    pub(crate) fn attentive(&self, key: &FleetKey) -> Vec<ObjectKey> {
        let state = self.state();
        let is_idle = state.fleets.get(key).is_none_or(|r| r.late.is_idle());
        let members = state.members(key).filter(|(_, record)| {
            let entry = &record.entry;
            let deletes = entry.spec.late_start_policy == LateStartPolicy::Delete;
            entry.spec.mode == AccountMode::StopAll
                || entry.stop_all.is_some()
                || (deletes && !is_idle)
        });
        members.map(|(account, _)| account.clone()).collect()
    }
}

impl State {
    /// The order to stop everything in the fleet. An account may have other credentials by now.
    pub(crate) fn stop_order(&self, key: &FleetKey) -> Option<StopOrder> {
        let records = self.accounts.values();
        let records = records.filter_map(|record| record.entry.stop_all.as_ref());
        let ends = records.filter(|r| is_about(r, key)).map(|r| r.end_time);
        // An order that goes on counts as one that ends last.
        let last = ends.max_by_key(|end| (end.is_none(), *end));
        last.map(|ended| StopOrder { ended })
    }
}
