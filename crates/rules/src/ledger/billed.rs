//! What a client id is billed for, or may be before long: what its list shows, and what the list may not show yet. Pure.

use std::{collections::HashSet, time::Duration};

use cortecs_api::types::Instance;
use cortecs_clock::Moment;
use cortecs_resources::{identity::InstanceArgs, key::ObjectKey};
use jiff::Timestamp;

use super::{book::Book, entry::Entry};
use crate::facts::{
    fleet_key::FleetKey,
    home::{is_in, lives_in},
    snapshot::Snapshot,
};

/// Something that is billed, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Billed<'a> {
    /// The instance; `None` if it is not known which one it is.
    pub id: Option<&'a str>,
    /// The hardware type; `None` if it is not known.
    pub hardware: Option<&'a str>,
    /// The number of workers; `None` if it is not known.
    pub workers: Option<i64>,
    /// Nothing shows it yet: the outcome of its start or restart is open, or a list lacks it.
    pub is_open: bool,
    /// It is of the resource that asks.
    pub is_own: bool,
}

/// When and for whom it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub fleet: &'a FleetKey,
    /// The resource that asks.
    pub me: &'a ObjectKey,
    pub now: Moment,
    pub wall: Timestamp,
    /// How long a call may take to show its effect in a list.
    pub settle: Duration,
}

/// Everything in the fleet that is billed or may be.
///
/// - What the list shows as pending or running, whoever has started it.
/// - Starts and restarts whose intent is written or is being written: the call may be made, and may have had its effect.
/// - Instances of resources that the list lacks, or shows as stopped although they were asked to run a short time ago. A list may show the
///   past.
pub fn billed<'a>(book: &'a Book, list: &'a Snapshot, question: Question<'_>) -> Vec<Billed<'a>> {
    let mut billed = Vec::new();
    let mut counted: HashSet<&str> = HashSet::new();
    for (key, entry) in book.iter() {
        // What a list from before its deletion shows is not there any more.
        counted.extend(entry.memory.removed.as_deref());
        if lives_in(&entry.resource, question.fleet) {
            let own = [entry.bound_id(), entry.memory.accepted_id()];
            counted.extend(own.into_iter().flatten());
        }
        billed.extend(of_resource(entry, list, question).map(|one| Billed {
            is_own: key == question.me,
            ..one
        }));
        billed.extend(being_restored(book, list, key, entry, question));
    }
    let others = list.instances.iter();
    let others =
        others.filter(|(id, instance)| !counted.contains(id.as_str()) && !instance.is_stopped());
    billed.extend(others.map(|(_, instance)| listed(instance)));
    billed
}

fn of_resource<'a>(
    entry: &'a Entry,
    list: &'a Snapshot,
    question: Question<'_>,
) -> Option<Billed<'a>> {
    if let Some(writing) = &entry.memory.writing_start
        && is_in(&writing.account, question.fleet)
    {
        return Some(recorded(None, &writing.intent.args, true));
    }
    let status = entry.resource.status.as_ref()?;
    if !lives_in(&entry.resource, question.fleet) {
        return None;
    }
    if let Some(start) = &status.slot().start {
        return Some(recorded(None, &start.args, true));
    }
    let id = entry.bound_id()?;
    let shown = list.instances.get(id);
    let is_up = shown.is_some_and(|instance| !instance.is_stopped());
    if !is_up && is_down(entry, id, list, question) {
        return None;
    }
    let recorded = status.instance_args.as_ref();
    let recorded = recorded.map(|args| recorded_as(id, args, !is_up));
    match (recorded, shown.map(|instance| listed(instance))) {
        // Answers may leave the number of workers out.
        (Some(recorded), Some(listed)) => Some(Billed {
            workers: recorded.workers.max(listed.workers),
            ..recorded
        }),
        (recorded, listed) => recorded.or(listed).or(Some(unknown(id))),
    }
}

/// The instance that only an annotation names, since the status was emptied, as long as no list shows it and no other resource has it. After the
/// settle time a list would show it.
fn being_restored<'a>(
    book: &Book,
    list: &Snapshot,
    key: &ObjectKey,
    entry: &'a Entry,
    question: Question<'_>,
) -> Option<Billed<'a>> {
    let named = entry
        .memory
        .named
        .as_ref()
        .filter(|named| named.fleet == *question.fleet)?;
    let (id, api_url) = (named.bound.id.as_str(), &question.fleet.api_url);
    let is_listed = list.instances.contains_key(id);
    let is_new = question.now < named.bound.first_seen.after(question.settle);
    let has_other = || book.is_recorded_for_other(api_url, id, key);
    (is_new && !is_listed && !has_other()).then(|| unknown(id))
}

/// Whether an instance that the list does not show as up is not billed.
fn is_down(entry: &Entry, id: &str, list: &Snapshot, question: Question<'_>) -> bool {
    let status = entry.resource.status.as_ref();
    let slot = status.map(|status| status.slot());
    let restarts = slot.is_some_and(|slot| slot.restart.is_some());
    if restarts || entry.memory.writing_restart {
        return false;
    }
    let bound = entry.memory.bound.as_ref().filter(|bound| bound.id == id);
    if bound.is_some_and(|bound| bound.deleted || bound.stopped) {
        return true;
    }
    // The intent of a call is older than the end of the call.
    let patience = question.settle + question.settle / 4;
    let asked = slot.and_then(|slot| slot.last_start_time);
    let since = asked.map(|asked| question.wall.duration_since(asked));
    let is_recent = since.is_some_and(|since| {
        Duration::try_from(since).is_ok_and(|s| s < patience) || since.is_negative()
    });
    let called = bound.and_then(|bound| bound.called);
    if is_recent || called.is_some_and(|called| question.now < called.after(question.settle)) {
        return false;
    }
    let listed = list.instances.get(id).map(|instance| &**instance);
    let latest = match bound {
        Some(bound) => bound.latest(Some(list)).map(|(_, instance)| instance),
        None => listed,
    };
    match latest {
        Some(instance) => instance.is_stopped(),
        // A suspended resource makes no get, by which what lists lack is found to be gone.
        None => {
            entry.resource.spec.suspend
                && bound
                    .is_some_and(|bound| bound.absent_lists > 1 && bound.unlisted_since.is_none())
        }
    }
}

fn recorded<'a>(id: Option<&'a str>, args: &'a InstanceArgs, is_open: bool) -> Billed<'a> {
    Billed {
        id,
        hardware: args.hardware_type_id.as_deref(),
        workers: Some(args.num_workers.unwrap_or(1)),
        is_open,
        is_own: false,
    }
}

fn recorded_as<'a>(id: &'a str, args: &'a InstanceArgs, is_open: bool) -> Billed<'a> {
    recorded(Some(id), args, is_open)
}

fn listed(instance: &Instance) -> Billed<'_> {
    let args = &instance.instance_args;
    Billed {
        id: Some(&instance.instance_id),
        hardware: args.hardware_type_id.as_deref(),
        workers: args.num_workers.map(i64::from),
        is_open: false,
        is_own: false,
    }
}

/// An instance that no record describes.
fn unknown(id: &str) -> Billed<'_> {
    Billed {
        id: Some(id),
        hardware: None,
        workers: None,
        is_open: true,
        is_own: false,
    }
}

#[cfg(test)]
#[path = "billed_tests.rs"]
mod tests;
