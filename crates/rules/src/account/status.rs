//! The status of an account: from what is known to what is written, decisions only.

use std::time::Duration;

use cortecs_api::RetryClass;
use cortecs_resources::{
    account::{Balance, CortecsAccountStatus, Hold, ManagedBy},
    conditions::{
        READY, RECONCILING, STALLED, find_condition, remove_condition, set_condition, whole_seconds,
    },
    key::ObjectKey,
    reason::Reason,
    stop_all::StopAll,
    unmanaged::UnmanagedInstance,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{stop_all::Stage, summary::Summary};
use crate::{
    cost::{
        bill::{Settlement, settle},
        money::{self, Money},
    },
    facts::{account_entry::AccountState, fleet_health::FleetHealth, notes, patience},
};

/// The facts from which the status of an account is made.
#[derive(Clone, Debug, Default)]
pub struct View<'a> {
    pub generation: i64,
    pub state: AccountState,
    pub health: FleetHealth,
    /// The API's words when it last refused a start or restart for lack of money, until one is accepted.
    pub unpaid: Option<String>,
    pub summary: Option<&'a Summary>,
    /// When the list behind `summary` was received.
    pub listed_at: Option<Timestamp>,
    /// What the account waits for, if it is being deleted.
    pub deletion: Option<Deletion>,
    /// What is wrong with the selector of namespaces.
    pub selector_flaw: Option<String>,
    /// What is ignored in the account.
    pub notes: Vec<String>,
    /// What Kubernetes says against a change of the account's finalizers.
    pub refused: Option<String>,
    /// The account's own hold, as it should be.
    pub hold: Option<Hold>,
    /// The value of `cortecs.ai/resume` that counts as handled.
    pub last_handled_resume: Option<String>,
    /// The end of the hold, if it ends now.
    pub hold_ended: Option<Timestamp>,
    /// What the account's mode has stopped, as the status should have it.
    pub stop_all: Option<StopAll>,
    /// What the conditions say of that mode.
    pub stage: Stage,
    /// This operator.
    pub managed_by: Option<ManagedBy>,
    /// Why the fleet of the account is on hold: this account is, or another one of the same client id.
    pub held: Option<String>,
    /// The resources that go, and what they have cost.
    pub settlement: Settlement,
}

/// What an account waits for that is being deleted.
#[derive(Clone, Debug, Default)]
pub struct Deletion {
    /// This many resources use it.
    pub used_by: usize,
    /// Some of these resources.
    pub users: Vec<ObjectKey>,
    /// The finalizers of others.
    pub finalizers: Option<String>,
}

/// Whether the status tells of the deletion already, or of what stands against it: it is told once.
pub fn tells_of_deletion(status: Option<&CortecsAccountStatus>) -> bool {
    let ready = status.and_then(|status| find_condition(&status.conditions, READY));
    let reason = ready.and_then(Reason::of);
    matches!(reason, Some(Reason::Deleting | Reason::WriteRefused))
}

/// After so many failed lists in a row an account stops being ready: a single failure is not worth a write.
pub const FAILURES_TO_TELL: u32 = 3;

/// How long an account waits for its Secret before a person is asked: as long as an instance by default.
const SECRET_DEADLINE: SignedDuration = SignedDuration::from_mins(30);

pub(super) enum Progress {
    Done,
    Reconciling,
    Stalled,
}

/// The status to write, or `None` while `previous` says the same. The time of the last list is not worth a write of its own.
pub fn next_status(
    previous: &CortecsAccountStatus,
    view: &View<'_>,
    now: Timestamp,
) -> Option<CortecsAccountStatus> {
    let (progress, reason, mut message) = judge(view);
    notes::append(&mut message, view.notes.iter().cloned());
    let judged = (progress, reason, message);
    let conditions = match with_patience(judged, previous, view.generation, now) {
        // A new process knows nothing yet that speaks against what an earlier one has found.
        (_, Reason::Verifying, _) if was_judged(previous, view) => previous.conditions.clone(),
        judged => conditions(previous, judged, view.generation, now),
    };
    let (instances, unmanaged) = match view.summary {
        Some(summary) => (Some(&summary.counts), unmanaged(previous, summary)),
        None => (previous.instances.as_ref(), previous.unmanaged.clone()),
    };
    let summary = view.summary;
    let price_per_hour = summary.and_then(|summary| summary.price_per_hour.as_ref());
    let balance = summary.and_then(|summary| summary.balance.as_ref());
    let balance = next_balance(previous.balance.as_ref(), balance, now);
    let (spent, settled) = settle(&previous.spent, &previous.settled, &view.settlement);
    let mut next = CortecsAccountStatus {
        observed_generation: Some(view.generation),
        conditions,
        instances: instances.cloned(),
        unmanaged,
        // A balance or a price that this process does not know yet stays as it is.
        balance,
        price_per_hour: price_per_hour.unwrap_or(&previous.price_per_hour).clone(),
        spent,
        settled,
        last_poll_time: previous.last_poll_time,
        hold: view.hold.clone(),
        last_handled_resume: view.last_handled_resume.clone(),
        last_hold_end_time: view.hold_ended.or(previous.last_hold_end_time),
        stop_all: view.stop_all.clone(),
        managed_by: view.managed_by.clone(),
    };
    if next == *previous {
        return None;
    }
    if let Some(listed_at) = view.listed_at {
        next.last_poll_time = Some(whole_seconds(listed_at).0);
    }
    Some(next)
}

