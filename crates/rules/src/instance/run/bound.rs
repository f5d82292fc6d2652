//! An instance is bound: which of its needs is due.

use cortecs_api::types::{Instance, InstanceState};
use cortecs_clock::Moment;
use cortecs_resources::{
    instance::DesiredState, instance_status::Phase, reason::Reason, transition::TransitionReason,
    user_time::UserTime,
};

use crate::{
    facts::bound::Bound,
    instance::{
        binding,
        draft::{Draft, PATIENCE},
        gate,
        input::Desired,
        limit,
        step::Decision,
        verdict::Verdict,
    },
};

use super::{
    drift::{
        drift_accepted, drift_is_accepted, handle_restart, note_ordered_stop, restart_is_asked_for,
    },
    gone::{self, Gone},
    missing::{missing, unbind},
    odd::in_vain,
    replace::{must_be_replaced, replace},
    restart,
    running::run,
    stop::{is_beyond_stops, stop},
};

pub(crate) fn decide(mut draft: Draft<'_>) -> Decision {
    if let Some(verdict) = binding::claimed_by_another(&draft) {
        return draft.rest(verdict, None);
    }
    let Some((bound, latest)) = draft.last_seen() else {
        return draft.not_noted();
    };
    if bound.deleted {
        return unbind(draft, "the instance was deleted");
    }
    let calls = gate::calls(&draft).or_else(|verdict| stops_at_home(&draft, verdict));
    if let Err(verdict) = calls {
        let is_known = matches!(draft.input.account.desired, Desired::Unusable { .. });
        if verdict.reason == Reason::WaitingForAccount && !is_known && draft.is_current() {
            // Nothing is known of the instance, so what was true stays shown.
            return draft.unchanged(Some(PATIENCE));
        }
        return draft.rest(verdict, None);
    }
    if let Some(intent) = draft.open_restart() {
        return restart::decide(draft, intent, bound);
    }
    if bound.unlisted_since.is_some() && gone::check(&draft, bound) == Gone::NeedsGet {
        return missing(draft, bound);
    }
    match latest {
        None => missing(draft, bound),
        Some((seen, instance)) => present(draft, bound, seen, instance),
    }
}

/// What is to be stopped is stopped where it lives, whatever account is named by now.
fn stops_at_home(draft: &Draft<'_>, verdict: Verdict) -> Result<(), Verdict> {
    let is_to_stop = draft.desired_state() == DesiredState::Stopped && !draft.spec().suspend;
    match verdict.reason {
        Reason::AccountChanged if is_to_stop => gate::reachable(draft).map_err(|_| verdict),
        _ => Err(verdict),
    }
}

fn present(mut draft: Draft<'_>, bound: &Bound, seen: Moment, instance: &Instance) -> Decision {
    let spec = draft.spec();
    let state = &instance.instance_status.status;
    let up = *state != InstanceState::Stopped;
    if !up {
        note_ordered_stop(&mut draft);
    }
    // Nothing would be started any more; what is paid for may be used up.
    let expires = spec.expire_time.as_ref().and_then(UserTime::timestamp);
    let expired = expires.is_some_and(|at| at <= draft.input.wall);
    if spec.suspend {
        return watch_only(draft, instance, up);
    }
    match (draft.desired_state(), up) {
        (DesiredState::Stopped, true) => {
            let verdict = limit::stopping(draft.ended);
            let verdict = in_vain(&draft, bound, Some(instance), verdict);
            stop(draft, bound, seen, verdict)
        }
        // The order that was given before the stop is still to be carried out.
        (DesiredState::Stopped, false)
            if draft.ended == Some(TransitionReason::MaxRuntimeReached)
                && restart_is_asked_for(&draft) =>
        {
            restart::begin(draft, bound, seen)
        }
        (DesiredState::Stopped, false) => {
            handle_restart(&mut draft);
            let verdict = stopped_as_asked(&draft);
            draft.rest(verdict, None)
        }
        // Before a replacement: what others stopped is left so, whatever another start would be made with.
        (DesiredState::Running, false) if drift_is_accepted(&draft) => {
            draft.rest(drift_accepted(), None)
        }
        (DesiredState::Running, _) if !expired && must_be_replaced(&draft, up) => {
            let stops = up && !is_beyond_stops(bound, Some((seen, instance)));
            replace(draft, bound, seen, stops)
        }
        (DesiredState::Running, true) if !expired && restart_is_asked_for(&draft) => {
            match restart::may_begin(&draft) {
                Err(verdict) => draft.rest(verdict, None),
                Ok(account) => match restart::has_room(&draft, account) {
                    Err(no_room) => no_room.wait(draft),
                    Ok(()) => {
                        let verdict = Verdict::reconciling(
                            Phase::Stopping,
                            Reason::Restarting,
                            "the instance is being stopped, to be restarted",
                        );
                        let verdict = in_vain(&draft, bound, Some(instance), verdict);
                        stop(draft, bound, seen, verdict)
                    }
                },
            }
        }
        (DesiredState::Running, true) => run(draft, instance),
        (DesiredState::Running, false) => restart::begin(draft, bound, seen),
    }
}

/// Suspended: only show.
fn watch_only(draft: Draft<'_>, instance: &Instance, up: bool) -> Decision {
    match (draft.spec().state, up) {
        (DesiredState::Running, true) => run(draft, instance),
        (DesiredState::Stopped, false) => {
            let verdict = stopped_as_asked(&draft);
            draft.rest(verdict, None)
        }
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

fn stopped_as_asked(draft: &Draft<'_>) -> Verdict {
    limit::stopped(draft.ended, "the instance is stopped, as asked")
}
