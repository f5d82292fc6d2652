//! A list, measured against the persisted statuses: how many instances of a fleet are lost or back.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cortecs_resources::{
    CortecsInstance, annotations,
    conditions::{READY, find_condition},
    instance::{DesiredState, UpdateStrategyType},
    instance_status::CortecsInstanceStatus,
    reason::Reason,
};
use jiff::Timestamp;

use crate::{
    cost::run_limit::ended,
    facts::{
        args,
        drift_policy::accepts_drift,
        fleet_key::FleetKey,
        home::{is_in, lives_in},
        snapshot::Snapshot,
        stop_order::{StopOrder, is_recorded_up},
    },
    ledger::entry::Entry,
};

/// Fewer lost instances are healed one by one.
const LEAST: usize = 3;

/// The counts by which a list is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// Instances that are recorded as running or pending, and that no order from here stops.
    pub expected: usize,
    /// Expected instances that the list lacks or shows as stopped.
    pub lost: usize,
    /// Instances that should run by the spec.
    pub wanted: usize,
    /// Wanted instances that the list or the status does not show as pending or running.
    pub down: usize,
    /// Instances that need not run by the spec, and that are recorded as up or that the list lacks.
    pub others: usize,
    /// Other instances that the list lacks.
    pub away: usize,
    /// Resources with an instance.
    pub bound: usize,
    /// Resources that may have an instance that is not recorded yet.
    pub open: usize,
    /// Resources whose status does not show yet what the account's order to stop everything has stopped.
    pub unnoted: usize,
}

impl Measure {
    /// Whether the list shows a mass change.
    pub fn trips(&self) -> bool {
        is_mass(self.lost, self.expected)
    }

    /// Whether enough is back for the hold to end: most instances that should run do run, and of all instances, those that are
    /// to be stopped or deleted included, most are there. This is so however few instances are left: instances that people stop
    /// or delete because they see the hold do not count as back. Where nothing is bound and nothing is open, a hold would
    /// protect nothing, so it ends.
    pub fn returned(&self) -> bool {
        let all = self.wanted.saturating_add(self.others);
        let missing = self.down.saturating_add(self.away);
        is_most_back(self.down, self.wanted)
            && is_most_back(missing, all)
            && (self.bound > 0 || self.open == 0)
    }
}

fn is_mass(lost: usize, of: usize) -> bool {
    lost >= LEAST && lost.saturating_mul(2) > of
}

fn is_most_back(missing: usize, of: usize) -> bool {
    of == 0 || missing.saturating_mul(2) < of
}

/// The lists to measure.
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a> {
    pub fleet: &'a FleetKey,
    /// The last list that decisions were taken from.
    pub old: Option<&'a Snapshot>,
    pub new: &'a Snapshot,
    pub past: &'a Past,
}

/// What was ordered in the fleet, and how its last hold ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// The order to stop everything.
    pub stop: Option<StopOrder>,
    /// When the last hold ended.
    pub released: Option<Timestamp>,
    /// The instances that were down when a person ordered to resume, and have not been seen to run since.
    pub excused: Arc<BTreeSet<String>>,
}

impl Past {
    /// Whether the instance was lost under a hold whose end is not recorded: only under a hold an instance is marked as missing.
    fn lacks_the_end(&self, status: &CortecsInstanceStatus) -> bool {
        let end = self.released.map(Timestamp::as_second);
        let marked = status.slot().missing_since.map(Timestamp::as_second);
        marked.is_some_and(|marked| end.is_none_or(|end| end < marked))
    }
}

