//! Binds the instance that an open start has made, once a get has found it and all resources were read after the list.

use cortecs_api::types::Instance;

use super::ask::ask;
use crate::{
    facts::{attempt::Attempt, lookup::Lookup, snapshot::Snapshot},
    instance::{
        binding::{await_check, bind, preference, read_by_quorum_since, unchecked_annotation},
        draft::Draft,
        step::{ApiCall, Decision, Step},
        verdict::Verdict,
    },
};

/// Takes one of the candidates that a get finds: lists may show for a while an instance that was deleted. `rank` equal
/// starts take one before this start.
pub(crate) fn confirm(
    draft: Draft<'_>,
    snapshot: &Snapshot,
    attempt: &Attempt,
    candidates: &[&Instance],
    rank: usize,
) -> Decision {
    let lookup = |i: &Instance| attempt.lookups.get(&i.instance_id);
    let is_missing = |i: &Instance| lookup(i).is_some_and(Lookup::is_missing);
    let mut there: Vec<&Instance> = candidates.to_vec();
    there.retain(|i| !is_missing(i));
    there.sort_unstable_by_key(|i| preference(i));
    if let Some(best) = there.get(rank).or(there.last()) {
        return match lookup(best) {
            Some(lookup) if lookup.is_found() => take(draft, snapshot, best),
            Some(lookup) if !may_ask(&draft, lookup, snapshot) => {
                unanswered(draft, lookup, candidates)
            }
            _ => look_up(draft, best),
        };
    }
    missing(draft, snapshot, attempt, candidates)
}

/// Whether a get is made now. A person who is asked meanwhile goes on to be asked while the next get has to wait.
fn may_ask(draft: &Draft<'_>, lookup: &Lookup, snapshot: &Snapshot) -> bool {
    let (now, settle) = (draft.input.now, draft.input.settings.settle);
    let waits = || draft.delay(&Verdict::resolving_start("")).is_some();
    lookup.is_due(now, snapshot.requested_at) && !(lookup.lasts(settle, now) && waits())
}

/// Gets of a candidate fail, and say nothing about it.
fn unanswered(draft: Draft<'_>, lookup: &Lookup, candidates: &[&Instance]) -> Decision {
    let (now, settle) = (draft.input.now, draft.input.settings.settle);
    if lookup.lasts(settle, now) {
        let why = "the API does not answer whether an instance exists that its list shows";
        return ask(draft, why, candidates);
    }
    let message = "an instance that may be the start's own cannot be looked up for the moment";
    draft.rest(Verdict::resolving_start(message), Some(lookup.wait(now)))
}

/// A person says that the start has made this instance. That is enough where no get finds it.
pub(crate) fn take_as_ordered(
    draft: Draft<'_>,
    snapshot: &Snapshot,
    attempt: &Attempt,
    instance: &Instance,
) -> Decision {
    match attempt.lookups.get(&instance.instance_id) {
        Some(_) => take(draft, snapshot, instance),
        None => look_up(draft, instance),
    }
}

/// The API does not find the candidates that its list shows: they were deleted, or are so new that only lists show them.
fn missing(
    draft: Draft<'_>,
    snapshot: &Snapshot,
    attempt: &Attempt,
    candidates: &[&Instance],
) -> Decision {
    let (now, settle) = (draft.input.now, draft.input.settings.settle);
    let lookups = || {
        candidates
            .iter()
            .filter_map(|i| Some((attempt.lookups.get(&i.instance_id)?, *i)))
    };
    let next = lookups().min_by_key(|(lookup, _)| lookup.retry_at());
    let Some((lookup, instance)) = next else {
        return draft.unchanged(None);
    };
    if lookup.is_due(now, snapshot.requested_at) {
        return look_up(draft, instance);
    }
    if lookups().all(|(lookup, _)| lookup.lasts(settle, now)) {
        let why = "the account's list shows an instance that the API does not find";
        return ask(draft, why, candidates);
    }
    let wait = lookup.wait(now);
    let message = "a list shows an instance that may be the start's own, but the API does not find it: another list is awaited";
    draft.rest(Verdict::resolving_start(message), Some(wait))
}

fn look_up(draft: Draft<'_>, instance: &Instance) -> Decision {
    let call = ApiCall::Get {
        instance_id: instance.instance_id.clone(),
    };
    let message = "an instance that may be the start's own is being looked up";
    draft.call(call, Verdict::resolving_start(message))
}

fn take(draft: Draft<'_>, snapshot: &Snapshot, instance: &Instance) -> Decision {
    let verdict = Verdict::starting("the instance of the start was found");
    if !read_by_quorum_since(&draft, snapshot) {
        return draft.act(Step::QuorumRead, verdict);
    }
    if let Some(other) = unchecked_annotation(&draft, &instance.instance_id) {
        return await_check(draft, verdict, other);
    }
    let Some(home) = draft.home().cloned() else {
        return draft.rest(verdict, None);
    };
    bind(draft, home, instance, true, verdict)
}
