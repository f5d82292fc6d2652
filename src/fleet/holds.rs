//! Part of the directory: which fleets are on hold, which of their lists are published, and when a hold begins and ends.

use std::sync::Arc;

use cortecs_clock as clock;
use cortecs_resources::{CortecsAccount, account::Hold, key::ObjectKey};
use cortecs_rules::{
    account::{
        brake::{self, Measure, Past, explain, explain_unrecorded, holds},
        hold_record::HoldRecord,
    },
    facts::{fleet_key::FleetKey, snapshot::Snapshot},
};
use jiff::Timestamp;

use super::{
    admission::{Admission, Measurement},
    directory::{Directory, State},
};

impl Directory {
    /// The message why the fleet is on hold, if it is. The hold of one account is enough.
    pub fn hold_message(&self, key: &FleetKey) -> Option<String> {
        if let Some((account, hold)) = self.hold(key) {
            return Some(explain(&hold, &account.to_string()));
        }
        let state = self.state();
        let unrecorded = state.fleets.get(key)?.brake.unrecorded.as_ref();
        let has_account = state.members(key).next().is_some();
        unrecorded.map(|hold| explain_unrecorded(hold, has_account))
    }

    /// The record of the account's holds.
    pub(crate) fn hold_record(&self, account: &ObjectKey) -> HoldRecord {
        let state = self.state();
        let record = state.accounts.get(account);
        record.map(|r| r.holds.clone()).unwrap_or_default()
    }

    /// Whether this version of the account lacks the hold that it should have. The status then has to be written again.
    pub(crate) fn has_lost_hold(&self, account: &CortecsAccount) -> bool {
        let status = account.status.as_ref();
        status.is_none_or(|s| s.hold.is_none())
            && self.hold_record(&ObjectKey::of(account)).hold.is_some()
    }

    /// Notes that the end of the account's hold is about to be written.
    pub(crate) fn mark_ending(&self, account: &ObjectKey) {
        if let Some(record) = self.state().accounts.get_mut(account) {
            record.ending.clone_from(&record.holds.hold);
        }
    }

    /// The orders and the earlier holds of the fleet.
    pub(crate) fn past(&self, key: &FleetKey) -> Past {
        let state = self.state();
        let record = state.fleets.get(key);
        Past {
            stop: state.stop_order(key),
            released: state
                .members(key)
                .filter_map(|(_, r)| r.holds.ended_at)
                .max(),
            excused: record
                .map(|r| Arc::clone(&r.brake.excused))
                .unwrap_or_default(),
        }
    }

    /// Excuses the instances that are down in the newest list: the order to resume accepts their loss.
    pub(crate) fn excuse(&self, key: &FleetKey) {
        if let Some(record) = self.state().fleets.get_mut(key) {
            record.brake.excused = Arc::new(record.brake.down.clone());
        }
    }

    /// Ends a hold without an account, if the list that was just published shows no mass change.
    pub(crate) fn end_unrecorded(&self, key: &FleetKey) {
        if let Some(record) = self.state().fleets.get_mut(key)
            && record.brake.over
        {
            record.brake.unrecorded = None;
        }
    }

    /// The hold of the fleet and the first account with it. The account may have other credentials by now.
    pub(crate) fn hold(&self, key: &FleetKey) -> Option<(ObjectKey, Hold)> {
        let state = self.state();
        state
            .holds_of(key)
            .next()
            .map(|(account, hold)| (account.clone(), hold.clone()))
    }

    /// Whether all holds are known: each watch has received its first list.
    pub(crate) fn knows_holds(&self) -> bool {
        self.state().unlisted == Some(0)
    }

    /// Records the hold that accounts and resources are enqueued for. Whether it differs from the one before.
    pub(crate) fn set_shown_hold(&self, key: &FleetKey, hold: Option<(ObjectKey, Hold)>) -> bool {
        let mut state = self.state();
        let record = state.fleets.get_mut(key);
        record.is_some_and(|r| std::mem::replace(&mut r.shown_hold, hold.clone()) != hold)
    }

