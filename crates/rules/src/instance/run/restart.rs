//! A restart is open: make its one call, record its outcome, or find out what became of it.

use cortecs_api::types::Instance;
use cortecs_clock::Moment;
use cortecs_resources::{
    instance::{DeletionPolicy, DesiredState},
    instance_status::Phase,
    journal::RestartIntent,
    reason::Reason,
};
use uuid::Uuid;

use super::{
    gone::{self, Gone},
    stop::stop,
};
use crate::{
    facts::{
        args,
        attempt::{Attempt, Outcome},
        bound::Bound,
    },
    instance::{
        budget::{self, NoRoom},
        draft::Draft,
        gate,
        input::Account,
        limit,
        pin::{NotPinned, can_restart},
        protocol::Rule,
        run::{drift::handle_restart, running::run},
        step::{ApiCall, Decision, Purpose, Step},
        verdict::Verdict,
        waiting::Delay,
    },
};

const UNKNOWN: &str = "the outcome of the restart is not known yet";

pub(crate) fn decide(draft: Draft<'_>, intent: &RestartIntent, bound: &Bound) -> Decision {
    let input = draft.input;
    let Some(attempt) = input.memory.restart.as_ref().filter(|a| a.id == intent.id) else {
        return draft.rest(
            resolving("the restart that the status records is being resolved"),
            None,
        );
    };
    match &attempt.outcome {
        Outcome::Written => {
            let young = input.now <= attempt.first_seen.after(input.settings.young());
            if young && is_still_wanted(&draft) {
                match draft.delay_start(&Verdict::starting("the instance is being restarted")) {
                    Some(Delay::Pause(verdict, _)) => return settled(draft, verdict),
                    Some(turn) => return draft.wait_for(turn),
                    None => {}
                }
                let before = attempt.first_seen.after(input.settings.young());
                return call(draft, bound, intent.id, before);
            }
            settled(draft, taken_back())
        }
        Outcome::Dropped => settled(draft, taken_back()),
        Outcome::InFlight => draft.rest(Verdict::starting("the instance is being restarted"), None),
        Outcome::Accepted(_) => {
            settled(draft, Verdict::starting("the instance is being restarted"))
        }
        Outcome::Refused(failure) => {
            let verdict = Verdict::of_failure(failure, Phase::Stopped);
            settled(draft, verdict)
        }
        Outcome::Unknown(since) => {
            let seen = bound
                .latest(draft.snapshot())
                .filter(|(asked, _)| asked >= since);
            match seen {
                Some((_, instance)) if instance.is_stopped() => stopped(draft, attempt),
                Some((asked, instance)) => up(draft, attempt, bound, asked, instance),
                None => missing(draft, bound, *since),
            }
        }
    }
}

/// The instance is up. That may be older than the restart, if a list lags or the instance ran before. So the restart may take
/// effect until the settle time has passed, also after a stop. Until then the restart stays open, and nothing else waits for it.
fn up(
    draft: Draft<'_>,
    attempt: &Attempt,
    bound: &Bound,
    seen: Moment,
    instance: &Instance,
) -> Decision {
    let (now, spec) = (draft.input.now, draft.spec());
    let settled_at = attempt.settled_at(draft.input.settings.settle);
    if now >= settled_at || !draft.enforces(Rule::RestartStaysOpen) {
        return settled(draft, Verdict::starting("the instance was restarted"));
    }
    let deleting = draft.is_deleting();
    let to_stop = match deleting {
        true => spec.deletion_policy != DeletionPolicy::Orphan,
        false => draft.desired_state() == DesiredState::Stopped && !spec.suspend,
    };
    let mut decision = if to_stop {
        let verdict = Verdict::reconciling(
            Phase::Stopping,
            Reason::ResolvingRestart,
            "the instance is being stopped; a restart whose outcome is not known may still take effect",
        );
        stop(draft, bound, seen, verdict)
    } else if deleting {
        draft.rest(resolving(UNKNOWN), None)
    } else {
        run(draft, instance)
    };
    let wait = settled_at.since(now);
    decision.look_again = Some(decision.look_again.map_or(wait, |other| other.min(wait)));
    decision
}

fn unknown(attempt: &Attempt) -> String {
    match &attempt.said {
        Some(said) => format!("{UNKNOWN}: {said}"),
        None => UNKNOWN.to_owned(),
    }
}

fn taken_back() -> Verdict {
    Verdict::pending("the restart was taken back before the call was made")
}

/// The one call of a restart intent.
pub(crate) fn call(draft: Draft<'_>, bound: &Bound, intent: Uuid, before: Moment) -> Decision {
    let step = Step::Call(ApiCall::Restart {
        intent,
        instance_id: bound.id.clone(),
        before,
    });
    draft.act(step, Verdict::starting("the instance is being restarted"))
}

