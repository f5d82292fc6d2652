//! Instances that are probably the outcome of a start that was given up: the API took longer than it may. Pure.

use std::collections::BTreeMap;

use cortecs_api::types::{Instance, InstanceArgs};
use cortecs_resources::{journal::VoidedStart, key::ObjectKey};
use jiff::Timestamp;

use super::book::Book;
use crate::facts::{
    args, fleet_key::FleetKey, home::is_in, known::is_known_to_voided, snapshot::Snapshot,
};

/// The instances of the list that no resource claims and that look like the outcome of a start that was given up within the
/// last day, with the resource of that start: of several, that of the oldest. What a start that is still open may have made
/// is not among them.
pub fn late(
    book: &Book,
    fleet: &FleetKey,
    list: &Snapshot,
    wall: Timestamp,
) -> BTreeMap<String, ObjectKey> {
    let mut voided: Vec<(&VoidedStart, InstanceArgs, &ObjectKey)> = book
        .iter()
        .flat_map(|(key, entry)| {
            let status = entry.resource.status.as_ref();
            let starts = status.map_or(&[][..], |s| &s.journal.voided_starts);
            starts.iter().map(move |start| (start, key))
        })
        .filter(|(start, _)| {
            start
                .account
                .as_ref()
                .is_some_and(|home| is_in(home, fleet))
        })
        .filter(|(start, _)| start.is_recent(wall))
        .map(|(start, key)| (start, args::of_record(&start.args), key))
        .collect();
    if voided.is_empty() {
        return BTreeMap::new();
    }
    voided.sort_by_key(|(start, _, _)| (start.requested_at, start.id));
    let probable = |id: &String, instance: &Instance| {
        let (_, _, key) = voided.iter().find(|(start, wanted, _)| {
            let agrees = args::may_be(wanted, start.any_model, &instance.instance_args);
            agrees && !is_known_to_voided(start, id)
        })?;
        Some((*key).clone())
    };
    list.instances
        .iter()
        .filter_map(|(id, instance)| Some((id, instance, probable(id, instance)?)))
        .filter(|(id, instance, _)| {
            !book.is_claimed(&fleet.api_url, id)
                && !book.may_be_of_an_open_start(&fleet.api_url, instance)
        })
        .map(|(id, _, key)| (id.clone(), key))
        .collect()
}

#[cfg(test)]
#[path = "late_tests.rs"]
mod tests;
