//! The record of a step and of the answers of the API in memory. Pure: the shell and the tests record a step in the same way.

use std::sync::Arc;

use cortecs_api::types::Instance;
use cortecs_clock::Moment;
use cortecs_resources::{
    INSTANCE_FINALIZER,
    conditions::{READY, find_condition},
    instance_status::Phase,
    key::ObjectKey,
};
use kube::ResourceExt;
use uuid::Uuid;

pub use super::answer::{Answer, Ended, answer, is_moved, outcome};
use super::step::Purpose;
use crate::{
    facts::{
        attempt::{Attempt, Outcome},
        bound::Bound,
        lookup::{self, Lookup},
        memory::{Memory, WritingStart},
    },
    instance::step::{ApiCall, Decision, Step, Write},
    ledger::book::Book,
};

/// When a call was about to be sent, and when its answer was there.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub asked: Moment,
    pub answered: Moment,
}

/// Takes note of a step that is about to be carried out. It must be called under the lock under which the step was
/// decided, so that no other decision is taken as if the step had not begun.
pub fn announce(book: &mut Book, key: &ObjectKey, decision: &Decision, now: Moment) {
    let releases = decision.step == Step::Write(Write::RemoveFinalizer);
    let is_released = book.get(key).is_some_and(|entry| {
        let finalizers = entry.resource.finalizers();
        entry.memory.released && !finalizers.iter().any(|f| f == INSTANCE_FINALIZER)
    });
    let writing = writing_start(decision, now);
    let parting = parting(decision);
    book.remember(key, |memory| {
        if parting.is_some() {
            memory.parting = parting;
        }
        memory.released = releases || is_released;
        memory.held_up.clone_from(&decision.held_up);
        memory.budget_wait.clone_from(&decision.budget_wait);
        // Until the write is answered or a newer version of the resource is there.
        if writing.is_some() {
            memory.writing_start = writing;
        }
    });
    match &decision.step {
        Step::Write(Write::Status(Purpose::RestartIntent(_))) => {
            book.remember(key, |memory| memory.writing_restart = true);
        }
        Step::Call(ApiCall::Start { .. }) => {
            book.remember(key, |memory| call_begins(memory.start.as_mut()));
        }
        Step::Call(ApiCall::Restart { .. }) => {
            book.remember(key, |memory| call_begins(memory.restart.as_mut()));
        }
        Step::Write(Write::Status(Purpose::DropStart)) => {
            book.remember(key, |memory| call_dropped(memory.start.as_mut()));
        }
        Step::Write(Write::Status(Purpose::DropRestart)) => {
            book.remember(key, |memory| call_dropped(memory.restart.as_mut()));
        }
        Step::Write(Write::Status(Purpose::Bind { instance_id, .. })) => {
            if let Some(home) = &decision.status.account {
                book.reserve(key, &home.api_url, instance_id);
            }
        }
        _ => {}
    }
}

/// What the decision is to tell of a deletion, if it is to tell something.
fn parting(decision: &Decision) -> Option<String> {
    let tells = decision.step == Step::Write(Write::Status(Purpose::Report))
        && decision.status.phase == Some(Phase::Deleting);
    let ready = find_condition(&decision.status.conditions, READY);
    ready.filter(|_| tells).map(|ready| ready.message.clone())
}

/// The intent that the decision is to write, if it is to write one.
fn writing_start(decision: &Decision, now: Moment) -> Option<Arc<WritingStart>> {
    let Step::Write(Write::Status(Purpose::StartIntent(_))) = decision.step else {
        return None;
    };
    Some(Arc::new(WritingStart {
        intent: decision.status.slot().start.clone()?,
        account: decision.status.account.clone()?,
        since: now,
    }))
}

/// The call of a written-ahead attempt is about to be made.
pub fn call_begins(attempt: Option<&mut Attempt>) {
    if let Some(attempt) = attempt {
        attempt.outcome = Outcome::InFlight;
    }
}

/// A written-ahead attempt is about to be taken back: its call is not made any more, whatever becomes of the write.
pub fn call_dropped(attempt: Option<&mut Attempt>) {
    if let Some(attempt) = attempt.filter(|attempt| attempt.outcome == Outcome::Written) {
        attempt.outcome = Outcome::Dropped;
    }
}

/// The calls that were announced were not made, and may be made later.
pub fn call_not_made(memory: &mut Memory) {
    for attempt in [memory.start.as_mut(), memory.restart.as_mut()]
        .into_iter()
        .flatten()
    {
        if attempt.outcome == Outcome::InFlight {
            attempt.outcome = Outcome::Written;
        }
    }
}

/// The one call of a start intent has come to an end.
pub fn started(memory: &mut Memory, intent: Uuid, ended: Ended) {
    note_failure(memory, &ended.outcome);
    settle(memory.start.as_mut(), intent, ended);
}

/// The one call of a restart intent has come to an end.
pub fn restarted(memory: &mut Memory, intent: Uuid, instance_id: &str, ended: Ended, times: Times) {
    note_failure(memory, &ended.outcome);
    if let Some(bound) = memory.of_instance(instance_id) {
        bound.stop_answered = false;
        bound.stop_accepted = false;
        bound.delete_accepted = None;
        bound.stopped = false;
        bound.stops = 0;
        bound.called = Some(times.answered);
        if let Outcome::Accepted(instance) = &ended.outcome {
            bound.direct = Some((times.asked, Arc::clone(instance)));
        }
    }
    settle(memory.restart.as_mut(), intent, ended);
}

