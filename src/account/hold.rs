//! Beginning and end of the account's hold, and its message.

use std::sync::Arc;

use cortecs_resources::{CortecsAccount, account::Hold, annotations, key::ObjectKey};
use cortecs_rules::{
    account::brake::{self, Lists, Situation, explain, holds},
    facts::fleet_key::FleetKey,
};
use jiff::Timestamp;

use super::context::AccountController;
use crate::fleet::{directory::Directory, holds::fleet_of, poll::Fleet};

/// The hold that the account should have, and the order to resume that counts as handled. If the hold ends because the instances
/// are back, lists that lack them are withheld until the end is recorded or [abandoned](Directory::abandon_release).
pub(crate) fn next_hold(
    controller: &AccountController,
    account: &CortecsAccount,
    fleet: Option<&Fleet>,
    now: Timestamp,
) -> (Option<Hold>, Option<String>) {
    let directory = &controller.directory;
    let key = ObjectKey::of(account);
    let known = directory.hold_record(&key);
    let hold = known.hold.as_ref();
    let fleet_on_hold = hold.map(fleet_of);
    let returned = fleet_on_hold.as_ref().is_some_and(|on_hold| {
        directory.begin_release(on_hold, &key);
        instances_are_back(controller, on_hold)
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
    if let Some(on_hold) = fleet_on_hold.filter(|_| next.0.is_none() && !returned) {
        directory.excuse(&on_hold);
    }
    next
}

/// Whether the newest list shows the instances that should run. A withheld list may be newer, so then the answer is no. A fleet
/// that no longer exists counts as an empty list.
fn instances_are_back(controller: &AccountController, key: &FleetKey) -> bool {
    let new = match controller.directory.fleet(key) {
        Some(fleet) => fleet.newest_snapshot(),
        None => Some(Arc::default()),
    };
    new.is_some_and(|new| {
        let lists = Lists {
            fleet: key,
            old: None,
            new: &new,
            past: &controller.directory.past(key),
        };
        controller.claims.measure(lists).returned()
    })
}

/// The message why the fleet is on hold, for the account whose own hold is `own`.
pub(crate) fn hold_message(
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
