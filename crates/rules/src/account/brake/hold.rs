//! When an account goes on hold, how long it stays so, and what people are told.

use cortecs_resources::{
    account::{Hold, HoldReason},
    annotations,
    conditions::whole_seconds,
};
use jiff::Timestamp;

use super::measure::Measure;
use crate::facts::fleet_key::FleetKey;

/// Whether a list shows a mass change that no account has recorded. `remembered`: an earlier list showed one while the fleet
/// had no account to record it.
pub fn is_unrecorded(measure: Measure, held: bool, remembered: bool) -> bool {
    !held && (measure.trips() || (remembered && !measure.returned()))
}

/// Whether decisions may be taken from a list. A list that shows a mass change waits until the change is recorded.
/// `releasing`: the end of the hold is being written because the instances are back. A list that shows otherwise waits until
/// that is recorded, and is then measured again: statuses that were written from it would hide the change.
pub fn may_be_known(measure: Measure, held: bool, releasing: bool) -> bool {
    match held {
        false => !measure.trips(),
        true => !releasing || measure.returned(),
    }
}

/// The facts on which an account's own hold depends.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    pub hold: Option<&'a Hold>,
    pub last_handled_resume: Option<&'a str>,
    /// The value of `cortecs.ai/resume`.
    pub resume: Option<&'a str>,
    /// A mass change that is not recorded yet.
    pub trip: Option<(&'a FleetKey, Measure)>,
    /// The lost instances are back.
    pub returned: bool,
}

/// The account's hold as it should be, and the value of `cortecs.ai/resume` that counts as handled from then on: a value
/// that was there before the hold is an old order and does not end the hold.
pub fn next_hold(situation: Situation<'_>, wall: Timestamp) -> (Option<Hold>, Option<String>) {
    let Situation {
        hold,
        last_handled_resume,
        resume,
        ..
    } = situation;
    let asked = resume.is_some() && resume != last_handled_resume;
    let seen = resume.or(last_handled_resume).map(str::to_owned);
    let trips = situation
        .trip
        .filter(|(fleet, _)| hold.is_none_or(|hold| !holds(hold, fleet)));
    if let Some((fleet, measure)) = trips {
        return (Some(begin(fleet, measure, wall)), seen);
    }
    match hold {
        None => (None, seen),
        Some(_) if asked => (None, seen),
        Some(_) if situation.returned => (None, seen),
        Some(hold) => (Some(hold.clone()), last_handled_resume.map(str::to_owned)),
    }
}

/// The hold that a mass change begins.
pub fn begin(fleet: &FleetKey, measure: Measure, wall: Timestamp) -> Hold {
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    Hold {
        reason: HoldReason::MassChange,
        since: whole_seconds(wall).0,
        expected: count(measure.expected),
        lost: count(measure.lost),
        api_url: fleet.api_url.clone(),
        client_id: fleet.client_id.clone(),
    }
}

/// Whether the hold is about this fleet.
pub fn holds(hold: &Hold, fleet: &FleetKey) -> bool {
    hold.api_url == fleet.api_url && hold.client_id == fleet.client_id
}

/// The message for people: the mass change, and the ways to end the hold. `account`: the one that is on hold.
pub fn explain(hold: &Hold, account: &str) -> String {
    format!(
        "account {account} has been on hold since {}, or until the annotation {} of the account gets a new value: then what is lost \
         is started again",
        what_is_on_hold(hold),
        annotations::RESUME,
    )
}

/// The same for a fleet whose credentials no account has any more.
pub fn explain_unrecorded(hold: &Hold, has_account: bool) -> String {
    let (id, what) = (&hold.client_id, what_is_on_hold(hold));
    match has_account {
        true => format!("the instances of client id {id} have been on hold since {what}"),
        false => format!(
            "no account has client id {id} any more, and its instances have been on hold since {what}, or until an account has it again"
        ),
    }
}

fn what_is_on_hold(hold: &Hold) -> String {
    format!(
        "{}: {} of {} instances that should run were gone or stopped, and nobody here ordered that (wrong credentials, a \
         broken list or a stop of everything look like this). Nothing is started and nothing counts as gone until most of \
         them are back",
        hold.since, hold.lost, hold.expected,
    )
}