    /// Decides whether a new list of the fleet is published.
    pub(crate) fn admit(
        &self,
        key: &FleetKey,
        list: &Snapshot,
        measurement: Measurement,
        wall: Timestamp,
    ) -> Admission {
        let Measurement { measure, down } = measurement;
        let mut state = self.state();
        let accounts_on_hold: Vec<ObjectKey> =
            state.holds_of(key).map(|(k, _)| k.clone()).collect();
        let members = state.member_keys(key);
        let Some(record) = state.fleets.get_mut(key) else {
            return Admission {
                admitted: true,
                enqueue: Vec::new(),
            };
        };
        let brake = &mut record.brake;
        let on_hold = !accounts_on_hold.is_empty();
        let trips = brake::is_unrecorded(measure, on_hold, brake.unrecorded.is_some());
        // Without an account to write to, nothing would ever record the mass change and end the withholding.
        let recordable = self.inner.records_holds && !members.is_empty();
        brake.trip = (trips && recordable).then_some(measure);
        if trips && !recordable {
            let begin = || brake::begin(key, measure, wall);
            brake.unrecorded.get_or_insert_with(begin);
        }
        brake.over = !trips;
        brake.down = down;
        if !on_hold && !brake.excused.is_empty() {
            let excused = Arc::make_mut(&mut brake.excused);
            excused.retain(|id| !brake::is_up_in(list, id));
        }
        let releasing = !brake.releasing.is_empty();
        let admitted = match trips {
            true => !recordable,
            false => brake::may_be_known(measure, on_hold, releasing),
        };
        let enqueue = match trips {
            true => members,
            false if measure.returned() => accounts_on_hold,
            false => Vec::new(),
        };
        Admission { admitted, enqueue }
    }

    /// The mass change in the fleet that an account has to record.
    pub(crate) fn trip(&self, key: &FleetKey) -> Option<Measure> {
        self.state().fleets.get(key)?.brake.trip
    }

    /// Notes that the hold of `account` is about to end because the instances of the fleet are back.
    pub(crate) fn begin_release(&self, key: &FleetKey, account: &ObjectKey) {
        if let Some(record) = self.state().fleets.get_mut(key) {
            record.brake.releasing.insert(account.clone());
        }
    }

    /// Notes that the hold of `account` does not end after all.
    pub(crate) fn abandon_release(&self, account: &ObjectKey) {
        self.state().end_release(account);
    }

    /// Requests a list of each fleet whose last list is withheld.
    pub fn request_withheld(&self) {
        self.fleets()
            .iter()
            .for_each(|fleet| fleet.request_withheld());
    }
}

/// The fleet that the hold is about.
pub(crate) fn fleet_of(hold: &Hold) -> FleetKey {
    FleetKey::new(&hold.api_url, hold.client_id.as_str())
}

impl State {
    fn holds_of(&self, key: &FleetKey) -> impl Iterator<Item = (&ObjectKey, &Hold)> {
        self.accounts.iter().filter_map(move |(account, record)| {
            let hold = record.entry.hold.as_ref()?;
            holds(hold, key).then_some((account, hold))
        })
    }

    /// Requests a list after the beginning or end of a hold: decisions need a list that is newer than the change.
    pub(crate) fn hold_changed(&self, hold: Option<&Hold>) {
        let key = hold.map(fleet_of);
        if let Some(record) = key.and_then(|key| self.fleets.get(&key)) {
            record.fleet.request_list_after(clock::moment());
        }
    }

    /// The account that recorded this hold is gone. The fleet stays on hold until a list shows that nothing is lost.
    pub(crate) fn keep_hold(&mut self, hold: &Hold) {
        if let Some(record) = self.fleets.get_mut(&fleet_of(hold)) {
            record.brake.unrecorded.get_or_insert_with(|| hold.clone());
            record.brake.over = false;
        }
    }

    /// Clears the marks that this account's hold is about to end.
    pub(crate) fn end_release(&mut self, account: &ObjectKey) {
        for record in self.fleets.values_mut() {
            record.brake.releasing.remove(account);
        }
        if let Some(record) = self.accounts.get_mut(account) {
            record.ending = None;
        }
    }
}

#[cfg(test)]
#[path = "holds_tests.rs"]
mod tests;
