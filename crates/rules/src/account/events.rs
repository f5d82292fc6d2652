//! The events of an account, derived from a change of its status.

use cortecs_resources::{
    account::CortecsAccountStatus, key::ObjectKey, stop_all::StopAll, unmanaged::UnmanagedInstance,
};

use super::brake::explain;
use crate::event::EventText;

/// One event for each hold that begins or ends, one for what `mode: StopAll` has stopped, and one for each unmanaged instance that is probably the late outcome of a
/// start that was given up.
pub fn derive_events(
    account: &ObjectKey,
    old: &CortecsAccountStatus,
    new: &CortecsAccountStatus,
) -> Vec<EventText> {
    let mut events = Vec::new();
    match (&old.hold, &new.hold) {
        (before, Some(hold)) if before.as_ref() != Some(hold) => events.push(EventText {
            warning: true,
            reason: "MassChange".to_owned(),
            note: explain(hold, &account.to_string()),
        }),
        (Some(_), None) => events.push(EventText {
            warning: false,
            reason: "HoldEnded".to_owned(),
            note: match old.last_handled_resume == new.last_handled_resume {
                true => "most instances that should run are back: the account is not on hold any more".to_owned(),
                false => {
                    "as ordered, the account is not on hold any more: the instances that should run are started again"
                        .to_owned()
                }
            },
        }),
        _ => {}
    }
    events.extend(stopped(old.stop_all.as_ref(), new.stop_all.as_ref()));
    let told = |late: &UnmanagedInstance| {
        let same = |before: &&UnmanagedInstance| before.id == late.id;
        let before = old.unmanaged.iter().find(same);
        before.is_some_and(|before| before.probably_of == late.probably_of)
    };
    for late in new.unmanaged.iter().filter(|late| !told(late)) {
        if let Some(of) = &late.probably_of {
            events.push(EventText {
                warning: true,
                reason: "LateInstance".to_owned(),
                note: format!(
                    "instance {} is claimed by no resource and probably the late outcome of a start of {}/{} that was given up: it is \
                     billed. Unless someone else uses it, stop and delete it at the API. With lateStartPolicy: Delete the operator does that \
                     where it has seen all of it",
                    late.id, of.namespace, of.name
                ),
            });
        }
    }
    events
}

/// The event of instances that `mode: StopAll` has stopped since the older record.
fn stopped(old: Option<&StopAll>, new: Option<&StopAll>) -> Option<EventText> {
    let new = new?;
    let same = old.filter(|old| old.since == new.since);
    let count = new.stopped - same.map_or(0, |old| old.stopped);
    let instances = match count {
        ..=0 => return None,
        1 => "1 instance of the owner was".to_owned(),
        n => format!("{n} instances of the owner were"),
    };
    Some(EventText {
        warning: true,
        reason: "StoppedAll".to_owned(),
        note: format!("mode StopAll: {instances} stopped, whether or not a resource claims them"),
    })
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
