//! The question to a person about an open start, and the answer.

use cortecs_api::types::Instance;
use cortecs_resources::{
    annotations, conditions,
    instance_status::Phase,
    journal::{MAX_CANDIDATE_IDS, StartIntent},
    reason::Reason,
};

use crate::{
    facts::{attempt::Attempt, known::digest},
    instance::{
        draft::Draft,
        step::{Decision, Purpose},
        verdict::Verdict,
    },
};

/// The value of the annotation when the start has made none of the candidates.
pub(crate) const NONE: &str = "none";

/// The order that a person gave by annotation after the resource had asked for it. A value from before the start is no order.
pub(crate) fn person_decides<'a>(draft: &Draft<'a>, attempt: &Attempt) -> Option<&'a str> {
    let is_order = was_asked(draft) && attempt.ordered;
    draft
        .annotation(annotations::RESOLVE_START)
        .filter(|_| is_order)
}

/// Whether the status asks a person.
pub(crate) fn was_asked(draft: &Draft<'_>) -> bool {
    let status = draft.input.resource.status.as_ref();
    status
        .and_then(|s| conditions::find_condition(&s.conditions, conditions::STALLED))
        .is_some_and(|c| Reason::of(c) == Some(Reason::StartUnresolved))
}

/// Asks a person which of these instances the start has made, if any.
pub(crate) fn ask(mut draft: Draft<'_>, why: &str, candidates: &[&Instance]) -> Decision {
    let named: Vec<String> = candidates
        .iter()
        .take(MAX_CANDIDATE_IDS)
        .map(|i| i.instance_id.clone())
        .collect();
    let name = annotations::RESOLVE_START;
    let answer = match named.is_empty() {
        true => format!(
            "no instance that it may have made is listed: set the annotation {name} to {NONE} once you have made sure of that"
        ),
        false => format!(
            "it may be {}: set the annotation {name} to the instance's id, or to {NONE} if it is none of these",
            named.join(" or ")
        ),
    };
    let message = format!(
        "the outcome of the start is not known, and {why}; {answer} (remove it first if it says so already)"
    );
    let asked = draft.input.resource.status.as_ref();
    let asked = asked
        .filter(|_| was_asked(&draft))
        .and_then(|s| s.slot().start.as_ref());
    let is_new = asked.is_none_or(|asked| asked.candidate_ids != named);
    let says_none = draft.annotation(annotations::RESOLVE_START) == Some(NONE);
    if let Some(start) = &mut draft.status.slot_mut().start {
        start.candidate_ids = named;
        if is_new && says_none {
            // The person wrote that before these instances were named.
            start.old_order = Some(NONE.to_owned());
        }
    }
    let verdict = Verdict::stalled(Phase::Failed, Reason::StartUnresolved, message);
    draft.rest(verdict, None)
}

/// A person says that the start has made none of the instances that were named: from now on the intent lists them as known.
/// The answer is not about instances that appear later: the start's own instance may still be among these.
pub(crate) fn dismiss(mut draft: Draft<'_>, intent: &StartIntent, attempt: &Attempt) -> Decision {
    if let Some(start) = &mut draft.status.slot_mut().start {
        let known = &mut start.known_instances;
        let named = intent.candidate_ids.iter();
        known.extend(named.map(|id| digest(intent.id, id)));
        known.sort_unstable();
        known.dedup();
        start.old_order = Some(NONE.to_owned());
    }
    let verdict = outcome_unknown(intent, attempt);
    draft.write(Purpose::Dismiss, verdict)
}

/// The verdict while no instance of the start has appeared.
pub(crate) fn outcome_unknown(intent: &StartIntent, attempt: &Attempt) -> Verdict {
    let said = attempt.said.as_ref();
    let said = said.map_or(String::new(), |said| format!(" ({said})"));
    Verdict::resolving_start(format!(
        "the outcome of the start of {} is not known{said}: no instance of it has appeared yet, and it is not repeated before that is certain",
        intent.args.model_id
    ))
}