pub fn stopped(memory: &mut Memory, instance_id: &str, answer: Answer<Instance>, times: Times) {
    let mut refusal = None;
    let is_accepted = answer == Answer::Accepted;
    let (instance, answered) = match answer {
        Answer::Done(instance) => (Some(instance), true),
        Answer::Accepted => (None, false),
        // The next list, or the delete, will tell where it is.
        Answer::Moved(failure) => {
            refusal = Some(failure.message);
            (None, true)
        }
        Answer::Failed(failure) => {
            memory.failure = Some(failure);
            (None, false)
        }
        Answer::Unsent(failure) => {
            memory.failure = Some(failure);
            return;
        }
    };
    if answered || is_accepted {
        memory.failure = None;
    }
    let restarting = memory.restart.is_some();
    if let Some(bound) = memory.of_instance(instance_id) {
        bound.stop_answered |= answered;
        bound.stop_accepted = is_accepted;
        bound.stops = bound.stops.saturating_add(1);
        bound.removal_tried = true;
        bound.refusal = refusal;
        bound.called = Some(times.answered);
        bound.stopped = !restarting && instance.as_ref().is_some_and(Instance::is_stopped);
        if let Some(instance) = instance {
            bound.direct = Some((times.asked, Arc::new(instance)));
        }
    }
}

pub fn deleted(memory: &mut Memory, instance_id: &str, answer: Answer<()>, times: Times) {
    let deleted = matches!(answer, Answer::Done(()));
    let refused = matches!(answer, Answer::Moved(_));
    let is_accepted = answer == Answer::Accepted;
    memory.failure = match answer {
        Answer::Done(()) | Answer::Accepted => None,
        Answer::Unsent(failure) => {
            memory.failure = Some(failure);
            return;
        }
        Answer::Moved(failure) | Answer::Failed(failure) => Some(failure),
    };
    if let Some(bound) = memory.of_instance(instance_id) {
        bound.deleted = deleted;
        bound.removal_tried = true;
        if is_accepted {
            let before = bound.delete_accepted.map_or(0, |(_, count)| count);
            bound.delete_accepted = Some((times.answered, before.saturating_add(1)));
            return;
        }
        bound.delete_accepted = None;
        // Not stopped yet, perhaps: it is stopped once more before the next try.
        bound.stop_answered = deleted;
        bound.refused_deletes = bound.refused_deletes.saturating_add(refused.into());
    }
}

pub fn got(memory: &mut Memory, instance_id: &str, answer: Answer<Instance>, times: Times) {
    memory.failure = match &answer {
        Answer::Failed(failure) | Answer::Unsent(failure) => Some(failure.clone()),
        Answer::Done(_) | Answer::Accepted | Answer::Moved(_) => None,
    };
    let restarting = memory.restart.is_some();
    let looked_up = match &answer {
        Answer::Done(_) => Some(lookup::Answer::Found),
        Answer::Moved(_) => Some(lookup::Answer::NotFound),
        Answer::Failed(_) => Some(lookup::Answer::Failed),
        Answer::Accepted | Answer::Unsent(_) => None,
    };
    if let (Some(attempt), Some(looked_up)) = (&mut memory.start, looked_up) {
        let before = attempt.lookups.get(instance_id);
        let lookup = Lookup::next(before, times.asked, looked_up);
        attempt.lookups.insert(instance_id.to_owned(), lookup);
    }
    if let Some(bound) = memory.of_instance(instance_id) {
        bound.lookup_failed = matches!(answer, Answer::Moved(_));
        if bound.lookup_failed {
            let before = bound.lookup.as_ref();
            bound.lookup = Some(Lookup::next(before, times.asked, lookup::Answer::NotFound));
            bound.unlisted_since = None;
        }
        if let Answer::Done(instance) = answer {
            bound.lookup = None;
            // The list lags, or it is incomplete.
            if bound.absent_lists > 0 {
                bound.unlisted_since.get_or_insert(times.asked);
            }
            bound.absent_lists = 0;
            let after_stop = bound.stops > 0 && bound.called.is_some_and(|at| times.asked >= at);
            bound.stopped = after_stop && !restarting && instance.is_stopped();
            bound.direct = Some((times.asked, Arc::new(instance)));
        }
    }
}

/// The instance that a start was answered with is recorded: it is seen as the answer showed it until a list shows it.
pub fn recorded(memory: &mut Memory, instance: &Arc<Instance>, now: Moment) {
    let mut bound = Bound::new(instance.instance_id.clone(), now);
    bound.direct = Some((now, Arc::clone(instance)));
    memory.bound = Some(bound);
}

fn note_failure(memory: &mut Memory, outcome: &Outcome) {
    memory.failure = match outcome {
        Outcome::Refused(failure) => Some(failure.clone()),
        _ => None,
    };
    if let Outcome::Accepted(_) = outcome {
        memory.fruitless = 0;
    }
}

fn settle(attempt: Option<&mut Attempt>, intent: Uuid, ended: Ended) {
    if let Some(attempt) = attempt.filter(|attempt| attempt.id == intent) {
        attempt.outcome = ended.outcome;
        attempt.said = ended.said;
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
