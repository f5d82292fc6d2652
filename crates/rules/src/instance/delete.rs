//! The resource is being deleted: what it leaves behind.
//!
//! Open starts and restarts are resolved first. Then the bound instance is stopped and deleted by calling the API, whatever
//! the list says: a 200 to the delete is proof, any other answer needs the gone rule. Where the instance is only to be
//! stopped, an answer about it alone must say that it is. Only then the finalizer is removed.

use std::time::Duration;

use cortecs_resources::{
    INSTANCE_FINALIZER,
    conditions::{READY, find_condition},
    instance::DeletionPolicy,
    instance_status::Phase,
    reason::Reason,
};
use kube::ResourceExt;

use super::{
    binding::claimed_by_another,
    draft::{Draft, SOON},
    gate,
    input::Input,
    protocol::Rule,
    run::{
        gone::{self, Gone},
        odd::in_vain,
        restart,
        stop::{await_stop, is_beyond_stops, make_or_await, under_way, waits_for_stop},
    },
    start::{others as other_starts, resolve, restored},
    status,
    step::{ApiCall, Decision, Purpose, Step, Write},
    verdict::Verdict,
    waiting::Delay,
};
use crate::facts::{bound::Bound, finalizers, lookup::Lookup};

pub(crate) fn decide(draft: Draft<'_>) -> Decision {
    if !draft.has_finalizer() {
        return left_to_others(draft);
    }
    let input = draft.input;
    show_first(input, remove(draft))
}

/// Before the first call, and before what stays of the resource is left to others, the status says so. That is tried once: a status
/// that cannot be written, or that loses it again, holds nothing up.
fn show_first(input: &Input<'_>, decision: Decision) -> Decision {
    let shown = input.resource.status.as_ref();
    let tried = input.memory.parting.as_ref();
    let message = find_condition(&decision.status.conditions, READY).map(|ready| &ready.message);
    let is_due = match &decision.step {
        Step::Call(_) => {
            tried.is_none() && shown.and_then(|status| status.phase) != Some(Phase::Deleting)
        }
        Step::Write(Write::RemoveFinalizer) => {
            others(input).is_some() && shown != Some(&decision.status) && tried != message
        }
        _ => false,
    };
    let failure = input.memory.failure.as_ref();
    let is_refused = failure.is_some_and(|failure| failure.reason == Reason::WriteRefused);
    match is_due && input.memory.write_failures == 0 && !is_refused {
        true => Decision {
            step: Step::Write(Write::Status(Purpose::Report)),
            // The step itself follows.
            look_again: Some(Duration::ZERO),
            ..decision
        },
        false => decision,
    }
}

/// The finalizers that others have set.
fn others(input: &Input<'_>) -> Option<String> {
    finalizers::of_others(input.resource.finalizers(), INSTANCE_FINALIZER)
}

/// The operator is done. The status says what the resource waits for, and nothing else in it changes.
fn left_to_others(mut draft: Draft<'_>) -> Decision {
    let verdict = nothing_left(draft.input);
    let (spec, generation) = (draft.spec(), draft.generation());
    let wall = draft.input.wall;
    status::render(&mut draft.status, spec, generation, &verdict, wall);
    draft.report()
}

fn nothing_left(input: &Input<'_>) -> Verdict {
    let mut message = "nothing is left to be done at the API".to_owned();
    if let Some(others) = others(input) {
        message.push_str(&format!(
            "; the resource goes when others have removed their {others}"
        ));
    }
    deleting(&message)
}

fn remove(mut draft: Draft<'_>) -> Decision {
    let orphan = draft.spec().deletion_policy == DeletionPolicy::Orphan;
    if orphan && gate::reachable(&draft).is_err() && draft.home().is_some() {
        if draft.input.account.unchecked {
            // A new process does not know yet whether an open call can be resolved.
            return draft.unchanged(Some(SOON));
        }
        // An open call cannot be resolved, and the instance is to be left as it is.
        return release(draft);
    }
    if draft.status.slot().start.is_some() {
        return resolve::decide(draft);
    }
    if !orphan && restored::is_open(&draft) && restored::claimed_by_another(&draft).is_none() {
        // The instance is bound first, and then removed like any other.
        return restored::decide(draft);
    }
    if draft.status.instance_id.is_none() || claimed_by_another(&draft).is_some() {
        return release(draft);
    }
    let Some((bound, _)) = draft.last_seen() else {
        return draft.not_noted();
    };
    if let Err(verdict) = gate::reachable(&draft) {
        // A changed account says more than an account that cannot be reached.
        let verdict = gate::calls(&draft).err().unwrap_or(verdict);
        return unreachable(draft, bound, verdict);
    }
    if let Some(intent) = draft.open_restart() {
        return restart::decide(draft, intent, bound);
    }
    if orphan || bound.deleted {
        return release(draft);
    }
    // Whatever the lists say, a stop or a delete is called first; only after that the instance can count as gone.
    match gone::check(&draft, bound) {
        Gone::Held if bound.removal_tried => return unproven(draft, bound),
        Gone::Yes if bound.removal_tried => return release(draft),
        Gone::NeedsGet if bound.removal_tried => {
            let call = ApiCall::Get {
                instance_id: bound.id.clone(),
            };
            return draft.call(
                call,
                deleting("the account's list lacks the instance: making sure that it is gone"),
            );
        }
        _ => {}
    }
    draft.is_busy();
    match draft.spec().deletion_policy {
        DeletionPolicy::Stop => stop_only(draft, bound),
        DeletionPolicy::Delete | DeletionPolicy::Orphan => stop_and_delete(draft, bound),
    }
}

