//! The command `reap`: makes the stops that are overdue because no operator makes them, and ends. Nothing is started.
//!
//! It decides as the operator does, by the same code, confined to stops (`cortecs_rules::instance::input::Settings`). It competes for the same
//! Lease, so it never acts beside an operator.
//!
//! | file | what it has |
//! |---|---|
//! | [`report`] | what is said in the end |
//! | `look` | which stops are overdue |
//! | `stop` | the stops, by the holder of the Lease |

mod look;
pub mod report;
mod stop;

use std::time::Duration;

use cortecs_rules::account::manager::Standing;
use jiff::SignedDuration;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use self::{
    look::{Found, Looker},
    report::{End, Fate, Line, Report},
    stop::{Until, stop},
};
use crate::{
    cli::ReapConfig,
    controllers::Parts,
    kubernetes::client,
    leadership::{LEASE_NAME, Leadership, identity, present_holder},
    serve::signals::Shutdown,
};

/// How often it is looked, during the wait for the Lease, whether its holder makes the stops.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// The pause after a failed read.
const RETRY: Duration = Duration::from_secs(2);

/// How long a stop must be overdue, and how long all may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub overdue: Duration,
    pub deadline: Duration,
}

/// Connects to the cluster and makes the overdue stops.
///
/// # Errors
/// One sentence: why nothing could be done, or why it is refused.
pub async fn run(config: ReapConfig, shutdown: Shutdown) -> Result<Report, String> {
    let connection = client::connect().await?;
    let limits = Limits {
        overdue: config.overdue,
        deadline: config.deadline,
    };
    let parts = Parts {
        client: connection.client,
        namespace: connection.namespace,
        config: config.run,
        effects: None,
    };
    run_with(parts, limits, shutdown).await
}

/// Makes the overdue stops.
///
/// # Errors
/// One sentence: why nothing could be done, or why it is refused.
pub async fn run_with(parts: Parts, limits: Limits, shutdown: Shutdown) -> Result<Report, String> {
    let deadline = Instant::now() + limits.deadline;
    if !parts.config.leader_elect {
        return Err(refused("--leader-elect is false"));
    }
    let looker = Looker {
        client: parts.client.clone(),
        namespace: parts.namespace.clone(),
        watched: parts.config.watch_namespaces.clone(),
        limit: SignedDuration::try_from(limits.overdue).unwrap_or(SignedDuration::MAX),
    };
    let found = timeout_at(deadline, looker.look_until_known(RETRY)).await;
    let found = found.map_err(|_| "the resources could not be read in time".to_owned())?;
    if found.is_empty() {
        let seconds = limits.overdue.as_secs();
        return Ok(Report {
            lines: Vec::new(),
            summary: format!("no stop is overdue by more than {seconds} s"),
            end: End::Done,
        });
    }
    if sort(found.clone())?.ours.is_empty() {
        return Ok(Report::of(sort(found)?.lines));
    }
    let identity = identity();
    let leadership = Leadership::start(parts.client.clone(), &parts.namespace, identity.clone());
    let until = Until {
        deadline,
        shutdown: &shutdown,
    };
    let result = lead(parts, &identity, &leadership, &looker, found, until).await;
    leadership.release().await;
    result
}

/// The overdue stops, sorted.
struct Sorted {
    /// The stops to make.
    ours: Found,
    /// The lines of the report about the others.
    lines: Vec<Line>,
}

/// Sorts the overdue stops by whose accounts they concern.
///
/// # Errors
/// That an account is managed by an operator without leader election.
fn sort(found: Found) -> Result<Sorted, String> {
    let mut sorted = Sorted {
        ours: Found::new(),
        lines: Vec::new(),
    };
    for (key, overdue) in found {
        let fate = match &overdue.standing {
            Standing::Ours => {
                sorted.ours.insert(key, overdue);
                continue;
            }
            Standing::Others(other) => Fate::Others(other.namespace.clone()),
            Standing::Unmanaged => Fate::Runs(
                "the status of its account does not name this operator as its manager".to_owned(),
            ),
            Standing::NotElected => {
                let account = overdue.account.as_ref();
                let account = account.map(ToString::to_string).unwrap_or_default();
                let why = format!(
                    "{key} is overdue, and the operator that manages its account {account} runs without leader election"
                );
                return Err(refused(&why));
            }
        };
        sorted.lines.push(overdue.line(&key, fate));
    }
    Ok(sorted)
}

fn refused(why: &str) -> String {
    format!("{why}: without a Lease nobody can tell whether an operator acts, so nothing is done")
}

/// Waits for the lease, and makes the stops.
async fn lead(
    parts: Parts,
    identity: &str,
    leadership: &Leadership,
    looker: &Looker,
    mut found: Found,
    until: Until<'_>,
) -> Result<Report, String> {
    tokio::select! {
        acquired = leadership.acquired() => acquired.map_err(|end| end.to_string())?,
        () = made_meanwhile(looker, &mut found) => {
            let mut report = Report::of(Vec::new());
            report.summary = "the stops were made by another process in the meantime".to_owned();
            return Ok(report);
        }
        () = until.shutdown.requested() => return Err("ended by a signal before the Lease could be had: nothing was stopped".to_owned()),
        () = sleep_until(until.deadline) => return not_acquired(&parts, leadership, &found).await,
    }
    // Nobody else acts any more: what is overdue now is what is to be stopped.
    let found = timeout_at(until.deadline, looker.look_until_known(RETRY)).await;
    let found = found.map_err(|_| "the resources could not be read in time".to_owned())?;
    let Sorted { ours, mut lines } = sort(found)?;
    if !ours.is_empty() {
        tracing::info!(overdue = ours.len(), "the overdue stops are made");
        let limit = looker.limit;
        lines.extend(stop(parts, identity, leadership, &ours, limit, until).await);
    }
    lines.sort_by(|a, b| a.resource.cmp(&b.resource));
    Ok(Report::of(lines))
}

/// Completes when no stop is overdue any more. What is overdue is updated.
async fn made_meanwhile(looker: &Looker, found: &mut Found) {
    while !found.is_empty() {
        sleep(LOOK_AGAIN).await;
        *found = looker.look_until_known(RETRY).await;
    }
}

/// The report when the lease cannot be had.
async fn not_acquired(
    parts: &Parts,
    leadership: &Leadership,
    found: &Found,
) -> Result<Report, String> {
    if let Some(problem) = leadership.problem() {
        return Err(format!("nothing was stopped: {problem}"));
    }
    let holder = present_holder(parts.client.clone(), &parts.namespace).await;
    let holder = holder.unwrap_or_else(|| "another process".to_owned());
    let why = format!(
        "the Lease {LEASE_NAME} is held by {holder}, which renews it and has to make the stop"
    );
    let lines = found
        .iter()
        .map(|(key, overdue)| overdue.line(key, Fate::Runs(why.clone())));
    Ok(Report {
        lines: lines.collect(),
        summary: format!(
            "nothing was done: the Lease {LEASE_NAME} is held by {holder}. The operator is alive; see why it does not make the stops"
        ),
        end: End::LeaseHeld,
    })
}
