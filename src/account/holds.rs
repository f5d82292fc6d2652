//! Which fleets are held, which of their lists are made known, and when a hold begins and ends.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use crate::resources::{CortecsAccount, account::Hold, annotations};

use super::{
    brake::{self, Lists, Measure, Past, Situation, explain, explain_unrecorded, holds},
    controller::Context,
    directory::{Directory, State},
    fleet::Fleet,
    fleet_key::FleetKey,
    hold_record::HoldRecord,
    key::ObjectKey,
    snapshot::Snapshot,
};

/// What the brake remembers of a fleet.
#[derive(Default)]
pub(super) struct FleetBrake {
    /// A mass change that no account has recorded yet: what its list says is not made known.
    trip: Option<Measure>,
    /// A mass change that there was no account to record: it holds as long as lists show it.
    unrecorded: Option<Hold>,
    /// The newest list does not show it any more.
    over: bool,
    /// The accounts whose hold is being ended because what it is about is back.
    releasing: BTreeSet<ObjectKey>,
    /// What the newest list shows as lost, while that matters.
    down: BTreeSet<String>,
    /// What was lost when a person ordered to resume, and has not been seen to run since.
    excused: Arc<BTreeSet<String>>,
}

/// What a list shows.
pub(super) struct Found {
    pub(super) measure: Measure,
    /// The instances that it lacks or shows as stopped; asked for only where the fleet is held, or is about to be.
    pub(super) down: BTreeSet<String>,
}

/// What becomes of a list.
pub(super) struct Admission {
    pub(super) admitted: bool,
    /// The accounts that have something to record.
    pub(super) wake: Vec<ObjectKey>,
}

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
    pub(super) fn hold_record(&self, account: &ObjectKey) -> HoldRecord {
        let state = self.state();
        let record = state.accounts.get(account);
        record.map(|r| r.holds.clone()).unwrap_or_default()
    }

    /// Whether somebody took the hold out of this version of the account: it is to be put back.
    pub(super) fn has_lost_hold(&self, account: &CortecsAccount) -> bool {
        let status = account.status.as_ref();
        status.is_none_or(|s| s.hold.is_none())
            && self.hold_record(&ObjectKey::of(account)).hold.is_some()
    }

    /// The end of the account's hold is about to be written.
    pub(super) fn begin_end(&self, account: &ObjectKey) {
        if let Some(record) = self.state().accounts.get_mut(account) {
            record.ending.clone_from(&record.holds.hold);
        }
    }

    /// How the fleet was held before.
    pub(super) fn past(&self, key: &FleetKey) -> Past {
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
    fn excuse(&self, key: &FleetKey) {
        if let Some(record) = self.state().fleets.get_mut(key) {
            record.brake.excused = Arc::new(record.brake.down.clone());
        }
    }

    /// The hold that nobody could record is over, if the list that has just been made known says so.
    pub(super) fn end_unrecorded(&self, key: &FleetKey) {
        if let Some(record) = self.state().fleets.get_mut(key)
            && record.brake.over
        {
            record.brake.unrecorded = None;
        }
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
    pub(super) fn admit(
        &self,
        key: &FleetKey,
        list: &Snapshot,
        found: Found,
        wall: Timestamp,
    ) -> Admission {
        let measure = found.measure;
        let mut state = self.state();
        let holders: Vec<ObjectKey> = state.holders(key).map(|(k, _)| k.clone()).collect();
        let members: Vec<ObjectKey> = state.members(key).map(|(k, _)| k.clone()).collect();
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
    pub(super) fn trip(&self, key: &FleetKey) -> Option<Measure> {
        self.state().fleets.get(key)?.brake.trip
    }

    /// The hold of `account` on the fleet is about to be ended because what it is about is back.
    pub(super) fn begin_release(&self, key: &FleetKey, account: &ObjectKey) {
        if let Some(record) = self.state().fleets.get_mut(key) {
            record.brake.releasing.insert(account.clone());
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
    let known = directory.hold_record(&key);
    let hold = known.hold.as_ref();
    let held = hold.map(|hold| FleetKey::new(&hold.api_url, hold.client_id.as_str()));
    let returned = held.as_ref().is_some_and(|held| {
        directory.begin_release(held, &key);
        is_back(context, held)
    });
    if !returned {
        directory.abandon_release(&key);
    }
    let trip = fleet.map(Fleet::key);
    let trip = trip.and_then(|key| Some((key, directory.trip(key)?)));
    let situation = Situation {
        hold,
        last_handled_resume: known.handled_resume.as_deref(),
        resume: annotations::value(account, annotations::RESUME),
        trip,
        returned,
    };
    let next = brake::next_hold(situation, now);
    if let Some(held) = held.filter(|_| next.0.is_none() && !returned) {
        directory.excuse(&held);
    }
    next
}

/// Whether the newest list shows what should run. While one is looked at that nobody knows of yet, none is the newest. Where
/// nobody has such credentials any more, it is as if it were empty.
fn is_back(context: &Context, key: &FleetKey) -> bool {
    let new = match context.directory.fleet(key) {
        Some(fleet) => fleet.undisputed(),
        None => Some(Arc::default()),
    };
    new.is_some_and(|new| {
        let lists = Lists {
            fleet: key,
            old: None,
            new: &new,
            past: &Past::default(),
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
            record.brake.releasing.remove(account);
        }
        if let Some(record) = self.accounts.get_mut(account) {
            record.ending = None;
        }
    }
}
