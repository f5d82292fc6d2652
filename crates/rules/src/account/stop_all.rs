//! `mode: StopAll`: whether everything may be stopped, when the call is made and repeated, and what the status records. Pure.
//!
//! The call stops every instance of the owner. So it is made only where every account of the client id orders it and no account is
//! shared. It is repeated until a list that began after it shows nothing pending or running and no start or restart is open; what
//! comes up later is stopped again. The order is recorded before its first call, so the brake knows it across a crash.

use std::{collections::BTreeSet, time::Duration};

use cortecs_api::types::Instance;
use cortecs_clock::{Backoff, LONGEST, Moment};
use cortecs_resources::{conditions::whole_seconds, key::ObjectKey, stop_all::StopAll};
use jiff::{SignedDuration, Timestamp};

use super::{brake::is_calling, stop_parties::Permit};
use crate::{
    facts::{fleet_key::FleetKey, snapshot::Snapshot, stop_order::StopOrder},
    ledger::{book::Book, entry::Entry},
};

/// Starts and restarts of a fleet that are open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// The resource of one of them, if there is one.
    pub one: Option<ObjectKey>,
    /// Each waits for the answer of a person: what it has made is listed.
    pub are_questions: bool,
}

/// The starts and restarts of the fleet that are open, or about to be recorded.
pub fn open(book: &Book, fleet: &FleetKey) -> Open {
    let is_question = |entry: &Entry| {
        let slot = entry.resource.status.as_ref().map(|s| s.slot());
        let start = slot.and_then(|slot| slot.start.as_ref());
        start.is_some_and(|start| start.overtaken || !start.candidate_ids.is_empty())
    };
    let entries = book.iter().filter(|(_, entry)| is_calling(entry, fleet));
    let open = entries.map(|(key, entry)| (is_question(entry), key));
    // One that is no question comes first.
    let first = open.min();
    Open {
        are_questions: first.is_some_and(|(is_question, _)| is_question),
        one: first.map(|(_, key)| key.clone()),
    }
}

/// What this process remembers of the calls in one fleet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Calls {
    /// When the last call ended, whatever came of it.
    pub ended: Option<Moment>,
    /// Why the last call failed, and whether the API refused it.
    pub failure: Option<Failure>,
    /// What was stopped and is not recorded yet.
    pub unrecorded: Option<Stopped>,
    /// The definition of accounts drops the record, so no call may be made.
    pub is_dropped: bool,
    /// The instances that were up before a call and that no later list has shown as stopped.
    up: BTreeSet<String>,
    /// Of these, what only the list from before the present call shows: it may lag.
    begun: BTreeSet<String>,
    /// The time of what was stopped last.
    last: Option<Timestamp>,
    repeats: u32,
    retry_at: Moment,
}

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub message: String,
    /// The API refused the call: a person has to look.
    pub is_refusal: bool,
    /// The wait that the API asked for.
    pub retry_after: Option<Duration>,
}

/// What calls have stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    pub count: i64,
    /// When that was known.
    pub at: Timestamp,
}

impl Calls {
    /// A call is about to be made; `list` is the last one.
    pub fn begin(&mut self, list: &Snapshot) {
        let up = list.instances.iter().filter(|(_, i)| !i.is_stopped());
        let up = up.map(|(id, _)| id.clone());
        self.begun = up.filter(|id| !self.up.contains(id)).collect();
        self.up.extend(self.begun.iter().cloned());
    }

    /// The API says that it has stopped these; `list` is the last one. What the answer lacks was stopped before.
    pub fn answered(&mut self, ids: &[String], list: Option<&Snapshot>) {
        let begun = std::mem::take(&mut self.begun);
        self.up.retain(|id| !begun.contains(id) || ids.contains(id));
        let listed = |id: &String| list.and_then(|list| list.instances.get(id));
        let was_up = |id: &&String| listed(id).is_none_or(|i| !i.is_stopped());
        self.up.extend(ids.iter().filter(was_up).cloned());
    }

