//! An instance is bound: what it needs.

use std::time::Duration;

use super::{
    Decision, Purpose, Rule, Step,
    draft::{Draft, Verdict},
    drift::{drift_accepted, drift_is_accepted, handle_restart, restart_is_asked_for},
    gate,
    gone::{self, Gone},
    pin::{NotPinned, known_to_catalog, pinned},
    restart,
};
use crate::{
    cortecs::{
        fit,
        types::{Instance, InstanceState},
    },
    instance::{args, memory::Bound, moment::Moment, status},
    resources::{
        CortecsInstance,
        instance::{DesiredState, UpdateStrategyType},
        instance_status::{Phase, RestartIntent},
    },
};

pub(super) fn decide(mut draft: Draft<'_>) -> Decision {
    if let Some(verdict) = claimed_by_another(&draft) {
        return draft.rest(verdict, None);
    }
    let Some(bound) = draft.bound() else {
        // The shell takes note of every bound id before it asks; without that there is nothing to go by.
        draft.wants_list();
        return draft.unchanged(None);
    };
    let latest = bound.latest(draft.snapshot());
    if let Some((_, instance)) = latest {
        draft.show(instance);
    }
    if bound.deleted {
        return unbind(draft, "the instance was deleted");
    }
    if let Err(verdict) = gate::calls(&draft) {
        return draft.rest(verdict, None);
    }
    let open_restart = draft
        .input
        .resource
        .status
        .as_ref()
        .and_then(|s| s.restart.as_ref());
    if let Some(intent) = open_restart {
        return restart::decide(draft, intent, bound);
    }
    match latest {
        None => missing(draft, bound),
        Some((seen, instance)) => present(draft, bound, seen, instance),
    }
}

/// The verdict of a resource whose instance an older resource claims: it never touches the instance.
pub(super) fn claimed_by_another(draft: &Draft<'_>) -> Option<Verdict> {
    let input = draft.input;
    let id = draft.status.instance_id.as_deref()?;
    let api_url = &draft.home()?.api_url;
    let mine = seniority(input.resource);
    let owner = input
        .book
        .claimants(api_url, id)
        .filter(|key| *key != input.key)
        .filter_map(|key| input.book.get(key))
        .find(|entry| seniority(&entry.resource) < mine)?;
    let metadata = &owner.resource.metadata;
    Some(Verdict::stalled(
        Phase::Failed,
        "InstanceClaimed",
        format!(
            "instance {id} belongs to {}/{}: this resource does not touch it; delete one of the two",
            metadata.namespace.as_deref().unwrap_or_default(),
            metadata.name.as_deref().unwrap_or_default()
        ),
    ))
}

fn seniority(resource: &CortecsInstance) -> (Option<jiff::Timestamp>, &str) {
    let metadata = &resource.metadata;
    (
        metadata.creation_timestamp.as_ref().map(|t| t.0),
        metadata.uid.as_deref().unwrap_or_default(),
    )
}

fn present(mut draft: Draft<'_>, bound: &Bound, seen: Moment, instance: &Instance) -> Decision {
    let spec = draft.spec();
    let state = &instance.instance_status.status;
    let stop_anyway = spec.state == DesiredState::Stopped && !spec.suspend;
    if let InstanceState::Unknown(word) = state
        && !stop_anyway
    {
        draft.is_busy();
        let word = fit(word, 64);
        let message =
            format!("the API says that the instance is {word:?}, which this version does not know");
        let phase = draft.phase();
        return draft.rest(Verdict::reconciling(phase, "UnknownState", message), None);
    }
    let up = *state != InstanceState::Stopped;
    if spec.suspend {
        return watch_only(draft, up);
    }
    match (spec.state, up) {
        (DesiredState::Stopped, true) => stop(
            draft,
            bound,
            seen,
            Verdict::reconciling(Phase::Stopping, "Stopping", "the instance is being stopped"),
        ),
        (DesiredState::Stopped, false) => {
            handle_restart(&mut draft);
            draft.rest(stopped_as_asked(), None)
        }
        (DesiredState::Running, _) if must_be_replaced(&draft, up) => {
            replace(draft, bound, seen, up)
        }
        (DesiredState::Running, true) if restart_is_asked_for(&draft) => match gate::starts(&draft)
        {
            Err(verdict) => draft.rest(verdict, None),
            Ok(_) => stop(
                draft,
                bound,
                seen,
                Verdict::reconciling(
                    Phase::Stopping,
                    "Restarting",
                    "the instance is being stopped, to be restarted",
                ),
            ),
        },
        (DesiredState::Running, true) => run(draft),
        (DesiredState::Running, false) if drift_is_accepted(&draft) => {
            draft.rest(drift_accepted(), None)
        }
        (DesiredState::Running, false) => begin_restart(draft, bound, seen),
    }
}

