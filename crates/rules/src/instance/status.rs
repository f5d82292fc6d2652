//! The status of a resource: the one place where its fields are set. Pure.

use cortecs_api::{
    fit, is_shown,
    types::{Instance, InstanceState, MAX_WORKERS, WorkerStatus as ApiWorker},
};
use cortecs_resources::{
    conditions::{
        AVAILABLE, READY, RECONCILING, STALLED, WORKERS_READY, remove_condition, set_condition,
    },
    instance::CortecsInstanceSpec,
    instance_status::{
        CortecsInstanceStatus, InitProgress, InstanceStatus, Phase, WorkerStatus, Workers,
    },
    journal::Slot,
    reason::Reason,
};
use jiff::Timestamp;

use super::verdict::{Verdict, VerdictKind};
use crate::facts::args::{self, MAX_WORD};

/// Longest description of a step that the schema takes, in characters.
const MAX_DESCRIPTION: usize = 256;
/// Longest URL that the schema takes.
const MAX_URL: usize = 2048;

/// The status takes over what the API says of the bound instance.
pub fn show_instance(status: &mut CortecsInstanceStatus, instance: &Instance) {
    let CortecsInstanceStatus {
        instance_args,
        base_url,
        instance_status,
        worker_statuses,
        progress,
        journal,
        next_transition: _,
        cost: _,
        // These are not what the API says of the instance.
        observed_generation: _,
        conditions: _,
        phase: _,
        instance_id: _,
        workers: _,
        account: _,
        last_handled_restart_at: _,
        last_handled_request_at: _,
    } = status;
    *instance_args = Some(args::in_force(
        &instance.instance_args,
        instance_args.as_ref(),
    ));
    *base_url = instance.base_url.clone().filter(|url| is_url(url));
    journal.slots.current.missing_since = None;
    *instance_status = Some(InstanceStatus {
        status: fit(instance.instance_status.status.as_str(), MAX_WORD),
        started_at: instance
            .instance_status
            .started_at
            .as_deref()
            .map(|t| fit(t, MAX_WORD)),
        stopped_at: instance
            .instance_status
            .stopped_at
            .as_deref()
            .map(|t| fit(t, MAX_WORD)),
    });
    *worker_statuses = instance
        .worker_statuses
        .iter()
        .take(MAX_WORKERS)
        .map(worker)
        .collect();
    *progress = most_advanced(instance);
}

/// The status forgets the bound instance; where an open start lives is kept.
pub fn forget_instance(status: &mut CortecsInstanceStatus) {
    let CortecsInstanceStatus {
        instance_id,
        base_url,
        instance_args,
        instance_status,
        worker_statuses,
        progress,
        account,
        journal,
        next_transition: _,
        cost: _,
        // These are of the resource, or follow from the rest.
        observed_generation: _,
        conditions: _,
        phase: _,
        workers: _,
        last_handled_restart_at: _,
        last_handled_request_at: _,
    } = status;
    let Slot {
        requested_args,
        restart,
        start,
        missing_since,
        // These are of the resource.
        last_start_time: _,
        reached_generation: _,
        run_end: _,
    } = &mut journal.slots.current;
    *instance_id = None;
    *base_url = None;
    *instance_args = None;
    *requested_args = None;
    *instance_status = None;
    *missing_since = None;
    *worker_statuses = Vec::new();
    *progress = None;
    *restart = None;
    if start.is_none() {
        *account = None;
    }
}