fn is_still_wanted(draft: &Draft<'_>) -> bool {
    let spec = draft.spec();
    let deleting = draft.is_deleting();
    !deleting
        && !spec.suspend
        && draft.desired_state() == DesiredState::Running
        && gate::starts(draft).is_ok()
}

/// The instance is still stopped. The restart may take effect until the settle time has passed.
fn stopped(mut draft: Draft<'_>, attempt: &Attempt) -> Decision {
    let input = draft.input;
    draft.is_busy();
    let settled_at = attempt.settled_at(input.settings.settle);
    if input.now < settled_at {
        let wait = settled_at.since(input.now);
        return draft.rest(resolving(unknown(attempt)), Some(wait));
    }
    if attempt.settled_lists < 2 {
        draft.needs_list(draft.listed_at().max(settled_at));
        return draft.rest(resolving(unknown(attempt)), None);
    }
    draft.status.slot_mut().restart = None;
    draft.write(
        Purpose::VoidRestart,
        Verdict::pending("nothing came of the restart: it is given up"),
    )
}

/// No list since the outcome became unknown shows it.
fn missing(mut draft: Draft<'_>, bound: &Bound, since: Moment) -> Decision {
    draft.is_busy();
    match gone::check(&draft, bound) {
        Gone::Held => {
            let verdict = draft.missing_while_held(&bound.id);
            draft.rest(verdict, None)
        }
        Gone::Yes => {
            draft.forget_instance();
            draft.write(Purpose::Unbind, Verdict::pending("the instance is gone"))
        }
        Gone::NeedsGet => {
            let call = ApiCall::Get {
                instance_id: bound.id.clone(),
            };
            draft.call(call, resolving("the instance is not listed any more"))
        }
        Gone::Settling(wait) => {
            draft.rest(resolving("the instance is not listed any more"), Some(wait))
        }
        Gone::No | Gone::NeedsList => {
            draft.needs_list(draft.listed_at().max(since));
            let awaited = draft.list_awaited();
            draft.rest(resolving(awaited), None)
        }
    }
}

fn settled(mut draft: Draft<'_>, verdict: Verdict) -> Decision {
    draft.status.slot_mut().restart = None;
    draft.write(Purpose::DropRestart, verdict)
}

fn resolving(message: impl Into<String>) -> Verdict {
    Verdict::reconciling(Phase::Starting, Reason::ResolvingRestart, message)
}

/// Whether the account permits that the instance runs again with the arguments in force.
pub(crate) fn may_begin<'a>(draft: &Draft<'a>) -> Result<&'a Account, Verdict> {
    let account = gate::starts(draft)?;
    if let Some(args) = &draft.status.instance_args {
        limit::check(account, &args::of_record(args))?;
    }
    Ok(account)
}

/// Whether the budget has room for what is in force.
pub(crate) fn has_room(draft: &Draft<'_>, account: &Account) -> Result<(), NoRoom> {
    match &draft.status.instance_args {
        Some(args) => budget::check(draft, account, &args::of_record(args)),
        None => Ok(()),
    }
}

pub(crate) fn begin(mut draft: Draft<'_>, bound: &Bound, seen: Moment) -> Decision {
    if let Some(called) = bound.called.filter(|called| seen < *called) {
        // The list may be older than the restart that was made.
        let verdict = Verdict::starting("the instance is being restarted");
        return draft.await_list(called, verdict, None);
    }
    let account = match may_begin(&draft) {
        Ok(account) => account,
        Err(verdict) => return draft.rest(verdict, None),
    };
    if let Err(no_room) = has_room(&draft, account) {
        return no_room.wait(draft);
    }
    let turn = Verdict::reconciling(
        Phase::Stopped,
        Reason::Pending,
        "other calls of the account are made before the restart",
    );
    if let Err(NotPinned::Because(verdict, wait)) = can_restart(&draft) {
        return draft.rest(verdict, Some(wait));
    }
    if let Some(delay) = draft.delay_start(&turn) {
        return draft.wait_for(delay);
    }
    if let Err(NotPinned::Fetch(call)) = can_restart(&draft) {
        return draft.act(Step::Call(call), turn);
    }
    if !draft.enforces(Rule::RestartAhead) {
        let (id, now) = (draft.uuid(), draft.input.now);
        return call(draft, bound, id, now);
    }
    handle_restart(&mut draft);
    let id = draft.uuid();
    draft.begins_to_run();
    draft.status.slot_mut().restart = Some(RestartIntent {
        id,
        requested_at: draft.input.wall,
    });
    draft.write(
        Purpose::RestartIntent(id),
        Verdict::starting("the instance is being restarted"),
    )
}
