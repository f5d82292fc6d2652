//! Limits: when a run has to end, and what the account lets its users ask for.

use cortecs_api::types::{InstanceArgs, InstanceState};
use cortecs_resources::{
    account::Limits,
    instance::DesiredState,
    instance_status::{NextTransition, Phase, TransitionAction, TransitionReason},
    journal::RunEnd,
    reason::Reason,
};
use jiff::Timestamp;

use super::{
    draft::Draft,
    input::{Account, Desired},
    verdict::Verdict,
};
use crate::{
    cost::run_limit::{end_of_run, ended},
    facts::args,
};

/// Takes note of the end of the run. If it has come just now, the verdict to record it with before anything is stopped.
pub(crate) fn note_end(draft: &mut Draft<'_>) -> Option<Verdict> {
    let spec = draft.spec();
    if spec.suspend || spec.state == DesiredState::Stopped {
        return None;
    }
    if let Some(end) = ended(draft.input.resource) {
        draft.run_end = Some(end.reason);
        return None;
    }
    let now = draft.input.wall;
    if draft.status.slot_mut().run_end.take().is_some() {
        // The order to go on begins another run, also where the stop has not been made yet.
        draft.status.slot_mut().last_start_time = Some(now);
    }
    let (at, reason) = end(draft).filter(|(at, _)| *at <= now)?;
    draft.run_end = Some(reason);
    draft.status.slot_mut().run_end = Some(RunEnd {
        reason,
        at,
        generation: draft.generation(),
    });
    let message = format!("{}: the instance is being stopped", why(reason));
    Some(Verdict::reconciling(
        draft.phase(),
        Reason::Stopping,
        message,
    ))
}

/// When the present run has to end; without a run, when nothing may be started any more.
fn end(draft: &Draft<'_>) -> Option<(Timestamp, TransitionReason)> {
    let started = draft.status.slot().last_start_time;
    let of_account = limits(draft).and_then(|limits| limits.max_runtime_seconds);
    end_of_run(draft.spec(), started.filter(|_| runs(draft)), of_account)
}

/// Whether there is an instance, or there may be one.
fn runs(draft: &Draft<'_>) -> bool {
    draft.status.instance_id.is_some() || draft.status.slot().start.is_some()
}

fn limits<'a>(draft: &Draft<'a>) -> Option<&'a Limits> {
    match &draft.input.account.desired {
        Desired::Usable(account) => Some(&account.limits),
        Desired::Pending(_) | Desired::Unusable { .. } => None,
    }
}

/// What happens next without anybody's order. While it is not known what the account permits, what was shown stays.
pub(crate) fn next_transition(draft: &Draft<'_>) -> Option<NextTransition> {
    let spec = draft.spec();
    if draft.is_deleting() || spec.suspend || spec.state == DesiredState::Stopped || !runs(draft) {
        return None;
    }
    let stop = |(at, reason)| NextTransition {
        action: TransitionAction::Stop,
        at,
        reason,
    };
    if let (Some(_), Some(end)) = (draft.run_end, &draft.status.slot().run_end) {
        let shown = draft.status.instance_status.as_ref();
        let stopped = shown.is_some_and(|s| s.status == InstanceState::Stopped.as_str());
        return (!stopped).then(|| stop((end.at, end.reason)));
    }
    match limits(draft) {
        Some(_) => end(draft).map(stop),
        None => draft.status.next_transition.clone(),
    }
}

/// What the resource is while nothing runs: as its state asks, or because the run has ended.
pub(crate) fn stopped(draft: &Draft<'_>, as_asked: &str) -> Verdict {
    match draft.run_end {
        None => Verdict::ready(Phase::Stopped, Reason::Stopped, as_asked),
        Some(TransitionReason::MaxRuntimeReached) => Verdict::ready(
            Phase::Stopped,
            Reason::MaxRuntimeReached,
            "the run has taken as long as maxRuntimeSeconds permits: change the spec or set cortecs.ai/restartedAt to run the instance again",
        ),
        Some(TransitionReason::Expired) => Verdict::ready(
            Phase::Stopped,
            Reason::Expired,
            "expireTime has passed: set a later one to run the instance again",
        ),
    }
}

/// What is shown while the instance is being stopped.
pub(crate) fn stopping(draft: &Draft<'_>) -> Verdict {
    let message = match draft.run_end {
        None => "the instance is being stopped".to_owned(),
        Some(reason) => format!("{}: the instance is being stopped", why(reason)),
    };
    Verdict::reconciling(Phase::Stopping, Reason::Stopping, message)
}

fn why(reason: TransitionReason) -> &'static str {
    match reason {
        TransitionReason::MaxRuntimeReached => {
            "the run has taken as long as maxRuntimeSeconds permits"
        }
        TransitionReason::Expired => "expireTime has passed",
    }
}

/// Whether the account lets its users ask for this.
pub(crate) fn check(account: &Account, wanted: &InstanceArgs) -> Result<(), Verdict> {
    let limits = &account.limits;
    let workers = i64::from(wanted.num_workers.unwrap_or(1));
    let hardware = wanted.hardware_type_id.as_deref().unwrap_or_default();
    let is_listed = |model: &String| args::normalise_model_id(model) == wanted.model_id;
    let broken = if limits.max_workers.is_some_and(|most| workers > most.into()) {
        let most = limits.max_workers.unwrap_or_default();
        format!("limits.maxWorkers: at most {most}, and the spec asks for {workers}")
    } else if !limits.models.is_empty() && !limits.models.iter().any(is_listed) {
        format!("limits.models: {} is not one of them", wanted.model_id)
    } else if !limits.hardware_types.is_empty()
        && !limits.hardware_types.iter().any(|id| id == hardware)
    {
        format!("limits.hardwareTypes: {hardware} is not one of them")
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
