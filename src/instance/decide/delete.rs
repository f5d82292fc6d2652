//! The resource is being deleted: what it leaves behind.
//!
//! What is open is resolved first. Then the bound instance is stopped and deleted by calling the API, whatever the list
//! says; a 200 to the delete is proof, anything else needs the gone rule. Only then the finalizer goes.

use super::{
    Decision, Step,
    bound::{call, claimed_by_another},
    draft::{Draft, Verdict},
    gate,
    gone::{self, Gone},
    resolve, restart,
};
use crate::{
    cortecs::types::InstanceState,
    instance::memory::Bound,
    resources::{instance::DeletionPolicy, instance_status::Phase},
};

pub(super) fn decide(mut draft: Draft<'_>) -> Decision {
    if !draft.has_finalizer() {
        return draft.unchanged(None);
    }
    if draft.status.start.is_some() {
        return resolve::decide(draft);
    }
    if draft.status.instance_id.is_none() || claimed_by_another(&draft).is_some() {
        return release(draft);
    }
    let Some(bound) = draft.bound() else {
        draft.wants_list();
        return draft.unchanged(None);
    };
    let latest = bound.latest(draft.snapshot());
    if let Some((_, instance)) = latest {
        draft.show(instance);
    }
    if let Err(verdict) = gate::reachable(&draft)
        && draft.spec().deletion_policy != DeletionPolicy::Orphan
    {
        return unreachable(draft, bound, verdict);
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
    if draft.spec().deletion_policy == DeletionPolicy::Orphan {
        return release(draft);
    }
    if bound.deleted {
        return release(draft);
    }
    match gone::check(bound, draft.input.settings.settle, draft.input.now) {
        Gone::Yes => return release(draft),
        Gone::NeedsGet => {
            let step = Step::Get {
                instance_id: bound.id.clone(),
            };
            return call(
                draft,
                step,
                deleting("the account's list lacks the instance: making sure that it is gone"),
            );
        }
        Gone::No | Gone::NeedsList | Gone::Settling(_) => {}
    }
    draft.is_busy();
    match draft.spec().deletion_policy {
        DeletionPolicy::Stop => stop_only(draft, bound),
        DeletionPolicy::Delete | DeletionPolicy::Orphan => stop_and_delete(draft, bound),
    }
}

fn stop_and_delete(draft: Draft<'_>, bound: &Bound) -> Decision {
    let instance_id = bound.id.clone();
    let step = if bound.stop_answered {
        Step::Delete { instance_id }
    } else {
        Step::Stop { instance_id }
    };
    call(
        draft,
        step,
        deleting("the instance is being stopped and deleted"),
    )
}

fn stop_only(mut draft: Draft<'_>, bound: &Bound) -> Decision {
    let verdict = deleting("the instance is being stopped");
    let latest = bound.latest(draft.snapshot());
    let stopped = latest.is_some_and(|(_, i)| i.instance_status.status == InstanceState::Stopped);
    match bound.called {
        Some(called) => {
            // Stopped by the answer to the stop itself, or by a list that was taken after it.
            let proven = bound
                .direct
                .as_ref()
                .is_some_and(|(_, i)| i.instance_status.status == InstanceState::Stopped)
                || latest.is_some_and(|(seen, _)| seen >= called);
            if stopped && proven {
                return release(draft);
            }
            if !stopped && latest.is_some_and(|(seen, _)| seen >= called) {
                let instance_id = bound.id.clone();
                return call(draft, Step::Stop { instance_id }, verdict);
            }
            draft.wants_list();
            draft.rest(verdict, None)
        }
        None => {
            let instance_id = bound.id.clone();
            call(draft, Step::Stop { instance_id }, verdict)
        }
    }
}

/// Nothing is left to be done at the API.
fn release(draft: Draft<'_>) -> Decision {
    draft.act(
        Step::RemoveFinalizer,
        deleting("nothing is left to be done at the API"),
    )
}

fn unreachable(draft: Draft<'_>, bound: &Bound, verdict: Verdict) -> Decision {
    let message = format!(
        "instance {} cannot be removed: {}. Bring the account and its credentials back, or set deletionPolicy: Orphan to leave the instance behind",
        bound.id, verdict.message
    );
    let verdict = Verdict {
        phase: Phase::Deleting,
        message,
        ..verdict
    };
    draft.rest(verdict, None)
}

fn deleting(message: &str) -> Verdict {
    Verdict::reconciling(Phase::Deleting, "Deleting", message)
}
