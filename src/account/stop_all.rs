//! The calls that `mode: StopAll` orders.

use std::{sync::Arc, time::Duration};

use cortecs_api::{Error, RetryClass};
use cortecs_clock as clock;
use cortecs_resources::{account::AccountMode, key::ObjectKey, stop_all::StopAll};
use cortecs_rules::{
    account::{
        brake::Lists,
        stop_all::{
            Facts, Failure, Next, Open, Order, Stage, Stopped, next, next_record, open, stage,
        },
        stop_parties::{DROPPED, Party, Permit, Situation, asked, claiming_accounts},
    },
    facts::fleet_key::FleetKey,
    ledger::book::Book,
};
use jiff::Timestamp;

use super::context::{AccountController, in_queues};
use crate::fleet::poll::Fleet;

/// What an account does about its order to stop everything.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) record: Option<StopAll>,
    pub(super) stage: Stage,
    fleet: Option<Arc<Fleet>>,
    /// What came of the calls, as far as `record` has it.
    unrecorded: Option<Stopped>,
    /// The next step, if this account is the one that carries the order out.
    next: Option<Next>,
    /// The record of an order that has ended is still there.
    ends: bool,
}

impl AccountController {
    /// What the account records and does about its order to stop everything.
    pub(super) fn plan_stop(&self, me: &ObjectKey, wall: Timestamp) -> Plan {
        let Self {
            directory, claims, ..
        } = self;
        let Some(entry) = directory.account(&me.namespace, &me.name) else {
            return Plan::default();
        };
        let own = entry.stop_all.clone();
        if own.is_none() && entry.spec.mode != AccountMode::StopAll {
            return Plan::default();
        }
        let member = directory.fleet_of_member(me);
        let known = own.as_ref().map(|record| {
            let key = FleetKey::new(&record.api_url, record.client_id.as_str());
            (directory.fleet(&key), key)
        });
        let parties = member.as_ref().map(|fleet| self.parties(fleet));
        let asked = asked(Situation {
            me,
            mode: entry.spec.mode,
            parties: parties.as_deref(),
            is_dropped: member
                .as_ref()
                .is_some_and(|fleet| directory.stop_calls(fleet.key()).is_dropped),
            is_listed: member
                .as_ref()
                .is_some_and(|fleet| fleet.snapshot().is_some()),
            has_others: member
                .as_ref()
                .zip(parties.as_ref())
                .is_some_and(|(fleet, parties)| directory.has_others_at(fleet.key(), parties)),
            is_read: claims.synced() && directory.synced(),
        });
        let carrier = member.as_ref().and_then(|fleet| {
            let first = directory.accounts_of(fleet.key()).into_iter().next();
            first.filter(|_| asked == Permit::Given)
        });
        let order = Order::of(&asked, carrier.as_ref() == Some(me));
        if own.is_none() && asked == Permit::NotAsked {
            return Plan::default();
        }
        // An order that has ended is about the fleet that its record names.
        let (fleet, key) = match (&member, known) {
            (Some(member), _) if asked == Permit::Given => {
                (Some(Arc::clone(member)), member.key().clone())
            }
            (_, Some(known)) => known,
            (Some(member), None) => (Some(Arc::clone(member)), member.key().clone()),
            (None, None) => return Plan::default(),
        };
        let list = fleet.as_ref().and_then(|fleet| fleet.snapshot());
        let measure = list.as_ref().map(|list| {
            claims.measure(Lists {
                fleet: &key,
                old: None,
                new: list,
                past: &directory.past(&key),
            })
        });
        let is_unsure = list.is_none() && claims.fleet_in_use(&key, &[].into());
        let unnoted = measure.map_or(usize::from(is_unsure), |measure| measure.unnoted);
        let calls = directory.stop_calls(&key);
        let mut open_calls = Open::default();
        claims.with_book(&mut |book| open_calls = open(book, &key));
        let is_young = self.runs_since().after(claims.settle() * 2) > clock::moment();
        let of_carrier = carrier.as_ref().and_then(|c| directory.stop_record(c));
        let facts = Facts {
            fleet: &key,
            record: own.as_ref(),
            list: list.as_deref(),
            open: &open_calls,
            unnoted,
            is_young,
            calls: &calls,
        };
        let of_carrier = Facts {
            record: of_carrier.as_ref(),
            ..facts
        };
        let takes_note = match order {
            Order::GoesOn => true,
            Order::Unknown => false,
            Order::Ends => own.as_ref().is_some_and(|own| own.end_time.is_none()),
        };
        let next = next(&of_carrier, clock::moment());
        let settle = claims.settle();
        let record = next_record(&facts, order, settle, wall);
        Plan {
            ends: record.as_ref().is_some_and(|r| r.end_time.is_some()),
            unrecorded: calls.unrecorded.filter(|_| takes_note),
            stage: stage(&asked, next, &calls, &open_calls),
            next: (order == Order::GoesOn).then_some(next),
            record,
            fleet,
        }
    }

