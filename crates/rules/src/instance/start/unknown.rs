//! Resolves an open start whose outcome is not known.

use std::time::Duration;

use cortecs_api::{flaw_of_instance, types::Instance};
use cortecs_clock::Moment;
use cortecs_resources::{
    account::Sharing,
    instance_status::Phase,
    journal::{MAX_KNOWN_INSTANCES, StartIntent},
    reason::Reason,
};

use super::{
    ask::{NONE, ask, dismiss, outcome_unknown, person_decides, was_asked},
    candidates::{Candidates, is_free},
    confirm::{confirm, take_as_ordered},
    others,
    void::void,
};
use crate::{
    facts::{
        args,
        attempt::{Attempt, Outcome},
        snapshot::Snapshot,
    },
    instance::{
        draft::{Draft, PATIENCE, SOON},
        gate,
        input::Desired,
        step::Decision,
        verdict::Verdict,
    },
};

/// The outcome of the call is not known. Resolving costs nothing, so only missing credentials stop it.
pub(crate) fn unknown(
    mut draft: Draft<'_>,
    intent: &StartIntent,
    attempt: &Attempt,
    since: Moment,
) -> Decision {
    let input = draft.input;
    draft.is_busy();
    let order = person_decides(&draft, attempt);
    let can_know = MAX_KNOWN_INSTANCES.saturating_sub(intent.candidate_ids.len());
    if order == Some(NONE)
        && !intent.overtaken
        && !intent.candidate_ids.is_empty()
        && intent.known_instances.len() <= can_know
    {
        // Before anything else: the answer is about the instances that were named, whatever is listed by now.
        return dismiss(draft, intent, attempt);
    }
    if let Some(start) = &mut draft.status.slot_mut().start {
        // Named again where a person is still asked about them.
        start.candidate_ids.clear();
    }
    if let Err(verdict) = gate::calls(&draft)
        && (!draft.is_deleting() || gate::reachable(&draft).is_err())
    {
        return draft.rest(verdict, None);
    }
    let Some(api_url) = draft.home().map(|home| home.api_url.clone()) else {
        return draft.rest(
            Verdict::stalled(
                Phase::Failed,
                Reason::StartUnresolved,
                "the account of the start is not recorded",
            ),
            None,
        );
    };
    let wanted = args::of_record(&intent.args);
    // A start that others make later changes nothing for an overtaken one.
    let is_overtaken = intent.overtaken && !matches!(attempt.outcome, Outcome::Accepted(_));
    if let Some(other) = others::in_flight(&draft, &api_url, &wanted).filter(|_| !is_overtaken) {
        let message = format!("the answer to the equal start of {} is awaited", other.key);
        return draft.rest(Verdict::resolving_start(message), None);
    }
    let Some(snapshot) = draft.snapshot().filter(|s| s.requested_at >= since) else {
        draft.needs_list(since);
        let awaited = draft.list_awaited();
        return stay_or_rest(draft, Verdict::resolving_start(awaited), None);
    };
    let found = Candidates::new(&draft, snapshot, intent, attempt, &api_url);
    if let Some(order) = order {
        let named = found.callable();
        if let Some(instance) = named.iter().find(|i| i.instance_id == order) {
            return take_as_ordered(draft, snapshot, attempt, instance);
        }
    }
    if !found.certain.is_empty() && !is_overtaken {
        return take_one(draft, snapshot, intent, attempt, &found.certain);
    }
    let settled_at = attempt
        .settled_at(input.settings.settle)
        .max(others::settled_at(&draft, &api_url, &wanted, is_overtaken));
    if input.now < settled_at {
        let wait = settled_at.since(input.now);
        return stay_or_rest(draft, outcome_unknown(intent, attempt), Some(wait));
    }
    if attempt.settled_lists < 2 || snapshot.requested_at < settled_at {
        draft.needs_list(draft.listed_at().max(settled_at));
        return stay_or_rest(draft, outcome_unknown(intent, attempt), None);
    }
    let says_none = order == Some(NONE);
    if is_overtaken {
        let named: Vec<_> = found
            .callable()
            .into_iter()
            .chain(found.untouchable)
            .collect();
        let is_named = |i: &&Instance| intent.candidate_ids.contains(&i.instance_id);
        return match says_none {
            true if named.iter().all(is_named) => void(draft, snapshot, intent, attempt, true),
            // There are more than a person is asked about at once.
            true if !intent.candidate_ids.is_empty()
                && intent.known_instances.len() <= can_know =>
            {
                dismiss(draft, intent, attempt)
            }
            _ => {
                let why =
                    "another start that makes such an instance was made after the settle time";
                ask(draft, why, &named)
            }
        };
    }
    if let Some(instance) = found.untouchable.first() {
        // The instance may be billed for this start: no other start is made before a person has looked.
        let flaw = flaw_of_instance(&instance.instance_id).unwrap_or_default();
        let why = format!(
            "no call could be made to stop what has appeared ({flaw}): see to it with the provider"
        );
        return ask(draft, &why, &found.untouchable);
    }
    if !found.doubtful.is_empty() {
        // By now the instance that this start has made has appeared too, if there is one.
        return take_one(draft, snapshot, intent, attempt, &found.doubtful);
    }
    if !found.contested.is_empty() {
        let why = "the start of another resource that asked for other arguments may have made what has appeared";
        return ask(draft, why, &found.contested);
    }
    if !found.altered.is_empty() {
        let why = "an instance with other arguments has appeared that no resource claims";
        return ask(draft, why, &found.altered);
    }
    if let Outcome::Accepted(accepted) = &attempt.outcome
        && is_free(&draft, accepted, &api_url)
        && !is_gone(attempt, accepted, settled_at)
    {
        // The answer to the start named it. That lists lack it proves nothing before a get has failed too.
        return confirm(draft, snapshot, attempt, &[accepted], 0);
    }
    void(draft, snapshot, intent, attempt, says_none)
}