/// The instance is coming up, or runs.
pub(super) fn run(mut draft: Draft<'_>) -> Decision {
    if !status::all_workers_run(&draft.status) {
        draft.is_busy();
    }
    if status::is_usable(&draft.status) {
        let message = if is_outdated(&draft) {
            "the instance runs; changed arguments take effect when it is next started (updateStrategy OnDelete)"
        } else {
            "the instance runs"
        };
        return draft.rest(Verdict::ready(Phase::Running, "Running", message), None);
    }
    let deadline = i64::from(draft.spec().progress_deadline_seconds);
    let waited = draft.status.last_start_time.map_or(0, |since| {
        draft
            .input
            .wall
            .as_second()
            .saturating_sub(since.as_second())
    });
    if waited >= deadline {
        draft.is_busy();
        let message = format!(
            "the instance did not become usable within {deadline} s (spec.progressDeadlineSeconds); it is still being waited for"
        );
        return draft.rest(
            Verdict::stalled(Phase::Failed, "ProgressDeadlineExceeded", message),
            None,
        );
    }
    let left = Duration::from_secs(u64::try_from(deadline - waited).unwrap_or_default());
    let message = doing(&draft);
    draft.rest(Verdict::starting(&message), Some(left))
}

fn doing(draft: &Draft<'_>) -> String {
    draft
        .status
        .worker_statuses
        .iter()
        .filter_map(|w| w.init_progress.as_ref())
        .max_by_key(|p| p.current_step)
        .map_or_else(
            || "the instance is being provisioned".to_owned(),
            |p| {
                format!(
                    "step {} of {}: {}",
                    p.current_step, p.num_steps, p.description
                )
            },
        )
}

/// Stops it, unless a stop is being waited for.
pub(super) fn stop(draft: Draft<'_>, bound: &Bound, seen: Moment, verdict: Verdict) -> Decision {
    if let Some(wait) = waits_for_stop(bound, seen, draft.input.now) {
        let verdict = with_refusal(verdict, bound);
        return draft.await_list(verdict, Some(wait));
    }
    let step = Step::Stop {
        instance_id: bound.id.clone(),
    };
    draft.call(step, verdict)
}

/// The verdict with what the API says against the stops that were tried.
pub(super) fn with_refusal(verdict: Verdict, bound: &Bound) -> Verdict {
    match &bound.refusal {
        Some(refusal) if bound.stops > 1 => Verdict {
            message: format!("{}; {refusal}", verdict.message),
            ..verdict
        },
        _ => verdict,
    }
}

/// How long to wait before the next stop: what is seen may be older than the last one, and a list may lag.
pub(super) fn waits_for_stop(bound: &Bound, seen: Moment, now: Moment) -> Option<Duration> {
    let called = bound.called?;
    let patience = Duration::from_secs(1 << bound.stops.min(8));
    let next = called.after(patience);
    (bound.stops > 0 && (seen <= called || now < next))
        .then(|| next.since(now).max(Duration::from_secs(1)))
}

fn begin_restart(mut draft: Draft<'_>, bound: &Bound, seen: Moment) -> Decision {
    if bound.called.is_some_and(|called| seen < called) {
        // That it is stopped may be older than the restart that was made.
        return draft.await_list(Verdict::starting("the instance is being restarted"), None);
    }
    if let Err(verdict) = gate::starts(&draft) {
        return draft.rest(verdict, None);
    }
    let turn = Verdict::reconciling(
        Phase::Stopped,
        "Pending",
        "other calls of the account are made before the restart",
    );
    if let Some(hold) = draft.hold_start(&turn) {
        return draft.wait_for(hold);
    }
    if !draft.holds(Rule::RestartAhead) {
        let (id, now) = (draft.uuid(), draft.input.now);
        return restart::call(draft, bound, id, now);
    }
    handle_restart(&mut draft);
    let id = draft.uuid();
    draft.begins_to_run();
    draft.status.restart = Some(RestartIntent {
        id,
        requested_at: draft.input.wall,
    });
    draft.write(
        Purpose::RestartIntent(id),
        Verdict::starting("the instance is being restarted"),
    )
}