/// Measures a list against what is recorded. `settle`: how long lists may lag.
pub fn measure<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    lists: Lists<'_>,
    settle: Duration,
    wall: Timestamp,
) -> Measure {
    let mut measure = Measure::default();
    for entry in entries {
        let resource = &*entry.resource;
        let here = lives_in(resource, lists.fleet);
        let Some(status) = resource.status.as_ref().filter(|_| here) else {
            measure.open += usize::from(entry.may_be_restored_at(&lists.fleet.api_url));
            continue;
        };
        let Some(id) = status.instance_id.as_deref() else {
            measure.open += 1;
            continue;
        };
        measure.bound += 1;
        let listed = lists.new.instances.contains_key(id);
        let up = is_up_in(lists.new, id);
        // A stop removes nothing, so an instance that is not listed is not explained.
        let stop = lists.past.stop.filter(|_| listed && !up);
        let is_ordered = stop.is_some_and(|stop| stop.explains(status, settle));
        // A resource whose instance is another one's never takes note.
        let ready = find_condition(&status.conditions, READY);
        let owns = ready.is_none_or(|c| c.reason != Reason::InstanceClaimed.as_str());
        measure.unnoted += usize::from(is_ordered && owns);
        let marked = is_recorded_up(status) && lists.past.lacks_the_end(status);
        if marked {
            measure.expected += 1;
            measure.lost += usize::from(!listed);
        }
        if !should_run(resource) {
            let counts = !listed || is_recorded_up(status);
            measure.others += usize::from(counts);
            measure.away += usize::from(!listed);
            continue;
        }
        if is_ordered {
            // For the return from a hold it is still missing.
            measure.wanted += 1;
            measure.down += 1;
            continue;
        }
        if listed && !up && accepts_drift(resource, status) {
            // Others stopped the instance, as the drift policy permits. An instance that is not listed is not merely stopped.
            continue;
        }
        let shown = is_shown_up(status);
        measure.wanted += 1;
        measure.down += usize::from(!(up && shown));
        if shown
            && !lists.past.excused.contains(id)
            && nobody_stops(entry, status, id, lists.new)
            && is_settled(entry, status, id, lists, settle, wall)
        {
            measure.expected += 1;
            measure.lost += usize::from(!up);
        }
    }
    measure
}

/// Whether a start or a restart in the fleet is open, or about to be recorded.
pub(crate) fn is_calling(entry: &Entry, fleet: &FleetKey) -> bool {
    let status = entry.resource.status.as_ref();
    let slot = status.map(CortecsInstanceStatus::slot);
    let is_open = slot.is_some_and(|slot| slot.start.is_some() || slot.restart.is_some());
    let written = entry.memory.writing_start.as_ref();
    (is_open && lives_in(&entry.resource, fleet))
        || written.is_some_and(|w| is_in(&w.account, fleet))
}

/// The instances of the fleet that resources have and that the list lacks or shows as stopped.
pub fn down<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    fleet: &FleetKey,
    list: &Snapshot,
) -> BTreeSet<String> {
    entries
        .filter(|entry| lives_in(&entry.resource, fleet))
        .filter_map(|entry| entry.resource.status.as_ref()?.instance_id.as_deref())
        .filter(|id| !is_up_in(list, id))
        .map(str::to_owned)
        .collect()
}

fn should_run(resource: &CortecsInstance) -> bool {
    let spec = &resource.spec;
    resource.metadata.deletion_timestamp.is_none()
        && spec.state == DesiredState::Running
        && ended(resource).is_none()
        && !spec.suspend
}

fn is_shown_up(status: &CortecsInstanceStatus) -> bool {
    status.slot().missing_since.is_none() && is_recorded_up(status)
}

/// Whether the list shows the instance as running or about to.
pub fn is_up_in(list: &Snapshot, id: &str) -> bool {
    let listed = list.instances.get(id);
    listed.is_some_and(|instance| !instance.is_stopped())
}

/// Whether no stop, restart or replacement of the instance is due or under way.
fn nobody_stops(entry: &Entry, status: &CortecsInstanceStatus, id: &str, list: &Snapshot) -> bool {
    let resource = &*entry.resource;
    let spec = &resource.spec;
    let restart = status.slot().restart.is_some()
        || annotations::restart_is_asked_for(resource, status.last_handled_restart_at.as_deref());
    let replaced = spec.update_strategy.kind == UpdateStrategyType::Recreate
        && args::shows_outdated(spec, status);
    let called = entry.memory.bound.as_ref().is_some_and(|bound| {
        bound.id == id
            && (bound.stops > 0
                || bound.stop_answered
                || bound.deleted
                || bound
                    .called
                    .is_some_and(|called| list.requested_at <= called))
    });
    !restart && !replaced && !called
}

/// Whether a list that lacks the instance, or shows it as stopped, cannot merely lag behind its start: the instance was seen to
/// run since, or the settle time has passed.
fn is_settled(
    entry: &Entry,
    status: &CortecsInstanceStatus,
    id: &str,
    lists: Lists<'_>,
    settle: Duration,
    wall: Timestamp,
) -> bool {
    let called = entry.memory.bound.as_ref().and_then(|bound| bound.called);
    let listed = lists.old.is_some_and(|old| {
        called.is_none_or(|called| old.requested_at > called) && is_up_in(old, id)
    });
    let waited = status.slot().last_start_time.is_none_or(|started| {
        Duration::try_from(wall.duration_since(started)).is_ok_and(|waited| waited >= settle)
    });
    status.slot().reached_generation.is_some() || listed || waited
}
