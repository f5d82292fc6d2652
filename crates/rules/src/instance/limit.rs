//! Limits: when a run has to end, and what the account lets its users ask for.

use cortecs_api::types::InstanceArgs;
use cortecs_resources::{
    annotations,
    instance::{DeletionPolicy, DesiredState},
    instance_status::{CortecsInstanceStatus, Phase},
    journal::RunEnd,
    reason::Reason,
    transition::{NextTransition, TransitionAction, TransitionReason},
};
use jiff::Timestamp;

use super::{
    input::{Account, Input},
    verdict::Verdict,
};
use crate::{
    cost::run_limit::{end_of_resource, end_of_run, runs},
    facts::args,
};

/// Takes note in the status of the end of the run, and says whether the run has ended and whether that is new: then it is recorded before
/// anything is stopped.
pub(crate) fn note_end(
    input: &Input<'_>,
    status: &mut CortecsInstanceStatus,
) -> (Option<TransitionReason>, bool) {
    let spec = &input.resource.spec;
    if spec.suspend || spec.state == DesiredState::Stopped {
        return (None, false);
    }
    let generation = input.resource.metadata.generation.unwrap_or_default();
    if let Some(end) = status.slot().run_end.clone() {
        let handled = status.last_handled_restart_at.as_deref();
        let goes_on = end.reason == TransitionReason::MaxRuntimeReached
            && annotations::restart_is_asked_for(input.resource, handled);
        match end.generation == generation {
            true if goes_on && !runs(status) => return (None, false),
            // A restart stops the instance first anyway.
            true => return (Some(end.reason), false),
            // The record goes with the next start or restart.
            false if !runs(status) => {}
            false => {
                // The spec changed before the stop was made: what runs is another run.
                status.slot_mut().run_end = None;
                status.slot_mut().last_start_time = Some(input.wall);
            }
        }
    }
    match end(input, status).filter(|(at, _)| *at <= input.wall) {
        None => (None, false),
        Some((at, reason)) => {
            status.slot_mut().run_end = Some(RunEnd {
                reason,
                at,
                generation,
            });
            (Some(reason), true)
        }
    }
}

/// When the present run has to end; without a run, when nothing may be started any more.
fn end(input: &Input<'_>, status: &CortecsInstanceStatus) -> Option<(Timestamp, TransitionReason)> {
    let started = status.slot().last_start_time.filter(|_| runs(status));
    let limits = input.account.limits.as_ref();
    let of_account = limits.and_then(|limits| limits.max_runtime_seconds);
    end_of_run(&input.resource.spec, started, of_account)
}

/// When the resource goes because it has expired. Before that its instance has to be stopped, and no call may be open.
fn deletion(input: &Input<'_>, status: &CortecsInstanceStatus) -> Option<Timestamp> {
    let slot = status.slot();
    let is_quiet = !runs(status) && slot.start.is_none() && slot.restart.is_none();
    let spec = &input.resource.spec;
    let is_deleting = input.resource.metadata.deletion_timestamp.is_some();
    // The definition does not permit this policy here. It would leave the instance as it is.
    let is_left = spec.suspend || spec.deletion_policy == DeletionPolicy::Orphan;
    // The resource is the record of what its starts that were given up may still make.
    let mut voided = status.journal.voided_starts.iter();
    let is_quiet = is_quiet && !voided.any(|start| start.is_recent(input.wall));
    end_of_resource(spec).filter(|_| is_quiet && !is_deleting && !is_left)
}

/// Whether the resource is to be deleted now.
pub(crate) fn is_to_be_deleted(input: &Input<'_>, status: &CortecsInstanceStatus) -> bool {
    deletion(input, status).is_some_and(|at| at <= input.wall)
}

/// What is shown of a resource that has expired and is to be deleted. `refusal`: what Kubernetes said against it.
pub(crate) fn deleting(refusal: Option<&str>) -> Verdict {
    let expired = "expireTime has passed, and ttlSecondsAfterExpired since";
    let message = match refusal {
        None => format!("{expired}: the resource is being deleted"),
        Some(refusal) => format!("{expired}: {refusal}"),
    };
    Verdict::ready(Phase::Stopped, Reason::Expired, message)
}

