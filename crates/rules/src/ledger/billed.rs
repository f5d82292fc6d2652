//! What a client id is billed for, or may be before long: what its list shows, and what the list may not show yet. Pure.

use std::{collections::HashSet, time::Duration};

use cortecs_api::types::Instance;
use cortecs_clock::Moment;
use cortecs_resources::{annotations, identity::InstanceArgs, key::ObjectKey};
use kube::ResourceExt;

use super::{book::Book, entry::Entry};
use crate::facts::{
    fleet_key::FleetKey,
    home::{is_in, lives_in},
    sealed_id::is_well_formed,
    snapshot::Snapshot,
};

/// Something that is billed, or may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Billed<'a> {
    /// The hardware type; `None` if it is not known.
    pub hardware: Option<&'a str>,
    pub workers: i64,
    /// Nothing shows it yet: the outcome of its start or restart is open.
    pub is_open: bool,
}

/// Everything in the fleet that is billed or may be, but for what the resource `me` has.
///
/// - What the list shows as pending or running, whoever has started it.
/// - Starts and restarts whose intent is written or is being written: the call may be made, and may have had its effect.
/// - Instances of resources that the list lacks, or shows as stopped although they were asked to run less than the settle time ago. A list
///   may show the past.
pub fn billed<'a>(
    book: &'a Book,
    fleet: &'a FleetKey,
    list: &'a Snapshot,
    me: &ObjectKey,
    now: Moment,
    settle: Duration,
) -> Vec<Billed<'a>> {
    let mut billed = Vec::new();
    let mut counted: HashSet<&str> = HashSet::new();
    for (key, entry) in book.iter() {
        if lives_in(&entry.resource, fleet) {
            counted.extend(
                entry
                    .bound_id()
                    .into_iter()
                    .chain(entry.memory.accepted_id()),
            );
        }
        if key != me {
            billed.extend(of_resource(entry, fleet, list, now, settle));
        }
    }
    let others = list.instances.iter();
    let others =
        others.filter(|(id, instance)| !counted.contains(id.as_str()) && !instance.is_stopped());
    billed.extend(others.map(|(_, instance)| listed(instance)));
    billed
}

fn of_resource<'a>(
    entry: &'a Entry,
    fleet: &FleetKey,
    list: &'a Snapshot,
    now: Moment,
    settle: Duration,
) -> Option<Billed<'a>> {
    if let Some(writing) = &entry.memory.writing_start
        && is_in(&writing.account, fleet)
    {
        return Some(recorded(&writing.intent.args, true));
    }
    if entry.resource.records_nothing() {
        return is_being_restored(entry, fleet).then_some(UNKNOWN);
    }
    let status = entry.resource.status.as_ref()?;
    if !lives_in(&entry.resource, fleet) {
        return None;
    }
    if let Some(start) = &status.slot().start {
        return Some(recorded(&start.args, true));
    }
    let shown = list.instances.get(entry.bound_id()?);
    let is_up = shown.is_some_and(|instance| !instance.is_stopped());
    if !is_up && is_proven_down(entry, list, now, settle) {
        return None;
    }
    let recorded = status
        .instance_args
        .as_ref()
        .map(|args| recorded(args, !is_up));
    match (recorded, shown.map(|instance| listed(instance))) {
        // Answers may leave the number of workers out.
        (Some(recorded), Some(listed)) => Some(Billed {
            workers: recorded.workers.max(listed.workers),
            ..recorded
        }),
        (recorded, listed) => recorded.or(listed).or(Some(UNKNOWN)),
    }
}

/// What no record and no list describes.
const UNKNOWN: Billed<'_> = Billed {
    hardware: None,
    workers: 1,
    is_open: true,
};

/// Whether the status was emptied, and the annotation names an instance at this API that is not recorded again yet, or was not looked at
/// yet. An annotation that cannot be checked is none of this fleet, whose credentials work.
fn is_being_restored(entry: &Entry, fleet: &FleetKey) -> bool {
    let value = entry.resource.annotations().get(annotations::INSTANCE_ID);
    let is_new = entry.memory.sealed_value.is_none();
    entry.may_be_restored_at(&fleet.api_url)
        || value.is_some_and(|value| is_new && is_well_formed(value))
}

/// Whether an instance that the list does not show as up is certainly not billed.
fn is_proven_down(entry: &Entry, list: &Snapshot, now: Moment, settle: Duration) -> bool {
    let status = entry.resource.status.as_ref();
    let restarts = status.is_some_and(|status| status.slot().restart.is_some());
    let bound = entry.memory.bound.as_ref();
    let bound = bound.filter(|bound| Some(bound.id.as_str()) == entry.bound_id());
    let Some(bound) = bound.filter(|_| !restarts && !entry.memory.writing_restart) else {
        return false;
    };
    if bound.deleted || bound.stopped {
        return true;
    }
    let is_stopped = bound
        .latest(Some(list))
        .is_some_and(|(_, instance)| instance.is_stopped());
    let asked = bound.called.unwrap_or_default().max(bound.first_seen);
    is_stopped && now >= asked.after(settle)
}

fn recorded(args: &InstanceArgs, is_open: bool) -> Billed<'_> {
    Billed {
        hardware: args.hardware_type_id.as_deref(),
        workers: args.num_workers.unwrap_or(1),
        is_open,
    }
}

fn listed(instance: &Instance) -> Billed<'_> {
    let args = &instance.instance_args;
    Billed {
        hardware: args.hardware_type_id.as_deref(),
        workers: args.num_workers.map_or(1, i64::from),
        is_open: false,
    }
}

#[cfg(test)]
#[path = "billed_tests.rs"]
mod tests;
