//! Which fleets are held, which of their lists are made known, and when a hold begins and ends.

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
    admission::Found,
    directory::{Directory, State},
};
use crate::fleet::admission::Admission;

impl Directory {
    /// Why the fleet is held, if it is: one account that holds it is enough.
    pub fn held(&self, key: &FleetKey) -> Option<String> {
        if let Some((account, hold)) = self.hold(key) {
            return Some(explain(&hold, &account.to_string()));
        }
        let state = self.state();
        let unrecorded = state.fleets.get(key)?.brake.unrecorded.as_ref();
        unrecorded.map(explain_unrecorded)
    }

    /// What is known of the account's holds.
    pub(crate) fn hold_record(&self, account: &ObjectKey) -> HoldRecord {
        let state = self.state();
        let record = state.accounts.get(account);
        record.map(|r| r.holds.clone()).unwrap_or_default()
    }

    /// Whether somebody took the hold out of this version of the account: it is to be put back.
    pub(crate) fn has_lost_hold(&self, account: &CortecsAccount) -> bool {
        let status = account.status.as_ref();
        status.is_none_or(|s| s.hold.is_none())
            && self.hold_record(&ObjectKey::of(account)).hold.is_some()
    }

    /// The end of the account's hold is about to be written.
    pub(crate) fn begin_end(&self, account: &ObjectKey) {
        if let Some(record) = self.state().accounts.get_mut(account) {
            record.ending.clone_from(&record.holds.hold);
        }
    }

    /// How the fleet was held before.
    pub(crate) fn past(&self, key: &FleetKey) -> Past {
        let state = self.state();
        let record = state.fleets.get(key);
        Past {
            released: state
                .members(key)
                .filter_map(|(_, r)| r.holds.ended_at)
                .max(),
            excused: record
                .map(|r| Arc::clone(&r.brake.excused))
                .unwrap_or_default(),
        }
    }

    /// What is down in the fleet by its newest list is meant by the order to resume.
    pub(crate) fn excuse(&self, key: &FleetKey) {
        if let Some(record) = self.state().fleets.get_mut(key) {
            record.brake.excused = Arc::new(record.brake.down.clone());
        }
    }

    /// The hold that nobody could record is over, if the list that has just been made known says so.
    pub(crate) fn end_unrecorded(&self, key: &FleetKey) {
        if let Some(record) = self.state().fleets.get_mut(key)
            && record.brake.over
        {
            record.brake.unrecorded = None;
        }
    }

    /// The hold of the fleet, and the first account that has it: also one that has other credentials by now.
    pub(crate) fn hold(&self, key: &FleetKey) -> Option<(ObjectKey, Hold)> {
        let state = self.state();
        state
            .holders(key)
            .next()
            .map(|(account, hold)| (account.clone(), hold.clone()))
    }

    /// Whether each watch has listed its accounts once, so that every hold is known.
    pub(crate) fn knows_holds(&self) -> bool {
        self.state().unlisted == Some(0)
    }

    /// Whether those who use the fleet have not been told of its hold, or of its end, yet.
    pub(crate) fn hold_is_news(&self, key: &FleetKey, hold: Option<(ObjectKey, Hold)>) -> bool {
        let mut state = self.state();
        let record = state.fleets.get_mut(key);
        record.is_some_and(|r| std::mem::replace(&mut r.told_hold, hold.clone()) != hold)
    }

    /// Decides on a list of the fleet, before anybody else knows of it.
    pub(crate) fn admit(
        &self,
        key: &FleetKey,
        list: &Snapshot,
        found: Found,
        wall: Timestamp,
    ) -> Admission {
        let measure = found.measure;
        let mut state = self.state();
        let holders: Vec<ObjectKey> = state.holders(key).map(|(k, _)| k.clone()).collect();
        let members = state.member_keys(key);
        let Some(record) = state.fleets.get_mut(key) else {
            return Admission {
                admitted: true,
                wake: Vec::new(),
            };
        };
        let brake = &mut record.brake;
        let held = !holders.is_empty();
        let trips = brake::is_unrecorded(measure, held, brake.unrecorded.is_some());
        // To put a list aside until nobody records what it shows would be for ever.
        let recordable = !members.is_empty();
        brake.trip = (trips && recordable).then_some(measure);
        if trips && !recordable {
            let begin = || brake::begin(key, measure, wall);
            brake.unrecorded.get_or_insert_with(begin);
        }
        brake.over = !trips;
        brake.down = found.down;
        if !held && !brake.excused.is_empty() {
            let excused = Arc::make_mut(&mut brake.excused);
            excused.retain(|id| !brake::is_up_in(list, id));
        }
        let releasing = !brake.releasing.is_empty();
        let admitted = match trips {
            true => !recordable,
            false => brake::may_be_known(measure, held, releasing),
        };
        let wake = match trips {
            true => members,
            false if measure.returned() => holders,
            false => Vec::new(),
        };
        Admission { admitted, wake }
    }

    /// The mass change in the fleet that is to be recorded.
    pub(crate) fn trip(&self, key: &FleetKey) -> Option<Measure> {
        self.state().fleets.get(key)?.brake.trip
    }

    /// The hold of `account` on the fleet is about to be ended because what it is about is back.
    pub(crate) fn begin_release(&self, key: &FleetKey, account: &ObjectKey) {
        if let Some(record) = self.state().fleets.get_mut(key) {
            record.brake.releasing.insert(account.clone());
        }
    }

    /// It is not ended after all.
    pub(crate) fn abandon_release(&self, account: &ObjectKey) {
        self.state().released(account);
    }

    /// Lists again where the last list was not made known.
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
    fn holders(&self, key: &FleetKey) -> impl Iterator<Item = (&ObjectKey, &Hold)> {
        self.accounts.iter().filter_map(move |(account, record)| {
            let hold = record.entry.hold.as_ref()?;
            holds(hold, key).then_some((account, hold))
        })
    }

    /// A hold begins or ends: what is decided by it is decided by a new list.
    pub(crate) fn hold_changed(&self, hold: Option<&Hold>) {
        let key = hold.map(fleet_of);
        if let Some(record) = key.and_then(|key| self.fleets.get(&key)) {
            record.fleet.request_list_after(clock::moment());
        }
    }

    /// Nobody waits for the end of this account's hold any more.
    pub(crate) fn released(&mut self, account: &ObjectKey) {
        for record in self.fleets.values_mut() {
            record.brake.releasing.remove(account);
        }
        if let Some(record) = self.accounts.get_mut(account) {
            record.ending = None;
        }
    }
}