/// Sets everything that follows from the verdict and from what is shown of the instance.
pub fn render(
    status: &mut CortecsInstanceStatus,
    spec: &CortecsInstanceSpec,
    generation: i64,
    verdict: &Verdict,
    now: Timestamp,
) {
    status.observed_generation = Some(generation);
    status.phase = Some(verdict.phase);
    if verdict.kind == VerdictKind::Ready {
        status.slot_mut().reached_generation = Some(generation);
    }
    let deleting = verdict.phase == Phase::Deleting;
    if deleting {
        status.base_url = None;
    }
    let up = is_up(status) && !deleting;
    let running = if up { running_workers(status) } else { 0 };
    // While an instance is bound, its own number of workers is expected; that of the spec may not be in force yet.
    let desired = status
        .instance_args
        .as_ref()
        .and_then(|a| a.num_workers)
        .and_then(|n| i32::try_from(n).ok())
        .unwrap_or(spec.num_workers);
    status.workers = Some(Workers {
        desired: spec.num_workers,
        running,
    });

    let available = up && running > 0 && status.base_url.is_some();
    let conditions = &mut status.conditions;
    let mut set = |kind: &str, value: bool, reason: Reason, message: &str| {
        set_condition(conditions, kind, value, reason, message, generation, now);
    };
    set(
        READY,
        verdict.kind == VerdictKind::Ready,
        verdict.reason,
        &verdict.message,
    );
    if available {
        set(
            AVAILABLE,
            true,
            Reason::EndpointUsable,
            "at least one worker runs",
        );
    } else {
        set(
            AVAILABLE,
            false,
            unavailable_reason(verdict.phase),
            "no worker can be reached",
        );
    }
    let message = format!("{running} of {desired} workers run");
    if running >= desired && running > 0 {
        set(WORKERS_READY, true, Reason::AllWorkersRun, &message);
    } else {
        set(
            WORKERS_READY,
            false,
            unavailable_reason(verdict.phase),
            &message,
        );
    }
    for (kind, present) in [
        (RECONCILING, verdict.kind == VerdictKind::Reconciling),
        (STALLED, verdict.kind == VerdictKind::Stalled),
    ] {
        if present {
            set_condition(
                conditions,
                kind,
                true,
                verdict.reason,
                &verdict.message,
                generation,
                now,
            );
        } else {
            remove_condition(conditions, kind);
        }
    }
}

/// Whether the shown instance can be used: it runs, a worker is ready, and there is a URL.
pub fn is_usable(status: &CortecsInstanceStatus) -> bool {
    is_up(status) && running_workers(status) > 0 && status.base_url.is_some()
}

/// Whether all workers of the shown instance run.
pub fn all_workers_run(status: &CortecsInstanceStatus) -> bool {
    let wanted = status
        .instance_args
        .as_ref()
        .and_then(|a| a.num_workers)
        .unwrap_or(1);
    is_up(status) && i64::from(running_workers(status)) >= wanted
}

fn is_up(status: &CortecsInstanceStatus) -> bool {
    status
        .instance_status
        .as_ref()
        .is_some_and(|s| s.status == InstanceState::Running.as_str())
}

fn running_workers(status: &CortecsInstanceStatus) -> i32 {
    let running = status
        .worker_statuses
        .iter()
        .filter_map(|w| w.init_progress.as_ref())
        .filter(|p| p.num_steps > 0 && p.current_step >= p.num_steps)
        .count();
    i32::try_from(running).unwrap_or(i32::MAX)
}

fn unavailable_reason(phase: Phase) -> Reason {
    match phase {
        Phase::Deleting => Reason::Deleting,
        Phase::Stopped | Phase::Stopping => Reason::Stopped,
        Phase::Failed => Reason::Failed,
        Phase::Pending => Reason::NotStarted,
        Phase::Starting | Phase::Running | Phase::Replacing => Reason::WorkersNotReady,
    }
}

/// Whether the API's URL can be shown. A URL that does not fit is not shown: cut or cleaned, it would lead elsewhere.
fn is_url(url: &str) -> bool {
    url.len() <= MAX_URL
        && ["https://", "http://"].iter().any(|s| url.starts_with(s))
        && url.chars().all(|c| is_shown(&c) && !c.is_whitespace())
}

fn most_advanced(instance: &Instance) -> Option<String> {
    instance
        .worker_statuses
        .iter()
        .filter_map(|w| w.init_progress.as_ref())
        .max_by_key(|p| p.current_step)
        .map(|p| format!("{}/{}", p.current_step, p.num_steps))
}

fn worker(worker: &ApiWorker) -> WorkerStatus {
    WorkerStatus {
        init_progress: worker.init_progress.as_ref().map(|p| InitProgress {
            current_step: i64::from(p.current_step),
            num_steps: i64::from(p.num_steps),
            description: fit(&p.description, MAX_DESCRIPTION),
        }),
    }
}
