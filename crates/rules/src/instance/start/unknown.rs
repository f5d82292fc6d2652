//! Resolves an open start whose outcome is not known.

use cortecs_api::{flaw_of_instance, types::Instance};
use cortecs_clock::Moment;
use cortecs_resources::{
    account::Sharing,
    instance_status::{MAX_KNOWN_INSTANCE_IDS, Phase, StartIntent},
    reason::Reason,
};

use super::{
    ask::{NONE, ask, dismiss, outcome_unknown, person_decides},
    candidates::{altered, candidates},
    void::void,
};
use crate::{
    facts::{
        args,
        memory::{Attempt, Outcome},
        snapshot::Snapshot,
    },
    instance::{
        binding::{await_check, bind, preference, read_by_quorum_since, unchecked_annotation},
        draft::Draft,
        gate,
        input::Desired,
        step::{ApiCall, Decision, Step},
        verdict::Verdict,
    },
    ledger::open_start::OpenStart,
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
    let can_know = MAX_KNOWN_INSTANCE_IDS.saturating_sub(intent.candidate_ids.len());
    if order == Some(NONE)
        && !intent.candidate_ids.is_empty()
        && intent.known_instance_ids.len() <= can_know
    {
        // Before anything else: the answer is about the instances that were named, whatever is listed by now.
        return dismiss(draft, intent);
    }
    if let Some(start) = &mut draft.status.start {
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
    let client_id = draft
        .home()
        .map(|home| home.client_id.clone())
        .unwrap_or_default();
    let wanted = args::of_record(&intent.args);
    let first =
        |o: &OpenStart<'_>, blocks: bool| o.in_flight || (blocks && is_older(o.intent, intent));
    let comes_first = |o: &OpenStart<'_>| first(o, draft.is_blocked_by(o, &client_id));
    let mut others = input.book.equal_open_starts(&api_url, &wanted, input.key);
    if let Some(other) = others.find(comes_first) {
        let message = format!("the equal start of {} is settled first", other.key);
        return draft.rest(Verdict::resolving_start(message), None);
    }
    let Some(snapshot) = draft.snapshot().filter(|s| s.requested_at >= since) else {
        draft.needs_list(since);
        let awaited = draft.list_awaited();
        return draft.rest(Verdict::resolving_start(awaited), None);
    };
    let settled_at = attempt.first_seen.after(input.settings.settle);
    let settled = input.now >= settled_at && attempt.settled_lists >= 2;
    let mut candidates = candidates(&draft, snapshot, intent, &wanted, &api_url);
    if let Outcome::Accepted(accepted) = &attempt.outcome {
        // The instance that the start was answered with is the only candidate.
        candidates.retain(|instance| instance.instance_id == accepted.instance_id);
    }
    let may_own =
        |o: &OpenStart<'_>| candidates.iter().any(|i| o.may_have_made(i)) && comes_first(o);
    if let Some(other) = input.book.open_starts(&api_url, input.key).find(may_own) {
        // Answers may leave arguments out: an instance that looks like this start's may be the other start's.
        let message = format!("the start of {} is settled first", other.key);
        return draft.rest(Verdict::resolving_start(message), None);
    }
    let altered = altered(&draft, snapshot, intent, &wanted, &api_url);
    let (candidates, untouchable): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|i| is_callable(i));

    if let Some(order) = order {
        let ordered = candidates
            .iter()
            .chain(&altered)
            .find(|i| i.instance_id == order && is_callable(i));
        if let Some(instance) = ordered.copied() {
            return confirm(draft, snapshot, attempt, &[instance]);
        }
    }
    if !candidates.is_empty() {
        return match shared_because(&draft) {
            Ok(None) => confirm(draft, snapshot, attempt, &candidates),
            Ok(Some(why)) => ask(draft, why, &candidates),
            Err(verdict) => draft.rest(verdict, None),
        };
    }
    if !settled {
        if input.now >= settled_at {
            draft.needs_list(draft.listed_at().max(settled_at));
            return draft.rest(outcome_unknown(intent), None);
        }
        let wait = settled_at.since(input.now);
        return draft.rest(outcome_unknown(intent), Some(wait));
    }
    if let Some(instance) = untouchable.first() {
        // The instance may be billed for this start: no other start is made before a person has looked.
        let flaw = flaw_of_instance(&instance.instance_id).unwrap_or_default();
        let why = format!(
            "no call could be made to stop what has appeared ({flaw}): see to it with the provider"
        );
        return ask(draft, &why, &untouchable);
    }
    if !altered.is_empty() {
        let why = "an instance of the same model but with other arguments has appeared";
        return ask(draft, why, &altered);
    }
    void(draft, snapshot, intent)
}

/// Why equal arguments are no proof in this account. It is an error as long as it is not known whether others use the account.
fn shared_because(draft: &Draft<'_>) -> Result<Option<&'static str>, Verdict> {
    match &draft.input.account.desired {
        Desired::Usable(account) if account.sharing == Sharing::Shared => {
            Ok(Some("others start instances in this account too"))
        }
        Desired::Usable(account) if !account.sees_all_users => Ok(Some(
            "the account may be used from namespaces that this operator does not watch",
        )),
        Desired::Usable(_) => Ok(None),
        Desired::Pending(awaited) => Err(Verdict::resolving_start(awaited)),
        Desired::Unusable { reason, message } => {
            Err(Verdict::stalled(Phase::Failed, *reason, message))
        }
    }
}

/// Takes the best candidate that a get confirms: lists may show for a while an instance that was deleted.
fn confirm(
    mut draft: Draft<'_>,
    snapshot: &Snapshot,
    attempt: &Attempt,
    candidates: &[&Instance],
) -> Decision {
    let lookup = |instance: &Instance| attempt.lookups.get(&instance.instance_id).copied();
    let best = candidates
        .iter()
        .copied()
        .filter(|i| {
            !lookup(i).is_some_and(|(asked, found)| !found && asked >= snapshot.requested_at)
        })
        .min_by_key(|i| preference(i));
    match best {
        Some(best) if lookup(best).is_some_and(|(_, found)| found) => take(draft, snapshot, best),
        Some(best) => {
            let call = ApiCall::Get {
                instance_id: best.instance_id.clone(),
            };
            draft.call(
                call,
                Verdict::resolving_start(
                    "an instance that may be the start's own is being looked up",
                ),
            )
        }
        None => {
            draft.needs_list(snapshot.requested_at);
            draft.rest(
                Verdict::resolving_start(
                    "a list shows an instance that may be the start's own, but the API does not find it: another list is awaited",
                ),
                None,
            )
        }
    }
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

fn is_older(a: &StartIntent, b: &StartIntent) -> bool {
    (a.requested_at, a.id) < (b.requested_at, b.id)
}

/// Whether calls can be made about the instance. One that could never be stopped is not bound.
fn is_callable(instance: &Instance) -> bool {
    flaw_of_instance(&instance.instance_id).is_none()
}
