//! Which fleets are held, which of their lists are made known, and when a hold begins and ends.

use std::sync::Arc;

use jiff::Timestamp;

use crate::resources::{CortecsAccount, account::Hold, annotations};

use super::{
    brake::{self, Lists, Measure, Situation, explain, holds},
    controller::Context,
    directory::{Directory, State},
    fleet::Fleet,
    fleet_key::FleetKey,
    key::ObjectKey,
};

/// What becomes of a list.
pub(super) struct Admission {
    pub(super) admitted: bool,
    /// The accounts that have something to record.
    pub(super) wake: Vec<ObjectKey>,
}

impl Directory {
    /// Why the fleet is held, if it is: one account that holds it is enough.
    pub fn held(&self, key: &FleetKey) -> Option<String> {
        let (account, hold) = self.hold(key)?;
        Some(explain(&hold, &account.to_string()))
    }

    /// The hold of the fleet, and the first account that has it: also one that has other credentials by now.
    pub(super) fn hold(&self, key: &FleetKey) -> Option<(ObjectKey, Hold)> {
        let state = self.state();
        state
            .holders(key)
            .next()
            .map(|(account, hold)| (account.clone(), hold.clone()))
    }

    /// Whether each watch has listed its accounts once, so that every hold is known.
    pub(super) fn knows_holds(&self) -> bool {
        self.state().unlisted == Some(0)
    }

    /// Whether those who use the fleet have not been told of its hold, or of its end, yet.
    pub(super) fn hold_is_news(&self, key: &FleetKey, hold: Option<(ObjectKey, Hold)>) -> bool {
        let mut state = self.state();
        let record = state.fleets.get_mut(key);
        record.is_some_and(|r| std::mem::replace(&mut r.told_hold, hold.clone()) != hold)
    }

    /// Decides on a list of the fleet, before anybody else knows of it.
    pub(super) fn admit(&self, key: &FleetKey, measure: Measure) -> Admission {
        let mut state = self.state();
        let holders: Vec<ObjectKey> = state.holders(key).map(|(k, _)| k.clone()).collect();
        let members = state.members(key).map(|(k, _)| k.clone()).collect();
        let Some(record) = state.fleets.get_mut(key) else {
            return Admission {
                admitted: true,
                wake: Vec::new(),
            };
        };
        let trips = holders.is_empty() && measure.trips();
        record.trip = trips.then_some(measure);
        let releasing = !record.releasing.is_empty();
        let admitted = brake::may_be_known(measure, !holders.is_empty(), releasing);
        let wake = match trips {
            true => members,
            false if measure.returned() => holders,
            false => Vec::new(),
        };
        Admission { admitted, wake }
    }

    /// The mass change in the fleet that is to be recorded.
    pub(super) fn trip(&self, key: &FleetKey) -> Option<Measure> {
        self.state().fleets.get(key)?.trip
    }

    /// The hold of `account` on the fleet is about to be ended because what it is about is back.
    pub(super) fn begin_release(&self, key: &FleetKey, account: &ObjectKey) {
        if let Some(record) = self.state().fleets.get_mut(key) {
            record.releasing.insert(account.clone());
        }
    }

    /// It is not ended after all.
    pub(super) fn abandon_release(&self, account: &ObjectKey) {
        self.state().released(account);
    }

    /// Lists again where the last list was not made known.
    pub fn request_withheld(&self) {
        let fleets: Vec<Arc<Fleet>> = {
            let state = self.state();
            state
                .fleets
                .values()
                .map(|r| Arc::clone(&r.fleet))
                .collect()
        };
        fleets.iter().for_each(|fleet| fleet.request_withheld());
    }
}

/// The account's hold as it should be, and the order to resume that counts as handled. Where the hold is to be ended because
/// what it is about is back, no list that says otherwise is made known from here on, until that is recorded or
/// [abandoned](Directory::abandon_release).
pub(super) fn next_hold(
    context: &Context,
    account: &CortecsAccount,
    fleet: Option<&Fleet>,
    now: Timestamp,
) -> (Option<Hold>, Option<String>) {
    let directory = &context.directory;
    let key = ObjectKey::of(account);
    let status = account.status.as_ref();
    let hold = status.and_then(|s| s.hold.as_ref());
    let returned = hold.is_some_and(|hold| {
        let held = FleetKey::new(&hold.api_url, hold.client_id.as_str());
        directory.begin_release(&held, &key);
        let fleet = directory.fleet(&held);
        fleet.is_some_and(|fleet| is_back(context, &fleet))
    });
    if !returned {
        directory.abandon_release(&key);
    }
    let trip = fleet.map(Fleet::key);
    let trip = trip.and_then(|key| Some((key, directory.trip(key)?)));
    let situation = Situation {
        hold,
        last_handled_resume: status.and_then(|s| s.last_handled_resume.as_deref()),
        resume: annotations::value(account, annotations::RESUME),
        trip,
        returned,
    };
    brake::next_hold(situation, now)
}

/// Whether the newest list shows what should run. While one is looked at that nobody knows of yet, none is the newest.
fn is_back(context: &Context, fleet: &Fleet) -> bool {
    fleet.undisputed().is_some_and(|new| {
        let lists = Lists {
            fleet: fleet.key(),
            old: None,
            new: &new,
        };
        context.claims.measure(lists).returned()
    })
}

/// Why the fleet is held, for the account with this hold of its own.
pub(super) fn why_held(
    directory: &Directory,
    fleet: &FleetKey,
    account: &ObjectKey,
    own: Option<&Hold>,
) -> Option<String> {
    if let Some(hold) = own.filter(|hold| holds(hold, fleet)) {
        return Some(explain(hold, &account.to_string()));
    }
    let (holder, hold) = directory.hold(fleet)?;
    (holder != *account).then(|| explain(&hold, &holder.to_string()))
}

impl State {
    fn holders(&self, key: &FleetKey) -> impl Iterator<Item = (&ObjectKey, &Hold)> {
        self.accounts.iter().filter_map(move |(account, record)| {
            let hold = record.entry.hold.as_ref()?;
            holds(hold, key).then_some((account, hold))
        })
    }

    /// A hold begins or ends: what is decided by it is decided by a new list.
    pub(super) fn hold_changed(&self, hold: Option<&Hold>) {
        let key = hold.map(|hold| FleetKey::new(&hold.api_url, hold.client_id.as_str()));
        if let Some(record) = key.and_then(|key| self.fleets.get(&key)) {
            record.fleet.request_list();
        }
    }

    /// Nobody waits for the end of this account's hold any more.
    pub(super) fn released(&mut self, account: &ObjectKey) {
        for record in self.fleets.values_mut() {
            record.releasing.remove(account);
        }
    }
}