/// The unmanaged instances to show. Until a new process knows prices, those that are shown stay.
fn unmanaged(previous: &CortecsAccountStatus, summary: &Summary) -> Vec<UnmanagedInstance> {
    let mut unmanaged = summary.unmanaged.clone();
    if summary.price_per_hour.is_some() {
        return unmanaged;
    }
    for instance in &mut unmanaged {
        let shown = previous.unmanaged.iter().find(|shown| {
            (&shown.id, &shown.args, &shown.state)
                == (&instance.id, &instance.args, &instance.state)
        });
        if let Some(shown) = shown {
            instance.price_per_hour.clone_from(&shown.price_per_hour);
            instance.currency.clone_from(&shown.currency);
        }
    }
    unmanaged
}

/// The balance to show. Each process asks for it when it begins, and that is not worth a write before the shown one is old.
fn next_balance(shown: Option<&Balance>, known: Option<&Money>, now: Timestamp) -> Option<Balance> {
    let Some(known) = known else {
        return shown.cloned();
    };
    let is_young = |shown: &&Balance| {
        let age = Duration::try_from(now.duration_since(shown.last_update_time));
        age.is_ok_and(|age| !money::is_due(age, true))
    };
    let is_same =
        |shown: &&Balance| (&shown.amount, &shown.currency) == (&known.amount, &known.currency);
    match shown.filter(|shown| is_young(shown) || is_same(shown)) {
        Some(shown) => Some(shown.clone()),
        None => Some(Balance {
            amount: known.amount.clone(),
            currency: known.currency.clone(),
            last_update_time: whole_seconds(now).0,
        }),
    }
}

/// A Secret that is not there is waited for, as what is applied together appears in any order.
fn with_patience(
    judged: (Progress, Reason, String),
    previous: &CortecsAccountStatus,
    generation: i64,
    now: Timestamp,
) -> (Progress, Reason, String) {
    let (Progress::Stalled, Reason::SecretNotFound, message) = judged else {
        return judged;
    };
    let is_current = previous.observed_generation == Some(generation);
    let conditions = &previous.conditions;
    let reason = Reason::SecretNotFound;
    if patience::is_overdue(conditions, reason, is_current, SECRET_DEADLINE, now) {
        return (Progress::Stalled, Reason::SecretNotFound, message);
    }
    (Progress::Reconciling, Reason::WaitingForSecret, message)
}

/// Whether the status has a finding about this version of the spec.
fn was_judged(previous: &CortecsAccountStatus, view: &View<'_>) -> bool {
    previous.observed_generation == Some(view.generation)
        && find_condition(&previous.conditions, READY).is_some()
}

pub(super) fn conditions(
    previous: &CortecsAccountStatus,
    (progress, reason, message): (Progress, Reason, String),
    generation: i64,
    now: Timestamp,
) -> Vec<Condition> {
    let mut conditions = previous.conditions.clone();
    let mut set = |kind: &str, status: bool| {
        set_condition(
            &mut conditions,
            kind,
            status,
            reason,
            &message,
            generation,
            now,
        );
    };
    match progress {
        Progress::Done => set(READY, true),
        Progress::Reconciling => {
            set(READY, false);
            set(RECONCILING, true);
        }
        Progress::Stalled => {
            set(READY, false);
            set(STALLED, true);
        }
    }
    if !matches!(progress, Progress::Reconciling) {
        remove_condition(&mut conditions, RECONCILING);
    }
    if !matches!(progress, Progress::Stalled) {
        remove_condition(&mut conditions, STALLED);
    }
    conditions
}

