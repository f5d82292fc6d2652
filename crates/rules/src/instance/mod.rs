//! Decides the next step for one resource.
//!
//! A decision is one step (at most one side effect) with the status that follows from it. So a crash of the process lies
//! between two decisions. Each decision is taken from the persisted resource, the account's last good list, and what this
//! process remembers.
//!
//! In the order in which a decision passes through them; each file imports only files above it:
//!
//! | file | what it has |
//! |---|---|
//! | [`protocol`] | the names of the protocol's rules, so that tests can switch one off |
//! | [`input`] | what a decision is taken from |
//! | [`verdict`] | what is true of the resource, in the words of its conditions |
//! | [`step`] | what a decision says |
//! | [`status`] | the one place where the fields of a status are set |
//! | `draft` | a decision in the making |
//! | `waiting` | why a call waits: a failure, a pause of the account's calls, its turn |
//! | `notes` | what the message of `Ready` says beside the state |
//! | `cost` | the cost that the status shows |
//! | `limit` | when a run has to end, and what the account permits |
//! | `gate` | whether calls may be made, and whether something may be started |
//! | `budget` | whether what is to be started fits the account's budget |
//! | `pin` | with which arguments an instance is started |
//! | `binding` | how an instance becomes the resource's own |
//! | `run/` | what a bound instance needs |
//! | `start/` | how a resource without an instance gets one |
//! | `delete` | what a resource that is being deleted leaves behind |
//! | `reap` | the overdue stops, for a process that does nothing else |
//! | [`answer`] | what the answer to a call says of it |
//! | [`record`] | what is remembered of a step and of the API's answer |
//! | [`record_write`] | what is remembered of a write to Kubernetes |
//! | [`events`] | what a change of the status is worth telling |

pub mod answer;
mod binding;
mod budget;
mod cost;
mod delete;
mod draft;
pub mod events;
mod gate;
pub mod input;
mod limit;
mod notes;
mod pin;
pub mod protocol;
mod reap;
pub mod record;
pub mod record_write;
mod run;
mod start;
pub mod status;
pub mod step;
pub mod verdict;
mod waiting;

#[cfg(test)]
mod tests;

use cortecs_resources::reason::Reason;

use draft::{Draft, SOON};
use input::Input;
use run::{bound, seal};
use start::{resolve, restored, unbound};
use step::{Decision, Step, Write};
use verdict::Verdict;

/// Decides on one resource. Nothing is decided about one that cannot be decoded, except the record of what the API has answered.
pub fn decide(input: &Input<'_>) -> Decision {
    let decision = decide_as_decoded(input);
    let records = matches!(decision.step, Step::Write(Write::RecordAccepted { .. }));
    match input.memory.unreadable && !records {
        true => Draft::new(input).unchanged(None),
        false => decision,
    }
}

fn decide_as_decoded(input: &Input<'_>) -> Decision {
    let draft = Draft::new(input);
    if input.settings.only_stops {
        return reap::decide(draft);
    }
    if input.memory.status_lost && draft.has_finalizer() {
        return draft.put_back();
    }
    if input.account.unchecked && draft.is_current() {
        // A new process must not overwrite what is true with what it does not know yet.
        return draft.unchanged(Some(SOON));
    }
    if draft.is_deleting() {
        delete::decide(draft)
    } else {
        live(draft)
    }
}

/// The resource has expired. What keeps it from being deleted costs nothing and is no reason to hurry.
fn delete_expired(draft: Draft<'_>) -> Decision {
    let now = draft.input.now;
    let failure = draft.input.memory.backing_off(draft.generation(), now);
    match failure {
        Some(failure) => {
            let wait = failure.retry_at.since(now);
            draft.rest(limit::deleting(Some(&failure.message)), Some(wait))
        }
        None => draft.act(Step::Write(Write::DeleteResource), limit::deleting(None)),
    }
}

/// Kubernetes refuses the finalizer of a resource whose instance runs: it is stopped when that is due, and nothing is started.
fn is_run_without(draft: &Draft<'_>) -> bool {
    let failure = draft
        .input
        .memory
        .backing_off(draft.generation(), draft.input.now);
    let is_refused = failure.is_some_and(|failure| failure.reason == Reason::WriteRefused);
    is_refused && draft.status.instance_id.is_some()
}

fn live(mut draft: Draft<'_>) -> Decision {
    let input = draft.input;
    if draft.lacks_finalizer() && !is_run_without(&draft) {
        let verdict = Verdict::reconciling(
            draft.phase(),
            Reason::Pending,
            "the finalizer is being added",
        );
        return draft.act_unless_refused(Step::Write(Write::AddFinalizer), verdict);
    }
    draft.note_request();
    let (ended, is_new) = limit::note_end(input, &mut draft.status);
    draft.ended = ended;
    if is_new {
        let slot = draft.status.slot();
        let nothing = draft.status.instance_id.is_none() && slot.start.is_none();
        let verdict = match nothing {
            true => limit::stopped(ended, ""),
            false => limit::stopping(ended),
        };
        return draft.rest(verdict, None);
    }
    if draft.status.slot().start.is_some() {
        return resolve::decide(draft);
    }
    if limit::is_to_be_deleted(input, &draft.status) && !restored::is_open(&draft) {
        return delete_expired(draft);
    }
    if draft.status.instance_id.is_some() {
        return seal::first(draft.input, bound::decide(draft));
    }
    if restored::is_open(&draft) {
        return restored::decide(draft);
    }
    restored::record_end(&mut draft);
    unbound::decide(draft)
}
