//! One instance and its past.

use std::{collections::VecDeque, time::Duration};

use cortecs_api::types::{
    BillingInterval, Instance, InstanceArgs, InstanceState, InstanceStatus, WorkerStatus,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{catalog::Catalog, progress};

/// The most past runs that are kept for an instance, so that late lists can show them.
const MAX_RUNS: usize = 64;

/// One run of an instance. Times are durations since the simulator's start.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    since: Duration,
    until: Option<Duration>,
    /// How long each worker takes for a step.
    step: Duration,
}

/// An instance with its history. Deleted instances are kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) client_id: String,
    /// The resolved arguments, with all defaults.
    pub(super) args: InstanceArgs,
    pub(super) created: Duration,
    pub(super) deleted: Option<Duration>,
    pub(super) outsider: bool,
    /// How often the instance became billed.
    pub(super) billed_starts: u32,
    runs: VecDeque<Run>,
    /// The cost in EUR of the runs that have ended.
    settled: f64,
}

/// An instance that exists or existed, as tests and the control endpoint see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstanceHistory {
    /// The instance as it is now, or as it was at its deletion.
    pub instance: Instance,
    /// The account that started it, and that account's owner.
    pub client_id: String,
    pub owner: String,
    pub created_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    /// How often the instance became billed, by its start and its restarts.
    pub billed_starts: u32,
    /// The cost in EUR until now.
    pub cost: f64,
    /// What a started minute or hour of all its workers costs, in EUR.
    pub interval_cost: f64,
    /// Whether [`crate::Handle::outsider_start`] started the instance, and no request.
    pub outsider: bool,
}

impl InstanceHistory {
    /// Whether the instance exists and is pending or running.
    pub fn is_billed(&self) -> bool {
        self.deleted_at.is_none() && self.instance.instance_status.status != InstanceState::Stopped
    }
}

impl Held {
    /// An instance that has not run yet.
    pub(super) fn new(id: String, owner: String, client_id: String, args: InstanceArgs) -> Self {
        Self {
            id,
            owner,
            client_id,
            args,
            ..Self::default()
        }
    }

    /// Makes the instance active and billed.
    pub(super) fn run(&mut self, now: Duration, step: Duration) {
        if self.runs.len() >= MAX_RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back(Run {
            since: now,
            until: None,
            step,
        });
        self.billed_starts = self.billed_starts.saturating_add(1);
    }

    pub(super) fn stop(&mut self, now: Duration, catalog: &Catalog) {
        let running = self.running_cost(now, catalog);
        if let Some(run) = self.runs.back_mut()
            && run.until.is_none()
        {
            run.until = Some(now);
            self.settled += running;
        }
    }

    /// Deletes the instance in any state.
    pub(super) fn delete(&mut self, now: Duration, catalog: &Catalog) {
        self.stop(now, catalog);
        self.deleted.get_or_insert(now);
    }

    pub(super) fn is_active(&self) -> bool {
        self.deleted.is_none() && self.runs.back().is_some_and(|run| run.until.is_none())
    }

    pub(super) fn existed_at(&self, at: Duration) -> bool {
        self.created <= at && self.deleted.is_none_or(|deleted| deleted > at)
    }

    pub(super) fn workers(&self) -> u32 {
        self.args.num_workers.unwrap_or(1)
    }

    pub(super) fn hardware(&self) -> &str {
        self.args.hardware_type_id.as_deref().unwrap_or_default()
    }

    /// The time of the next change by itself.
    pub(super) fn next_change(&self, now: Duration) -> Option<Duration> {
        let run = self.runs.back().filter(|_| self.is_active())?;
        let elapsed = now.saturating_sub(run.since);
        progress::next_step(self.workers(), elapsed, run.step)
            .map(|at| run.since.saturating_add(at))
    }

    /// The cost in EUR until now.
    pub(super) fn cost(&self, now: Duration, catalog: &Catalog) -> f64 {
        self.settled + self.running_cost(now, catalog)
    }

    /// The cost of the present run. Each started minute or hour of each worker is billed, from the request on.
    fn running_cost(&self, now: Duration, catalog: &Catalog) -> f64 {
        let Some(run) = self.runs.back().filter(|run| run.until.is_none()) else {
            return 0.0;
        };
        let intervals = now.saturating_sub(run.since).as_secs_f64() / self.interval_seconds();
        intervals.ceil().max(1.0) * self.interval_cost(catalog)
    }

    fn interval_seconds(&self) -> f64 {
        match self.args.billing_interval {
            Some(BillingInterval::PerHour) => 3600.0,
            _ => 60.0,
        }
    }

    /// What a started interval of all workers costs.
    fn interval_cost(&self, catalog: &Catalog) -> f64 {
        let hour = catalog.price_per_hour(self.hardware());
        hour * self.interval_seconds() / 3600.0 * f64::from(self.workers())
    }

    /// The instance at a time at which it existed.
    pub(super) fn view(&self, at: Duration, epoch: Timestamp) -> Instance {
        let run = self.runs.iter().rev().find(|run| run.since <= at);
        let run = run.or(self.runs.front());
        let Run { since, until, step } = run.copied().unwrap_or_default();
        let stopped = until.filter(|until| *until <= at);
        let elapsed = stopped.unwrap_or(at).saturating_sub(since);
        let ready = elapsed >= progress::time_to_ready(step);
        let started_at =
            ready.then(|| rfc3339(epoch, since.saturating_add(progress::time_to_ready(step))));
        let count = self.workers();
        let (status, worker_statuses) = match (stopped, ready) {
            (Some(_), _) => {
                let idle = vec![
                    WorkerStatus {
                        init_progress: None
                    };
                    count as usize
                ];
                (InstanceState::Stopped, idle)
            }
            (None, true) => (
                InstanceState::Running,
                progress::workers(count, elapsed, step),
            ),
            (None, false) => (
                InstanceState::Pending,
                progress::workers(count, elapsed, step),
            ),
        };
        Instance {
            instance_id: self.id.clone(),
            base_url: (status == InstanceState::Running)
                .then(|| format!("https://{}.instances.example/v1", self.id)),
            instance_args: self.args.clone(),
            instance_status: InstanceStatus {
                status,
                started_at,
                stopped_at: stopped.map(|stopped| rfc3339(epoch, stopped)),
            },
            worker_statuses,
        }
    }

    pub(super) fn history(
        &self,
        now: Duration,
        epoch: Timestamp,
        catalog: &Catalog,
    ) -> InstanceHistory {
        InstanceHistory {
            instance: self.view(now, epoch),
            client_id: self.client_id.clone(),
            owner: self.owner.clone(),
            created_at: wall(epoch, self.created),
            deleted_at: self.deleted.map(|deleted| wall(epoch, deleted)),
            billed_starts: self.billed_starts,
            cost: self.cost(now, catalog),
            interval_cost: self.interval_cost(catalog),
            outsider: self.outsider,
        }
    }
}

/// The calendar time `since` after the simulator's start.
pub(super) fn wall(epoch: Timestamp, since: Duration) -> Timestamp {
    SignedDuration::try_from(since)
        .ok()
        .and_then(|since| epoch.checked_add(since).ok())
        .unwrap_or(Timestamp::MAX)
}

fn rfc3339(epoch: Timestamp, since: Duration) -> String {
    format!("{:.3}", wall(epoch, since))
}