/// Whether the API did not find the instance when lists had to show it.
fn is_gone(attempt: &Attempt, instance: &Instance, settled_at: Moment) -> bool {
    let lookup = attempt.lookups.get(&instance.instance_id);
    lookup.is_some_and(|lookup| lookup.is_missing() && lookup.asked >= settled_at)
}

/// Binds one of these instances, where likeness is proof. Equal starts that are older take theirs first.
fn take_one(
    draft: Draft<'_>,
    snapshot: &Snapshot,
    intent: &StartIntent,
    attempt: &Attempt,
    found: &[&Instance],
) -> Decision {
    if let Desired::Pending(awaited) = &draft.input.account.desired {
        // Until the accounts are known, nothing is proven: another operator may manage this one, or others may start instances in it.
        let verdict = Verdict::resolving_start(awaited);
        return draft.rest(verdict, None);
    }
    if let Some(why) = shared_because(&draft) {
        return ask(draft, why, found);
    }
    if intent.incomplete_list && !matches!(attempt.outcome, Outcome::Accepted(_)) {
        let why = "the list before the start lacked an instance that the API finds, so it may have lacked others";
        return ask(draft, why, found);
    }
    let rank = match &attempt.outcome {
        Outcome::Accepted(_) => 0,
        _ => others::rank(&draft, intent, attempt),
    };
    if rank < found.len() {
        return confirm(draft, snapshot, attempt, found, rank);
    }
    let message = "equal starts that are older take the instances that have appeared";
    draft.rest(Verdict::resolving_start(message), Some(SOON))
}

/// Shows the verdict, unless a person is asked already: the question stays until more is known.
fn stay_or_rest(draft: Draft<'_>, verdict: Verdict, wait: Option<Duration>) -> Decision {
    match was_asked(&draft) && draft.is_current() {
        true => draft.unchanged(wait.or(Some(PATIENCE))),
        false => draft.rest(verdict, wait),
    }
}

/// Why equal arguments are no proof in the account of the start, which need not be the one that the spec names now.
fn shared_because(draft: &Draft<'_>) -> Option<&'static str> {
    let fleet = draft.input.account.fleet.as_ref();
    if fleet.is_none_or(|fleet| fleet.sharing == Sharing::Shared) {
        return Some("others start instances in this account too");
    }
    let has_unseen = fleet.is_some_and(|fleet| fleet.has_unseen_users);
    has_unseen
        .then_some("the account may be used from namespaces that this operator does not watch")
}