/// Whether what the spec asks for differs from what is in force.
fn is_outdated(draft: &Draft<'_>) -> bool {
    args::shows_outdated(draft.spec(), &draft.status)
}

fn must_be_replaced(draft: &Draft<'_>, up: bool) -> bool {
    let now = match draft.spec().update_strategy.kind {
        UpdateStrategyType::Recreate => true,
        UpdateStrategyType::OnDelete => !up,
    };
    now && is_outdated(draft)
}

/// The API cannot resize: the old instance goes, then a new one is started. Nothing goes before the new arguments are
/// known to be sound and the account lets something be started.
fn replace(mut draft: Draft<'_>, bound: &Bound, seen: Moment, up: bool) -> Decision {
    let verdict = Verdict::reconciling(
        Phase::Replacing,
        "Replacing",
        "the instance is being removed, to be started anew with other arguments",
    );
    if let Err(verdict) = gate::starts(&draft) {
        return draft.rest(verdict, None);
    }
    if draft
        .spec()
        .adopt
        .as_ref()
        .is_some_and(|a| a.instance_id.is_some())
    {
        let message = "the instance was taken over by its id and cannot be resized: remove spec.adopt to let another one be started in its place";
        return draft.rest(
            Verdict::stalled(Phase::Failed, "InvalidArguments", message),
            None,
        );
    }
    // The catalog is asked even where the spec leaves nothing open: a misspelt model must not take down what runs.
    match known_to_catalog(&draft).and_then(|()| pinned(&draft)) {
        Ok(_) => {}
        Err(NotPinned::Fetch(model_id)) => {
            return draft.call(Step::FetchModel { model_id }, verdict);
        }
        Err(NotPinned::Because(verdict, wait)) => return draft.rest(verdict, Some(wait)),
    }
    if up {
        return stop(draft, bound, seen, verdict);
    }
    draft.is_busy();
    let step = Step::Delete {
        instance_id: bound.id.clone(),
    };
    draft.call(step, verdict)
}

/// Suspended: only show.
fn watch_only(draft: Draft<'_>, up: bool) -> Decision {
    match (draft.spec().state, up) {
        (DesiredState::Running, true) => run(draft),
        (DesiredState::Stopped, false) => draft.rest(stopped_as_asked(), None),
        (DesiredState::Stopped, true) => {
            let verdict = Verdict {
                phase: Phase::Running,
                ..Verdict::suspended("the instance is not stopped")
            };
            draft.rest(verdict, None)
        }
        (DesiredState::Running, false) => {
            let verdict = Verdict {
                phase: Phase::Stopped,
                ..Verdict::suspended("the instance is not restarted")
            };
            draft.rest(verdict, None)
        }
    }
}

/// The last list lacks the instance, or there is no list yet.
fn missing(mut draft: Draft<'_>, bound: &Bound) -> Decision {
    let id = &bound.id;
    let verdict = Verdict::reconciling(
        draft.phase(),
        "InstanceMissing",
        format!("the account's list lacks instance {id}: making sure that it is gone"),
    );
    if draft.spec().suspend && bound.absent_lists > 0 {
        return draft.rest(
            Verdict::suspended("its instance is not listed any more"),
            None,
        );
    }
    match gone::check(&draft, bound) {
        // As long as nothing is known, what was known stays.
        Gone::No => {
            draft.wants_list();
            draft.is_busy();
            draft.unchanged(None)
        }
        Gone::NeedsList => {
            draft.wants_list();
            draft.rest(verdict, None)
        }
        Gone::Held => {
            let verdict = draft.missing_while_held(id);
            draft.rest(verdict, None)
        }
        Gone::Settling(wait) => draft.rest(verdict, Some(wait)),
        Gone::NeedsGet => {
            let step = Step::Get {
                instance_id: id.clone(),
            };
            draft.call(step, verdict)
        }
        Gone::Yes => unbind(draft, "the instance is gone from the account"),
    }
}

fn unbind(mut draft: Draft<'_>, message: &str) -> Decision {
    let accepted = drift_is_accepted(&draft) && !draft.bound().is_some_and(|b| b.deleted);
    draft.forget_instance();
    let verdict = if accepted {
        drift_accepted()
    } else {
        Verdict::pending(message)
    };
    draft.write(Purpose::Unbind, verdict)
}

fn stopped_as_asked() -> Verdict {
    Verdict::ready(
        Phase::Stopped,
        "Stopped",
        "the instance is stopped, as asked",
    )
}
