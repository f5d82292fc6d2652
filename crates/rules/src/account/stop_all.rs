//! `mode: StopAll`: whether everything may be stopped, when the call is made and repeated, and what the status records. Pure.
//!
//! The call stops every instance of the owner. So it is made only where every account of the client id orders it and no account is
//! shared. It is repeated until a list that began after it shows nothing pending or running and no start or restart is open; what
//! comes up later is stopped again. The order is recorded before its first call, so the brake knows it across a crash.

use std::time::Duration;

use cortecs_api::types::Instance;
use cortecs_clock::{Backoff, LONGEST, Moment};
use cortecs_resources::{
    account::{AccountMode, Sharing},
    conditions::whole_seconds,
    key::ObjectKey,
    stop_all::StopAll,
};
use jiff::Timestamp;

use crate::{
    event::EventText,
    facts::{fleet_key::FleetKey, snapshot::Snapshot, stop_order::StopOrder},
};

/// An account that the stop of everything concerns: it has the client id, or may have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    pub key: ObjectKey,
    pub mode: AccountMode,
    pub sharing: Sharing,
    /// Its status names this operator as its manager.
    pub is_managed_here: bool,
    /// It is known whether it has the client id.
    pub is_checked: bool,
}

/// Whether everything in the fleet of an account is to be stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit {
    /// The account does not ask for it.
    NotAsked,
    /// It is not known yet.
    Waits(String),
    /// A person has to change something before.
    Refused(String),
    Given,
}

/// Whether everything is to be stopped that the account `me` reaches. `parties`: all accounts that it concerns, this one included.
pub fn permit(me: &ObjectKey, parties: &[Party]) -> Permit {
    let asks = |party: &&Party| party.mode == AccountMode::StopAll;
    if !parties.iter().filter(asks).any(|party| party.key == *me) {
        return Permit::NotAsked;
    }
    for Party {
        key, mode, sharing, ..
    } in parties.iter().filter(|party| party.is_checked)
    {
        if *sharing == Sharing::Shared {
            return Permit::Refused(format!(
                "nothing is stopped: account {key} has sharing: Shared, so others have instances there, and StopAll would stop those too. \
                 Set state: Stopped on the resources instead, or sharing: Exclusive if only this operator starts instances there"
            ));
        }
        if *mode != AccountMode::StopAll {
            return Permit::Refused(format!(
                "nothing is stopped: account {key} has the same client id and mode: {mode:?}, and StopAll would stop its instances too. Set its \
                 mode to StopAll too, or set state: Stopped on the resources of this account"
            ));
        }
    }
    if let Some(party) = parties.iter().find(|party| !party.is_checked) {
        return Permit::Waits(format!(
            "nothing is stopped yet: account {} is being checked, and may have the same client id",
            party.key
        ));
    }
    match parties.iter().find(|party| !party.is_managed_here) {
        Some(party) => Permit::Refused(format!(
            "nothing is stopped: the status of account {}, which has instances of the same client id, does not name this operator as its \
             manager. Give that account to this operator by the annotation cortecs.ai/operator, or stop its resources there",
            party.key
        )),
        None => Permit::Given,
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
    /// When the last of them was answered.
    pub at: Timestamp,
}

impl Calls {
    /// A call has ended; `result` has the number of instances that it stopped. `random` is a fraction of [0, 1).
    pub fn end(
        &mut self,
        result: Result<usize, Failure>,
        now: Moment,
        wall: Timestamp,
        random: f64,
    ) {
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
            Ok(count) => {
                let before = self.unrecorded.map_or(0, |stopped| stopped.count);
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                self.unrecorded = Some(Stopped {
                    count: before.saturating_add(count),
                    at: whole_seconds(wall).0,
                });
                None
            }
        };
    }
}

/// How many of the instances that a call names were not stopped before it, by the list.
pub fn count_stopped(answer: &[String], list: Option<&Snapshot>) -> usize {
    let listed = |id: &String| list.and_then(|list| list.instances.get(id));
    let was_stopped = |id: &&String| listed(id).is_some_and(|instance| instance.is_stopped());
    answer.iter().filter(|id| !was_stopped(id)).count()
}

/// What the next record and the next step follow from.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub fleet: &'a FleetKey,
    /// The record in the status of the account that carries the order out.
    pub record: Option<&'a StopAll>,
    /// The last published list.
    pub list: Option<&'a Snapshot>,
    /// Starts and restarts of the fleet that are open.
    pub open: usize,
    /// Resources that do not show yet what was stopped.
    pub unnoted: usize,
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
            if !must_call && facts.open == 0 && !list.instances.values().any(|i| is_up(i)) =>
        {
            Next::Done
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
pub fn stage(permit: &Permit, next: Next, calls: &Calls) -> Stage {
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
        None => Stage::Stopping(
            "mode StopAll: every instance of the owner is being stopped, until a list shows that nothing runs and no start is open"
                .to_owned(),
        ),
    }
}

/// The event of a call that has stopped instances.
pub fn event(count: usize) -> EventText {
    let instances = match count {
        1 => "1 instance of the owner was".to_owned(),
        n => format!("{n} instances of the owner were"),
    };
    EventText {
        warning: true,
        reason: "StoppedAll".to_owned(),
        note: format!("mode StopAll: {instances} stopped, whether or not a resource claims them"),
    }
}

#[cfg(test)]
#[path = "stop_all_tests.rs"]
mod tests;
