//! Lists that lack instances which the API finds: what such a list does not show proves nothing. Pure.

use std::time::Duration;

use cortecs_clock::Moment;
use cortecs_resources::key::ObjectKey;

use super::{book::Book, entry::Entry};
use crate::facts::{fleet_key::FleetKey, home::lives_in, snapshot::Snapshot};

/// How many resources of the fleet have an instance that gets find and that lists have lacked for the settle time.
pub fn count(book: &Book, fleet: &FleetKey, now: Moment, settle: Duration) -> u64 {
    let lasts = |since: Moment| now >= since.after(settle);
    let entries = book
        .iter()
        .filter(|(_, entry)| unlisted_since(entry).is_some_and(lasts));
    let entries = entries.filter(|(_, entry)| lives_in(&entry.resource, fleet));
    u64::try_from(entries.count()).unwrap_or(u64::MAX)
}

/// A resource whose instance a list lacks.
pub struct Missing<'a> {
    pub key: &'a ObjectKey,
    pub instance_id: &'a str,
    /// Gets have found the instance since lists lack it.
    pub is_found: bool,
}

/// The resources of the fleet whose instance the list lacks, unless the instance may be too new for the list or is being removed.
pub fn missing<'a>(
    book: &'a Book,
    fleet: &'a FleetKey,
    list: &'a Snapshot,
    now: Moment,
    settle: Duration,
) -> impl Iterator<Item = Missing<'a>> {
    let missing = move |key: &'a ObjectKey, entry: &'a Entry| {
        let bound = entry.memory.bound.as_ref()?;
        let is_new = now < bound.first_seen.after(settle / 2);
        let is_removed = bound.removal_tried || bound.deleted;
        let is_missing = !is_new && !is_removed && !list.instances.contains_key(&bound.id);
        (is_missing && lives_in(&entry.resource, fleet)).then_some(Missing {
            key,
            instance_id: &bound.id,
            is_found: bound.unlisted_since.is_some(),
        })
    };
    book.iter()
        .filter_map(move |(key, entry)| missing(key, entry))
}

/// Whether the list has every instance that a status of the fleet names, however new the instance is and whatever becomes of it.
pub fn is_complete(book: &Book, fleet: &FleetKey, list: &Snapshot) -> bool {
    let mut here = book.iter().filter(|(_, e)| lives_in(&e.resource, fleet));
    here.all(|(_, entry)| {
        let id = entry.bound_id();
        id.is_none_or(|id| list.instances.contains_key(id))
    })
}

/// Whether the list lacks an instance that the API finds: what it does not show is not proven to be absent.
pub fn is_incomplete(
    book: &Book,
    fleet: &FleetKey,
    list: &Snapshot,
    now: Moment,
    settle: Duration,
) -> bool {
    missing(book, fleet, list, now, settle).any(|missing| missing.is_found)
}

fn unlisted_since(entry: &Entry) -> Option<Moment> {
    entry.memory.bound.as_ref()?.unlisted_since
}

#[cfg(test)]
#[path = "unlisted_tests.rs"]
mod tests;
