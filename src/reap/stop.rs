//! The stops, by the holder of the Lease: the controllers of the operator, confined to the stops of some resources.

use std::time::Duration;

use cortecs_clock as clock;
use cortecs_resources::{
    CortecsInstance,
    conditions::{READY, find_condition},
    key::ObjectKey,
};
use cortecs_rules::{
    cost::overdue::{Outcome, outcome},
    facts::account_entry::AccountState,
};
use jiff::SignedDuration;
use tokio::time::{sleep, sleep_until};

use super::{
    look::{Overdue, Stops, Until},
    report::{Fate, Line},
};
use crate::{
    controllers::{Controllers, Parts, Task},
    instance::restore_watch,
    leadership::Leadership,
    serve::{metrics::Metrics, signals::Shutdown},
};

/// How often it is looked whether everything is stopped.
const LOOK: Duration = Duration::from_millis(200);

/// Stops what is overdue. The lines of the report.
pub(super) async fn stop(
    parts: Parts,
    identity: &str,
    leadership: &Leadership,
    overdue: &Stops,
    limit: SignedDuration,
    until: Until<'_>,
) -> Vec<Line> {
    let targets = overdue.keys().cloned().collect();
    let task = Task::Stop(targets);
    let controllers = Controllers::new(parts, identity, leadership, &Metrics::new(), task);
    let instances = &controllers.instances;
    let (trigger, ending) = Shutdown::new();
    let supervised = async {
        tokio::select! {
            () = all_stopped(&controllers, overdue, limit) => {}
            () = sleep_until(until.deadline) => {}
            () = until.shutdown.requested() => {}
        }
        // The controllers finish and record the step that they have begun.
        trigger.shut_down();
    };
    let cut_short = tokio::select! {
        _ = async { tokio::join!(controllers.run(&ending), supervised) } => None,
        () = restore_watch::run(instances) => None,
        message = instances.history.restored() => Some(message),
        loss = leadership.lost() => Some(format!("the Lease was lost: {loss}")),
    };
    let lines = overdue.iter().map(|(key, overdue)| {
        let fate = match outcome_of(&controllers, key, overdue, limit) {
            Outcome::Stopped => Fate::Stopped,
            Outcome::Gone => Fate::Gone,
            Outcome::NotDue => Fate::NotDue,
            Outcome::Overdue => {
                let why = cut_short.clone();
                Fate::Runs(why.unwrap_or_else(|| why_it_runs(&controllers, key, overdue)))
            }
        };
        overdue.line(key, fate)
    });
    lines.collect()
}

/// Completes when no stop is overdue any more.
async fn all_stopped(controllers: &Controllers, overdue: &Stops, limit: SignedDuration) {
    let context = &controllers.instances;
    while !(context.watches.all_listed() && context.directory.synced()) {
        sleep(LOOK).await;
    }
    // As after the start of the operator.
    controllers.enqueuer.enqueue_all();
    context.directory.request_withheld();
    let is_open = |(key, overdue): (&ObjectKey, &Overdue)| {
        outcome_of(controllers, key, overdue, limit) == Outcome::Overdue
    };
    while overdue.iter().any(is_open) {
        sleep(LOOK).await;
    }
}

fn outcome_of(
    controllers: &Controllers,
    key: &ObjectKey,
    overdue: &Overdue,
    limit: SignedDuration,
) -> Outcome {
    let context = &controllers.instances;
    let book = context.book.lock();
    let resource: Option<&CortecsInstance> = book.get(key).map(|entry| &*entry.resource);
    match resource {
        // Before all are listed, it is not known to be gone.
        None if !context.watches.all_listed() => Outcome::Overdue,
        resource => outcome(resource, overdue.of_account, limit, clock::wall()),
    }
}

/// Why an instance is not stopped: the account, the last failure, or what its status says.
fn why_it_runs(controllers: &Controllers, key: &ObjectKey, overdue: &Overdue) -> String {
    let context = &controllers.instances;
    if let Some(account) = &overdue.account {
        let entry = context.directory.account(&account.namespace, &account.name);
        match entry.as_ref().map(|entry| &entry.state) {
            None => return format!("account {account} does not exist or is not read yet"),
            Some(AccountState::Pending) => {
                return format!("account {account} could not be checked in time");
            }
            Some(AccountState::Unusable { message, .. }) => {
                return format!("of account {account}: {message}");
            }
            Some(AccountState::Usable(_)) => {}
        }
    }
    let book = context.book.lock();
    let Some(entry) = book.get(key) else {
        return "the resource could not be read in time".to_owned();
    };
    if let Some(failure) = &entry.memory.failure {
        return failure.message.clone();
    }
    let status = entry.resource.status.as_ref();
    let ready = status.and_then(|status| find_condition(&status.conditions, READY));
    let message = ready.filter(|ready| ready.status != "True");
    message.map_or_else(
        || "the API has not answered in time".to_owned(),
        |ready| ready.message.clone(),
    )
}