/// What happens next without anybody's order. While it is not known what the account permits, what was shown stays.
pub(crate) fn next_transition(
    input: &Input<'_>,
    status: &CortecsInstanceStatus,
    ended: Option<TransitionReason>,
) -> Option<NextTransition> {
    let spec = &input.resource.spec;
    let is_deleting = input.resource.metadata.deletion_timestamp.is_some();
    if let Some(at) = deletion(input, status) {
        return Some(NextTransition {
            action: TransitionAction::Delete,
            at,
            reason: TransitionReason::Expired,
        });
    }
    if is_deleting || spec.suspend || spec.state == DesiredState::Stopped || !runs(status) {
        return None;
    }
    let stop = |(at, reason)| NextTransition {
        action: TransitionAction::Stop,
        at,
        reason,
    };
    if let (Some(_), Some(end)) = (ended, &status.slot().run_end) {
        return Some(stop((end.at, end.reason)));
    }
    match &input.account.limits {
        Some(_) => end(input, status).map(stop),
        None => status.next_transition.clone(),
    }
}

/// What the resource is while nothing runs: as its state asks, or because the run has ended.
pub(crate) fn stopped(ended: Option<TransitionReason>, as_asked: &str) -> Verdict {
    let Some(ended) = ended else {
        return Verdict::ready(Phase::Stopped, Reason::Stopped, as_asked);
    };
    let (reason, remedy) = match ended {
        TransitionReason::MaxRuntimeReached => (
            Reason::MaxRuntimeReached,
            "change the spec or set cortecs.ai/restartedAt to run the instance again",
        ),
        TransitionReason::Expired => (Reason::Expired, "set a later one to run the instance again"),
    };
    Verdict::ready(Phase::Stopped, reason, format!("{}: {remedy}", why(ended)))
}

/// What is shown while the instance is being stopped.
pub(crate) fn stopping(ended: Option<TransitionReason>) -> Verdict {
    let message = "the instance is being stopped";
    let message = match ended {
        None => message.to_owned(),
        Some(ended) => format!("{}: {message}", why(ended)),
    };
    Verdict::reconciling(Phase::Stopping, Reason::Stopping, message)
}

fn why(ended: TransitionReason) -> &'static str {
    match ended {
        TransitionReason::MaxRuntimeReached => {
            "the run has taken as long as maxRuntimeSeconds of the spec or of the account permits"
        }
        TransitionReason::Expired => "expireTime has passed",
    }
}

/// Whether the account lets its users ask for this.
pub(crate) fn check(account: &Account, wanted: &InstanceArgs) -> Result<(), Verdict> {
    let limits = &account.limits;
    let name = |model: &str| args::normalise_model_id(model).to_lowercase();
    let is_listed = |model: &String| name(model) == name(&wanted.model_id);
    let workers = i64::from(wanted.num_workers.unwrap_or(1));
    let too_many = limits.max_workers.filter(|most| workers > (*most).into());
    let hardware = wanted.hardware_type_id.as_ref();
    let other = hardware
        .filter(|id| !limits.hardware_types.is_empty() && !limits.hardware_types.contains(id));
    let broken = if let Some(most) = too_many {
        format!("limits.maxWorkers: at most {most}, and {workers} are asked for")
    } else if !limits.models.is_empty() && !limits.models.iter().any(is_listed) {
        format!("limits.models: {} is not one of them", wanted.model_id)
    } else if let Some(other) = other {
        format!("limits.hardwareTypes: {other} is not one of them")
    } else {
        return Ok(());
    };
    let identity = &account.identity;
    let message = format!(
        "account {}/{} does not permit that by its spec.{broken}",
        identity.namespace, identity.name
    );
    Err(Verdict::stalled(
        Phase::Failed,
        Reason::ExceedsLimit,
        message,
    ))
}
