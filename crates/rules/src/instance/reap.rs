//! The overdue stops, for a process that does nothing else: the decisions about a bound instance, without any that starts, binds or
//! removes something.

use cortecs_resources::{
    instance::{DeletionPolicy, DesiredState},
    transition::TransitionReason,
};

use super::{
    draft::{Draft, PATIENCE, SOON},
    input::Input,
    limit,
    run::bound,
    step::{Decision, Step},
};
use crate::cost::run_limit::runs;

pub(crate) fn decide(mut draft: Draft<'_>) -> Decision {
    let input = draft.input;
    if input.account.unchecked {
        return draft.unchanged(Some(SOON));
    }
    let slot = draft.status.slot();
    let is_left = draft.is_deleting() && draft.spec().deletion_policy == DeletionPolicy::Orphan;
    if slot.start.is_some() || draft.status.instance_id.is_none() || is_left {
        return draft.unchanged(None);
    }
    if draft.open_restart().is_some() {
        // The status shows what was before the restart.
        let _ = draft.last_seen();
    }
    let (ended, is_new) = match draft.is_deleting() {
        // The order to delete is the record.
        true => (Some(why(&draft)), false),
        false => limit::note_end(input, &mut draft.status),
    };
    draft.ended = ended;
    if is_new {
        return draft.rest(limit::stopping(ended), None);
    }
    // A restart that is not seen to have had an effect may still have one: it is resolved.
    let resolves = draft.open_restart().is_some() && !runs(&draft.status);
    if draft.spec().suspend || (draft.desired_state() == DesiredState::Running && !resolves) {
        return draft.note_transition();
    }
    confined(input, bound::decide(draft))
}

/// Why the instance of a resource that is being deleted had to be stopped.
fn why(draft: &Draft<'_>) -> TransitionReason {
    let recorded = draft.status.slot().run_end.as_ref().map(|end| end.reason);
    let shown = draft
        .status
        .next_transition
        .as_ref()
        .map(|next| next.reason);
    let known = recorded.or(shown);
    known.unwrap_or(TransitionReason::MaxRuntimeReached)
}

/// The decision, if its step is one that only stops; otherwise nothing is done.
pub(super) fn confined(input: &Input<'_>, decision: Decision) -> Decision {
    if decision.step.only_stops() {
        return decision;
    }
    Decision {
        step: Step::Rest,
        status: input.resource.status.clone().unwrap_or_default(),
        list_after: None,
        busy: false,
        queue: None,
        held_up: None,
        budget_wait: None,
        look_again: Some(PATIENCE),
    }
}
