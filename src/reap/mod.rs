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

use jiff::SignedDuration;
use tokio::time::{Instant, sleep, sleep_until};

use self::{
    look::{Found, Looker, Until},
    report::{End, Fate, Report},
    stop::stop,
};
use crate::{
    cli::ReapConfig,
    controllers::Parts,
    environment,
    kubernetes::client,
    leadership::{LEASE_NAME, Leadership, identity, present_holder},
    serve::signals::Shutdown,
};

/// How often it is looked, during the wait for the Lease, whether its holder makes the stops.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

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
    let proxies = environment::proxies(&config.run.allowed_hosts)?;
    let connection = client::connect(&proxies).await?;
    let limits = Limits {
        overdue: config.overdue,
        deadline: config.deadline,
    };
    let parts = Parts {
        client: connection.client,
        namespace: connection.namespace,
        config: config.run,
        proxies,
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
    let until = Until {
        deadline,
        shutdown: &shutdown,
    };
    let found = looker.look_until_known(until).await?;
    if found.ours.is_empty() && found.others.is_empty() {
        let seconds = limits.overdue.as_secs();
        return Ok(Report {
            lines: Vec::new(),
            summary: format!("no stop is overdue by more than {seconds} s"),
            end: End::Done,
        });
    }
    if found.ours.is_empty() {
        return Ok(Report::of(found.others));
    }
    let identity = identity();
    let leadership = Leadership::start(parts.client.clone(), &parts.namespace, identity.clone());
    let result = lead(parts, &identity, &leadership, &looker, found, until).await;
    leadership.release().await;
    result
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
            let mut report = Report::of(found.others);
            if report.end == End::Done {
                report.summary = "the stops were made by another process in the meantime".to_owned();
            }
            return Ok(report);
        }
        () = until.shutdown.requested() => return Err("ended by a signal before the Lease could be had: nothing was stopped".to_owned()),
        () = sleep_until(until.deadline) => return not_acquired(&parts, leadership, found).await,
    }
    // Nobody else acts any more: what is overdue now is what is to be stopped.
    let Found { ours, others } = looker.look_until_known(until).await?;
    let mut lines = others;
    if !ours.is_empty() {
        tracing::info!(overdue = ours.len(), "the overdue stops are made");
        let limit = looker.limit;
        lines.extend(stop(parts, identity, leadership, &ours, limit, until).await);
    }
    Ok(Report::of(lines))
}

/// Completes when no stop of ours is overdue any more. What is overdue is updated; after a failed read it is as before.
async fn made_meanwhile(looker: &Looker, found: &mut Found) {
    while !found.ours.is_empty() {
        tracing::info!(overdue = found.ours.len(), "waits for the Lease");
        sleep(LOOK_AGAIN).await;
        match looker.look().await {
            Ok(now) => *found = now,
            Err(problem) => tracing::warn!(?problem, "the resources cannot be read now"),
        }
    }
}

/// The report when the lease cannot be had.
async fn not_acquired(
    parts: &Parts,
    leadership: &Leadership,
    found: Found,
) -> Result<Report, String> {
    if let Some(problem) = leadership.problem() {
        return Err(format!("nothing was stopped: {problem}"));
    }
    let holder = present_holder(parts.client.clone(), &parts.namespace).await;
    let holder = holder.unwrap_or_else(|| "another process".to_owned());
    let why = format!(
        "the Lease {LEASE_NAME} is held by {holder}, which renews it and has to make the stop"
    );
    let ours = found.ours.iter();
    let ours = ours.map(|(key, overdue)| overdue.line(key, Fate::Runs(why.clone())));
    Ok(Report {
        lines: report::in_order(ours.chain(found.others).collect()),
        summary: format!(
            "nothing was done: the Lease {LEASE_NAME} is held by {holder}. The operator is alive; see why it does not make the stops"
        ),
        end: End::LeaseHeld,
    })
}
