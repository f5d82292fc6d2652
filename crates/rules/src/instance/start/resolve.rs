//! A start is open: make its one call, record its outcome, or find out what became of it.

use cortecs_api::types::Instance;
use cortecs_resources::{instance::DesiredState, instance_status::Phase, journal::StartIntent};

use super::{candidates::is_free, others, unbound, unknown::unknown};
use crate::{
    facts::{
        args,
        attempt::{Attempt, Outcome},
    },
    instance::{
        draft::Draft,
        gate,
        pin::permits,
        protocol::Rule,
        step::{ApiCall, Decision, Purpose, Step, Write},
        verdict::Verdict,
        waiting::Delay,
    },
};

pub(crate) fn decide(draft: Draft<'_>) -> Decision {
    let input = draft.input;
    let Some(intent) = input
        .resource
        .status
        .as_ref()
        .and_then(|s| s.slot().start.as_ref())
    else {
        return unbound::decide(draft);
    };
    let Some(attempt) = input.memory.start.as_ref().filter(|a| a.id == intent.id) else {
        // The shell takes note of every intent before it asks for a decision.
        return draft.rest(
            Verdict::resolving_start("the start that the status records is being resolved"),
            None,
        );
    };
    match &attempt.outcome {
        Outcome::Written => written(draft, intent, attempt),
        Outcome::Accepted(instance) if must_be_resolved(&draft, attempt, instance) => {
            unknown(draft, intent, attempt, attempt.first_seen)
        }
        Outcome::Accepted(instance) => {
            let step = Step::Write(Write::RecordAccepted {
                intent: intent.id,
                instance: instance.clone(),
            });
            draft.act(step, Verdict::starting("the instance is being started"))
        }
        Outcome::Refused(failure) => {
            let verdict = Verdict::of_failure(failure, Phase::Pending);
            drop_start(draft, verdict)
        }
        Outcome::Dropped => drop_start(draft, taken_back()),
        Outcome::InFlight => draft.rest(Verdict::starting("the instance is being started"), None),
        Outcome::Unknown(_) if !draft.enforces(Rule::OneCall) => written(draft, intent, attempt),
        Outcome::Unknown(since) => unknown(draft, intent, attempt, *since),
    }
}

/// This process wrote the intent: the call may be made once, while the intent is young and still wanted.
fn written(draft: Draft<'_>, intent: &StartIntent, attempt: &Attempt) -> Decision {
    let input = draft.input;
    let young = input.now <= attempt.first_seen.after(input.settings.young());
    if young && is_still_wanted(&draft, intent) {
        let verdict = Verdict::starting("the instance is being started");
        match draft.delay_start(&verdict) {
            // The intent is taken back at once: it would become too old, and would block other starts.
            Some(Delay::Pause(verdict, _)) => return drop_start(draft, verdict),
            Some(turn) => return draft.wait_for(turn),
            None => {}
        }
        let step = Step::Call(ApiCall::Start {
            intent: intent.id,
            args: args::of_record(&intent.args),
            before: attempt.first_seen.after(input.settings.young()),
        });
        return draft.act(step, verdict);
    }
    drop_start(draft, taken_back())
}

fn taken_back() -> Verdict {
    Verdict::pending("the start was taken back before the call was made")
}

fn is_still_wanted(draft: &Draft<'_>, intent: &StartIntent) -> bool {
    let spec = draft.spec();
    let same = || permits(draft, &args::of_record(&intent.args));
    !draft.is_deleting()
        && !spec.suspend
        && draft.desired_state() == DesiredState::Running
        && gate::starts(draft).is_ok()
        && same()
        && !is_held_up(draft, intent)
}

/// An accepted instance is recorded by a patch; one that could not be recorded within the settle time, or that another
/// resource has by now, is looked for like any other.
fn must_be_resolved(draft: &Draft<'_>, attempt: &Attempt, accepted: &Instance) -> bool {
    let input = draft.input;
    let api_url = draft.home().map(|home| home.api_url.as_str());
    input.now > attempt.first_seen.after(input.settings.settle)
        || api_url.is_none_or(|url| !is_free(draft, accepted, url))
}

/// Whether an open start of another resource holds this one up, since the intent was written.
fn is_held_up(draft: &Draft<'_>, intent: &StartIntent) -> bool {
    let wanted = args::of_record(&intent.args);
    let home = draft.home();
    home.is_none_or(|home| others::holding_up(draft, home, &wanted, Some(intent)).is_some())
}

fn drop_start(mut draft: Draft<'_>, verdict: Verdict) -> Decision {
    draft.status.slot_mut().start = None;
    draft.forget_instance();
    draft.write(Purpose::DropStart, verdict)
}