fn judge(view: &View<'_>) -> (Progress, Reason, String) {
    if let Some(refused) = &view.refused {
        return (Progress::Stalled, Reason::WriteRefused, refused.clone());
    }
    if let Some(deletion) = &view.deletion {
        let (reason, message) = deleting(deletion);
        return (Progress::Reconciling, reason, message);
    }
    match &view.state {
        AccountState::Unusable { reason, message } => {
            let progress = if view.state.is_passing() {
                Progress::Reconciling
            } else {
                Progress::Stalled
            };
            (progress, *reason, message.clone())
        }
        AccountState::Pending => (
            Progress::Reconciling,
            Reason::Verifying,
            "the credentials are being verified".to_owned(),
        ),
        AccountState::Usable(_) => {
            if let Some(why) = &view.held {
                return (Progress::Stalled, Reason::MassChange, why.clone());
            }
            if let Some(why) = view.health.wrong_url() {
                return (Progress::Stalled, Reason::ApiUrlInvalid, why);
            }
            let never_listed = view.health.last_good.is_none();
            match &view.health.last_error {
                Some(error) if never_listed || view.health.failures >= FAILURES_TO_TELL => {
                    match error.class {
                        RetryClass::Terminal => (
                            Progress::Stalled,
                            Reason::ListRefused,
                            format!(
                                "{}; check apiUrl and the account's permissions",
                                error.message
                            ),
                        ),
                        _ => (
                            Progress::Reconciling,
                            Reason::RetryingAfterError,
                            format!("{}; trying again", error.message),
                        ),
                    }
                }
                _ if never_listed => (
                    Progress::Reconciling,
                    Reason::Verifying,
                    "the instances are being listed for the first time".to_owned(),
                ),
                _ => listed(view),
            }
        }
    }
}

/// The credentials work, and the instances are listed.
fn listed(view: &View<'_>) -> (Progress, Reason, String) {
    match &view.stage {
        Stage::NotAsked => {}
        Stage::Refused(why) => return (Progress::Stalled, Reason::StopAllRefused, why.clone()),
        Stage::CallRefused(why) => return (Progress::Stalled, Reason::CallRefused, why.clone()),
        Stage::Stopping(what) => return (Progress::Reconciling, Reason::StoppingAll, what.clone()),
        Stage::Stopped => {
            let message = "mode StopAll: nothing runs, and what comes up is stopped again";
            return (Progress::Done, Reason::AllStopped, message.to_owned());
        }
    }
    if let Some(flaw) = &view.selector_flaw {
        let message =
            format!("{flaw}. Until then no namespace may start anything; stops and deletes go on");
        return (Progress::Stalled, Reason::SelectorInvalid, message);
    }
    if let Some(said) = &view.unpaid {
        let message = format!(
            "{said}; top up the account: instances that run are left alone, and starts are tried again less and less often"
        );
        return (Progress::Stalled, Reason::InsufficientBalance, message);
    }
    match view.summary.map_or(0, |summary| summary.unlisted) {
        0 => (
            Progress::Done,
            Reason::Verified,
            "the API accepts the credentials and lists the instances".to_owned(),
        ),
        unlisted => {
            let message = format!(
                "the API's list lacks {unlisted} instances that the API finds, so an instance that is not listed need not be gone: ask the \
                 provider why"
            );
            (Progress::Stalled, Reason::ListIncomplete, message)
        }
    }
}

fn deleting(deletion: &Deletion) -> (Reason, String) {
    let Deletion {
        used_by,
        users,
        finalizers,
    } = deletion;
    match (used_by, finalizers) {
        (0, None) => {
            let message = "no CortecsInstance uses this account: it is deleted now";
            (Reason::Deleting, message.to_owned())
        }
        (0, Some(finalizers)) => {
            let message = format!(
                "no CortecsInstance uses this account: it goes when others have removed their {finalizers}"
            );
            (Reason::Deleting, message)
        }
        (count, _) => (Reason::InUse, in_use(*count, users)),
    }
}

fn in_use(count: usize, users: &[ObjectKey]) -> String {
    let resources = match count {
        1 => "1 CortecsInstance uses".to_owned(),
        n => format!("{n} CortecsInstances use"),
    };
    let names = match users {
        [] => String::new(),
        shown => {
            let names: Vec<_> = shown.iter().map(ToString::to_string).collect();
            let more = if count > shown.len() { ", …" } else { "" };
            format!(" ({}{more})", names.join(", "))
        }
    };
    format!(
        "{resources} this account{names}: it is deleted once they are; until then nothing is started, stops and deletes go on"
    )
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