    /// The accounts that a stop of everything in the fleet concerns.
    fn parties(&self, fleet: &Fleet) -> Vec<Party> {
        let key = fleet.key();
        let mut homes = self.claims.homes(key);
        if let Some(list) = fleet.snapshot() {
            let mut add = |book: &Book| homes.extend(claiming_accounts(book, key, &list));
            self.claims.with_book(&mut add);
        }
        self.directory
            .stop_parties(key, &homes, &self.this_operator)
    }

    /// Takes note that the API server has dropped the record: without it a call could be taken for a mass change.
    pub(super) fn stop_is_dropped(&self, plan: &Plan) {
        if let Some(fleet) = &plan.fleet {
            tracing::error!("{DROPPED}");
            self.directory
                .change_stop_calls(fleet.key(), |calls| calls.is_dropped = true);
        }
    }

    /// Takes note that the status has what the plan says.
    pub(super) fn stop_is_recorded(&self, plan: &Plan) {
        if let (Some(fleet), Some(recorded)) = (&plan.fleet, plan.unrecorded) {
            self.directory.change_stop_calls(fleet.key(), |calls| {
                calls.recorded(recorded);
            });
        }
    }

    /// Makes the call, if it is due. Returns when to look again, if not at the next list.
    pub(super) async fn carry_out_stop(&self, me: &ObjectKey) -> Option<Duration> {
        let plan = self.plan_stop(me, clock::wall());
        let (fleet, next) = match (&plan.fleet, plan.next) {
            (Some(fleet), Some(next)) => (fleet, next),
            _ => {
                self.rest_from_stopping(me);
                return plan.ends.then_some(ENDING_INTERVAL);
            }
        };
        let busy = (next != Next::Done).then(|| fleet.key());
        self.directory.set_busy(&in_queues(me, STOP_ALL), busy);
        match next {
            Next::Record | Next::Look | Next::Done => None,
            Next::Wait(wait) => Some(wait),
            Next::List(after) => {
                fleet.request_list_after(after);
                None
            }
            Next::Call => Some(self.stop_everything(fleet, me).await),
        }
    }

    /// Makes the call, unless this process may not act or the calls of the fleet are paused. Returns when to look again.
    async fn stop_everything(&self, fleet: &Fleet, me: &ObjectKey) -> Duration {
        let turns = fleet.turns();
        let client = fleet.client();
        let token = client.verify_credentials().await;
        // The token may have taken long: the order may be over.
        let is_due = self.plan_stop(me, clock::wall()).next == Some(Next::Call);
        if !is_due || turns.are_paused() || !self.leadership.may_act() {
            return PAUSE;
        }
        if let Some(list) = fleet.snapshot() {
            self.directory
                .change_stop_calls(fleet.key(), |calls| calls.begin(&list));
        }
        let turn = turns.take(&in_queues(me, STOP_ALL));
        let result = match token {
            Ok(()) => client.stop_all().await,
            Err(error) => Err(error),
        };
        drop(turn);
        turns.record_call(&result);
        let (now, wall) = (clock::moment(), clock::wall());
        match &result {
            Ok(ids) => {
                let (count, list) = (ids.len(), fleet.snapshot());
                self.directory.change_stop_calls(fleet.key(), |calls| {
                    calls.answered(ids, list.as_deref());
                });
                tracing::warn!(account = %me, count, "mode StopAll: every instance was stopped")
            }
            Err(error) if error.is_accepted() => {
                tracing::warn!(account = %me, %error, "mode StopAll: the call was made, and lists have to show what comes of it");
            }
            Err(error) => tracing::warn!(account = %me, %error, "mode StopAll: the call failed"),
        }
        let result = match result {
            Err(error) if !error.is_accepted() => Err(failure(&error)),
            _ => Ok(()),
        };
        self.directory.change_stop_calls(fleet.key(), |calls| {
            calls.end(result, now, wall, fastrand::f64());
        });
        fleet.request_list_after(now);
        Duration::ZERO
    }

    /// No list is needed any more for an order of this account.
    pub(super) fn rest_from_stopping(&self, account: &ObjectKey) {
        self.directory.set_busy(&in_queues(account, STOP_ALL), None);
    }
}

/// The name of these calls.
const STOP_ALL: &str = "stop-all";
/// How often to look whether the record of an order that has ended may go.
const ENDING_INTERVAL: Duration = Duration::from_secs(5);
/// How soon to look again while no call may be made.
const PAUSE: Duration = Duration::from_secs(1);

fn failure(error: &Error) -> Failure {
    Failure {
        message: error.to_string(),
        is_refusal: error.class() == RetryClass::Terminal,
        retry_after: error.retry_after(),
    }
}