fn stop_and_delete(draft: Draft<'_>, bound: &Bound) -> Decision {
    let call = removal(&draft, bound);
    let seen = bound.latest(draft.snapshot()).map(|(seen, _)| seen);
    let verdict = deleting("the instance is being stopped and deleted");
    make_or_await(draft, bound, call, seen, verdict)
}

/// The next call that removes the instance.
fn removal(draft: &Draft<'_>, bound: &Bound) -> ApiCall {
    let instance_id = bound.id.clone();
    let latest = bound.latest(draft.snapshot());
    let seen_stopped = latest.is_some_and(|(seen, i)| {
        i.is_stopped() && bound.called.is_some_and(|called| seen >= called)
    });
    if bound.stop_answered || seen_stopped || is_beyond_stops(bound, latest) {
        ApiCall::Delete { instance_id }
    } else {
        ApiCall::Stop { instance_id }
    }
}

/// No stop or delete has confirmed the removal, and while the account is on hold, lists that lack the instance prove nothing:
/// the calls are repeated.
fn unproven(mut draft: Draft<'_>, bound: &Bound) -> Decision {
    draft.is_busy();
    let held = draft.missing_while_held(&bound.id);
    let verdict = Verdict {
        phase: Phase::Deleting,
        ..held
    };
    match draft.delay(&verdict) {
        Some(Delay::Pause(_, wait)) => return draft.rest(verdict, wait),
        Some(turn) => return draft.wait_for(turn),
        None => {}
    }
    let now = draft.input.now;
    let (call, wait) = match draft.spec().deletion_policy {
        DeletionPolicy::Stop => {
            let instance_id = bound.id.clone();
            (
                ApiCall::Stop { instance_id },
                waits_for_stop(bound, now, now),
            )
        }
        DeletionPolicy::Delete | DeletionPolicy::Orphan => {
            let call = removal(&draft, bound);
            let wait = under_way(bound, &call, Some(now), now).map(|(_, wait)| wait);
            (call, wait)
        }
    };
    match wait {
        Some(_) => draft.rest(verdict, wait),
        None => draft.act(Step::Call(call), verdict),
    }
}

/// An instance that is left behind must not run, so an answer about it alone has to say that it is stopped: the answer to the
/// stop, or to a get after a list has shown it as stopped.
fn stop_only(draft: Draft<'_>, bound: &Bound) -> Decision {
    let latest = bound.latest(draft.snapshot());
    let verdict = deleting("the instance is being stopped");
    let verdict = in_vain(&draft, bound, latest.map(|(_, i)| i), verdict);
    let seen = latest.map(|(seen, _)| seen).unwrap_or_default();
    let is_stopped = latest.is_some_and(|(_, i)| i.is_stopped());
    // A later list that shows the instance up says that someone else has restarted it since.
    if bound.stopped && is_stopped {
        return release(draft);
    }
    let after_stop = bound.stops > 0 && bound.called.is_some_and(|called| seen >= called);
    if is_stopped && after_stop {
        if !draft.enforces(Rule::StopProven) {
            return release(draft);
        }
        if let Some(lookup) = &bound.lookup
            && !lookup.is_due(draft.input.now, draft.listed_at())
        {
            return not_found(draft, bound, lookup);
        }
        let call = ApiCall::Get {
            instance_id: bound.id.clone(),
        };
        return draft.call(call, deleting("making sure that the instance is stopped"));
    }
    if let Some(wait) = waits_for_stop(bound, seen, draft.input.now) {
        return await_stop(draft, bound, verdict, wait);
    }
    let instance_id = bound.id.clone();
    draft.call(ApiCall::Stop { instance_id }, verdict)
}

/// A list shows that the instance is stopped, and the API does not find it: what lists show may be older than a restart.
fn not_found(draft: Draft<'_>, bound: &Bound, lookup: &Lookup) -> Decision {
    let now = draft.input.now;
    let mut verdict = deleting("the instance is being stopped");
    if lookup.lasts(draft.input.settings.settle, now) {
        let message = format!(
            "whether instance {} is stopped is not proven: the account's list shows it, but the API does not find it. See to \
             it with the provider, or set deletionPolicy: Delete or Orphan",
            bound.id
        );
        verdict = Verdict::stalled(Phase::Deleting, Reason::InstanceNotFound, message);
    }
    draft.rest(verdict, Some(lookup.wait(now)))
}

/// Removes the finalizer. An instance that is left behind looks new to each open start, so the open starts are told of the instance
/// first.
fn release(draft: Draft<'_>) -> Decision {
    let verdict = nothing_left(draft.input);
    if let (Some(id), Some(home)) = (&draft.status.instance_id, draft.home())
        && draft.spec().deletion_policy != DeletionPolicy::Delete
        && claimed_by_another(&draft).is_none()
    {
        if draft.enforces(Rule::OpenStartsAreTold)
            && let Some(tell) = other_starts::tell_of(&draft, &home.api_url, id)
        {
            return draft.act_if_permitted(Step::Write(tell), verdict);
        }
        if draft.input.book.is_start_being_written(draft.input.key) {
            return draft.rest(verdict, Some(SOON));
        }
    }
    draft.act_unless_refused(Step::Write(Write::RemoveFinalizer), verdict)
}

fn unreachable(draft: Draft<'_>, bound: &Bound, verdict: Verdict) -> Decision {
    let message = format!(
        "instance {} cannot be removed: {}. Bring the account and its credentials back, or set deletionPolicy: Orphan to leave \
         the instance behind. While its namespace is being deleted nothing can be created there: a CortecsAccount in another \
         namespace with the same API URL and client id does as well",
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
    Verdict::reconciling(Phase::Deleting, Reason::Deleting, message)
}
