//! The account's own hold: when it begins, when it ends, and what people are told of it.

use std::sync::Arc;

use cortecs_resources::{CortecsAccount, account::Hold, annotations, key::ObjectKey};
use cortecs_rules::{
    account::brake::{self, Lists, Past, Situation, explain, holds},
    facts::fleet_key::FleetKey,
};
use jiff::Timestamp;

use super::context::AccountController;
use crate::fleet::{directory::Directory, holds::fleet_of, poll::Fleet};

/// The account's hold as it should be, and the order to resume that counts as handled. Where the hold is to be ended because
/// what it is about is back, no list that says otherwise is made known from here on, until that is recorded or
/// [abandoned](Directory::abandon_release).
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
    let held = hold.map(fleet_of);
    let returned = held.as_ref().is_some_and(|held| {
        directory.begin_release(held, &key);
        is_back(controller, held)
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
fn is_back(controller: &AccountController, key: &FleetKey) -> bool {
    let new = match controller.directory.fleet(key) {
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
        controller.claims.measure(lists).returned()
    })
}

/// Why the fleet is held, for the account with this hold of its own.
pub(crate) fn why_held(
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