    /// Takes note of a list: it tells what a call has stopped, also a call whose answer was lost.
    pub fn note(&mut self, list: &Snapshot, settle: Duration, wall: Timestamp) {
        let Some(ended) = self.ended.filter(|ended| list.requested_at > *ended) else {
            return;
        };
        let before = self.up.len();
        let is_up = |id: &String| list.instances.get(id).is_none_or(|i| !i.is_stopped());
        self.up.retain(is_up);
        let count = before - self.up.len();
        if list.requested_at > ended.after(settle) {
            self.up.clear();
        }
        if count > 0 {
            self.add(count, wall);
        }
    }

    fn add(&mut self, count: usize, wall: Timestamp) {
        let later = |last: Timestamp| last.checked_add(SignedDuration::from_secs(1)).ok();
        let at = whole_seconds(wall)
            .0
            .max(self.last.and_then(later).unwrap_or(Timestamp::MIN));
        let before = self.unrecorded.map_or(0, |stopped| stopped.count);
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.last = Some(at);
        self.unrecorded = Some(Stopped {
            count: before.saturating_add(count),
            at,
        });
    }

    /// Takes note that this is recorded.
    pub fn recorded(&mut self, recorded: Stopped) {
        self.unrecorded.take_if(|known| known.at == recorded.at);
        if let Some(known) = &mut self.unrecorded {
            known.count = known.count.saturating_sub(recorded.count);
        }
    }

    /// A call has ended. What it has stopped, lists tell. `random` is a fraction of [0, 1).
    pub fn end(&mut self, result: Result<(), Failure>, now: Moment, wall: Timestamp, random: f64) {
        // After a long rest what comes up is a new occasion.
        if self.ended.is_some_and(|ended| now.since(ended) > LONGEST) {
            self.repeats = 0;
        }
        let asked = result.as_ref().err().and_then(|failed| failed.retry_after);
        let mut backoff = Backoff::after(self.repeats);
        self.retry_at = now.after(backoff.next(random, asked));
        self.repeats = backoff.failures();
        self.ended = Some(now);
        self.failure = match result {
            Err(failure) => Some(failure),
            Ok(()) => {
                self.add(0, wall);
                None
            }
        };
    }
}

/// What the next record and the next step follow from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub fleet: &'a FleetKey,
    /// The record in the status of the account that carries the order out.
    pub record: Option<&'a StopAll>,
    /// The last published list.
    pub list: Option<&'a Snapshot>,
    pub open: &'a Open,
    /// Resources that do not show yet what was stopped.
    pub unnoted: usize,
    /// This process has not run for so long that the resources must have taken note.
    pub is_young: bool,
    pub calls: &'a Calls,
}

/// What is to be done next to have everything stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The order is not recorded yet.
    Record,
    /// The call is due now.
    Call,
    /// The call is due after this time.
    Wait(Duration),
    /// A list that begins after this moment tells.
    List(Moment),
    /// Nothing runs, and a person has to say what an open start has made: lists go on.
    Look,
    /// Nothing runs and nothing is open.
    Done,
}

/// The next step of an order that goes on.
pub fn next(facts: &Facts<'_>, now: Moment) -> Next {
    let Facts { calls, .. } = facts;
    let Some(record) = facts.record.filter(|r| goes_on(r, facts.fleet)) else {
        return Next::Record;
    };
    let was_called = record.last_call_time.is_some() || calls.unrecorded.is_some();
    let must_call = !was_called || calls.failure.is_some();
    let called = calls.ended.unwrap_or_default();
    let list = facts.list.filter(|list| list.requested_at > called);
    let is_up = |instance: &Instance| !instance.is_stopped();
    match list {
        None if !must_call => Next::List(called),
        Some(list)
            if !must_call
                && (facts.open.one.is_none() || facts.open.are_questions)
                && !list.instances.values().any(|i| is_up(i)) =>
        {
            match facts.open.one {
                None => Next::Done,
                Some(_) => Next::Look,
            }
        }
        _ => match calls.retry_at.since(now) {
            Duration::ZERO => Next::Call,
            wait => Next::Wait(wait),
        },
    }
}

fn goes_on(record: &StopAll, fleet: &FleetKey) -> bool {
    is_about(record, fleet) && record.end_time.is_none()
}

/// Whether the record is about this fleet.
pub fn is_about(record: &StopAll, fleet: &FleetKey) -> bool {
    record.api_url == fleet.api_url && record.client_id == fleet.client_id
}

/// Whether an account carries an order out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    GoesOn,
    /// It is not known yet.
    Unknown,
    Ends,
}

impl Order {
    /// The part of an account in the order. One of the accounts with the client id carries the order out.
    pub fn of(asked: &Permit, carries_it_out: bool) -> Self {
        match asked {
            Permit::Waits(_) => Self::Unknown,
            _ if carries_it_out => Self::GoesOn,
            _ => Self::Ends,
        }
    }
}

/// The record as the status of an account should have it.
pub fn next_record(
    facts: &Facts<'_>,
    order: Order,
    settle: Duration,
    wall: Timestamp,
) -> Option<StopAll> {
    let wall = whole_seconds(wall).0;
    let record = facts.record.cloned();
    if order == Order::Unknown {
        return record;
    }
    if order == Order::GoesOn {
        let begun = record.filter(|r| goes_on(r, facts.fleet));
        let mut record = begun.unwrap_or_else(|| StopAll {
            since: wall,
            stopped: 0,
            last_call_time: None,
            end_time: None,
            api_url: facts.fleet.api_url.clone(),
            client_id: facts.fleet.client_id.clone(),
        });
        add(&mut record, facts.calls.unrecorded);
        return Some(record);
    }
    let mut record = record?;
    let recorded = StopOrder {
        ended: record.end_time,
    };
    match recorded.until(settle) {
        None => {
            if is_about(&record, facts.fleet) {
                add(&mut record, facts.calls.unrecorded);
            }
            record.end_time = Some(wall.max(record.since));
            Some(record)
        }
        Some(until) if wall > until && facts.unnoted == 0 => None,
        // A resource that never takes note does not keep the record for ever.
        Some(_) if !facts.is_young && recorded.until(settle * 2).is_some_and(|end| wall > end) => {
            None
        }
        Some(_) => Some(record),
    }
}

/// A call that stopped nothing is not worth a write, unless it is the first one. A write whose answer was lost is not made twice.
fn add(record: &mut StopAll, stopped: Option<Stopped>) {
    if let Some(Stopped { count, at }) = stopped
        && record
            .last_call_time
            .is_none_or(|last| count > 0 && last < at)
    {
        record.stopped = record.stopped.saturating_add(count);
        record.last_call_time = Some(at);
    }
}

/// What the account's conditions say of its mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// The mode is another one.
    #[default]
    NotAsked,
    /// A person has to act.
    Refused(String),
    /// The API refuses the call: a person has to look.
    CallRefused(String),
    Stopping(String),
    Stopped,
}

/// What the conditions say. `next`: of an order that goes on.
pub fn stage(permit: &Permit, next: Next, calls: &Calls, open: &Open) -> Stage {
    match permit {
        Permit::NotAsked => return Stage::NotAsked,
        Permit::Waits(why) => return Stage::Stopping(why.clone()),
        Permit::Refused(why) => return Stage::Refused(why.clone()),
        Permit::Given => {}
    }
    match &calls.failure {
        Some(failure) if failure.is_refusal => Stage::CallRefused(format!(
            "{}: stop the instances in the API's own console. The call is tried again",
            failure.message
        )),
        Some(failure) => Stage::Stopping(format!("{}; trying again", failure.message)),
        None if next == Next::Done => Stage::Stopped,
        None => {
            let open = open.one.as_ref().map(|one| match open.are_questions {
                true => {
                    format!(". Of the open start of {one} a person has to say what it has made")
                }
                false => format!(". A start or restart of {one} is open"),
            });
            Stage::Stopping(format!(
                "mode StopAll: every instance of the owner is being stopped, until a list shows that nothing runs and no start is open{}",
                open.unwrap_or_default()
            ))
        }
    }
}

#[cfg(test)]
#[path = "stop_all_tests.rs"]
mod tests;
