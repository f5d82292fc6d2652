//! A start is open: make its one call, record its outcome, or find out what became of it.

use cortecs_api::{flaw_of_instance, types::Instance};
use cortecs_clock::Moment;
use cortecs_resources::{
    account::Sharing,
    annotations, conditions,
    instance::DesiredState,
    instance_status::{
        MAX_CANDIDATE_IDS, MAX_KNOWN_INSTANCE_IDS, MAX_VOIDED_STARTS, Phase, StartIntent,
        VOIDED_START_HOURS, VoidedStart,
    },
    reason::Reason,
};

use super::{
    candidates::{altered, candidates, is_free},
    pin::pinned,
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
        protocol::Rule,
        step::{ApiCall, Decision, Purpose, Step, Write},
        verdict::Verdict,
        waiting::Delay,
    },
    ledger::open_start::OpenStart,
};

/// What the annotation says when the start has made none of the candidates.
const NONE: &str = "none";

pub(crate) fn decide(draft: Draft<'_>) -> Decision {
    let input = draft.input;
    let Some(intent) = input
        .resource
        .status
        .as_ref()
        .and_then(|s| s.start.as_ref())
    else {
        return crate::instance::start::unbound::decide(draft);
    };
    let Some(attempt) = input.memory.start.as_ref().filter(|a| a.id == intent.id) else {
        // The shell takes note of every intent before it asks; without that there is nothing to go by.
        return draft.rest(resolving("the start is being looked at"), None);
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
            // Taken back at once: it would be too old, or stand in the way of others.
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
    let same = || pinned(draft).is_ok_and(|args| args == args::of_record(&intent.args));
    !is_deleting(draft)
        && !spec.suspend
        && spec.state == DesiredState::Running
        && gate::starts(draft).is_ok()
        && same()
        && !others_block(draft, intent)
}

/// An accepted instance is recorded by a patch; one that could not be recorded within the settle time, or that another
/// resource has by now, is looked for like any other.
fn must_be_resolved(draft: &Draft<'_>, attempt: &Attempt, accepted: &Instance) -> bool {
    let input = draft.input;
    let api_url = draft.home().map(|home| home.api_url.as_str());
    input.now > attempt.first_seen.after(input.settings.settle)
        || api_url.is_none_or(|url| !is_free(draft, accepted, url))
}

/// Whether an equal start of another resource has become unresolved since the intent was written.
fn others_block(draft: &Draft<'_>, intent: &StartIntent) -> bool {
    let input = draft.input;
    let wanted = args::of_record(&intent.args);
    draft.home().is_none_or(|home| {
        input
            .book
            .equal_open_starts(&home.api_url, &wanted, input.key)
            .any(|open| draft.is_blocked_by(&open, &home.client_id))
    })
}

fn drop_start(mut draft: Draft<'_>, verdict: Verdict) -> Decision {
    draft.status.start = None;
    draft.forget_instance();
    draft.write(Purpose::DropStart, verdict)
}

/// Nobody knows what became of the call. Resolving spends nothing, so nothing but missing credentials stops it.
fn unknown(
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
        // Before anything else: it is said of what was named, whatever is listed by now.
        return dismiss(draft, intent);
    }
    if let Some(start) = &mut draft.status.start {
        // Named again where a person is still asked about them.
        start.candidate_ids.clear();
    }
    if let Err(verdict) = gate::calls(&draft)
        && (!is_deleting(&draft) || gate::reachable(&draft).is_err())
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
        return draft.rest(resolving(message), None);
    }
    let Some(snapshot) = draft.snapshot().filter(|s| s.requested_at >= since) else {
        draft.wants_list();
        let awaited = draft.list_awaited();
        return draft.rest(resolving(awaited), None);
    };
    let settled_at = attempt.first_seen.after(input.settings.settle);
    let settled = input.now >= settled_at && attempt.settled_lists >= 2;
    let mut candidates = candidates(&draft, snapshot, intent, &wanted, &api_url);
    if let Outcome::Accepted(accepted) = &attempt.outcome {
        // What the start was answered with, and nothing else.
        candidates.retain(|instance| instance.instance_id == accepted.instance_id);
    }
    let may_own =
        |o: &OpenStart<'_>| candidates.iter().any(|i| o.may_have_made(i)) && comes_first(o);
    if let Some(other) = input.book.open_starts(&api_url, input.key).find(may_own) {
        // Answers leave arguments out: what looks like this start's may be that one's.
        let message = format!("the start of {} is settled first", other.key);
        return draft.rest(resolving(message), None);
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
            draft.wants_list();
            return draft.rest(lost(intent), None);
        }
        let wait = settled_at.since(input.now);
        return draft.rest(lost(intent), Some(wait));
    }
    if let Some(instance) = untouchable.first() {
        // It may be billed for this start: another is not made before a person has looked.
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

/// Why likeness is no proof in this account; an error as long as nobody can say whether others use it.
fn shared_because(draft: &Draft<'_>) -> Result<Option<&'static str>, Verdict> {
    match &draft.input.account.desired {
        Desired::Usable(account) if account.sharing == Sharing::Shared => {
            Ok(Some("others start instances in this account too"))
        }
        Desired::Usable(account) if !account.sees_all_users => Ok(Some(
            "the account may be used from namespaces that this operator does not watch",
        )),
        Desired::Usable(_) => Ok(None),
        Desired::Pending(awaited) => Err(resolving(awaited)),
        Desired::Unusable { reason, message } => {
            Err(Verdict::stalled(Phase::Failed, *reason, message))
        }
    }
}

/// What a person ordered by annotation, once the resource has asked for it: not what the annotation said before the start.
fn person_decides<'a>(draft: &Draft<'a>, attempt: &Attempt) -> Option<&'a str> {
    let asked = conditions::find_condition(
        &draft.input.resource.status.as_ref()?.conditions,
        conditions::STALLED,
    )
    .is_some_and(|c| Reason::of(c) == Some(Reason::StartUnresolved));
    if asked && attempt.ordered {
        draft.annotation(annotations::RESOLVE_START)
    } else {
        None
    }
}

/// Takes the best of the candidates that are really there: lists may show for a while what was deleted.
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
                resolving("an instance that may be the start's own is being looked up"),
            )
        }
        None => {
            draft.wants_list();
            draft.rest(
                resolving(
                    "what may be the start's own is listed but not there: another list is awaited",
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

/// Gives the start up, unless the account is on hold: then what lists lack proves nothing.
fn void(mut draft: Draft<'_>, snapshot: &Snapshot, intent: &StartIntent) -> Decision {
    if let Some(why) = draft.held() {
        let message = format!("nothing has come of the start yet, and that proves nothing: {why}");
        return draft.rest(
            Verdict::stalled(Phase::Failed, Reason::AccountHeld, message),
            None,
        );
    }
    let verdict = Verdict::pending("nothing came of the start: it is given up");
    if !read_by_quorum_since(&draft, snapshot) {
        return draft.act(Step::QuorumRead, verdict);
    }
    remember_void(&mut draft, snapshot, intent);
    draft.status.start = None;
    draft.forget_instance();
    draft.write(Purpose::VoidStart, verdict)
}

/// What a late outcome of the start can be recognised by. Equal instances that are there by now are not of it.
fn remember_void(draft: &mut Draft<'_>, snapshot: &Snapshot, intent: &StartIntent) {
    let now = draft.input.wall;
    let wanted = args::of_record(&intent.args);
    let equal = |i: &Instance| args::matches(&wanted, &i.instance_args);
    let here = snapshot.instances.iter().filter(|(_, i)| equal(i));
    let start = VoidedStart {
        id: intent.id,
        requested_at: intent.requested_at,
        voided_at: now,
        args: intent.args.clone(),
        account: draft.status.account.clone(),
        known_instance_ids: here
            .map(|(id, _)| id.clone())
            .take(MAX_KNOWN_INSTANCE_IDS)
            .collect(),
    };
    let voided = &mut draft.status.voided_starts;
    voided.retain(|v| now.duration_since(v.voided_at).as_hours() < VOIDED_START_HOURS);
    voided.push(start);
    let ids = |voided: &[VoidedStart]| -> usize {
        voided.iter().map(|v| v.known_instance_ids.len()).sum()
    };
    while voided.len() > MAX_VOIDED_STARTS
        || (voided.len() > 1 && ids(voided) > MAX_KNOWN_INSTANCE_IDS)
    {
        voided.remove(0);
    }
}

fn is_older(a: &StartIntent, b: &StartIntent) -> bool {
    (a.requested_at, a.id) < (b.requested_at, b.id)
}

fn is_deleting(draft: &Draft<'_>) -> bool {
    draft.input.resource.metadata.deletion_timestamp.is_some()
}

fn lost(intent: &StartIntent) -> Verdict {
    resolving(format!(
        "the outcome of the start of {} is not known: no instance of it has appeared yet, and it is not repeated before that is certain",
        intent.args.model_id
    ))
}

fn resolving(message: impl Into<String>) -> Verdict {
    Verdict::reconciling(Phase::Starting, Reason::ResolvingStart, message)
}

/// What could never be stopped is not bound.
fn is_callable(instance: &Instance) -> bool {
    flaw_of_instance(&instance.instance_id).is_none()
}

/// Asks a person which of these instances the start has made, if any.
fn ask(mut draft: Draft<'_>, why: &str, candidates: &[&Instance]) -> Decision {
    let named: Vec<String> = candidates
        .iter()
        .take(MAX_CANDIDATE_IDS)
        .map(|i| i.instance_id.clone())
        .collect();
    let message = format!(
        "the outcome of the start is not known, and {why}; it may be {}: set the annotation {} to the instance's id, or to {NONE} if it is none of these (remove it first if it says so already)",
        named.join(" or "),
        annotations::RESOLVE_START
    );
    let asked = draft.input.resource.status.as_ref();
    let asked = asked.and_then(|s| s.start.as_ref());
    let is_new = asked.is_none_or(|asked| asked.candidate_ids != named);
    let says_none = draft.annotation(annotations::RESOLVE_START) == Some(NONE);
    if let Some(start) = &mut draft.status.start {
        start.candidate_ids = named;
        if is_new && says_none {
            // It was said before these were named.
            start.old_order = Some(NONE.to_owned());
        }
    }
    let verdict = Verdict::stalled(Phase::Failed, Reason::StartUnresolved, message);
    draft.rest(verdict, None)
}

/// A person says that the start has made none of the instances that were named: they are known to it from now on. Nothing is
/// said of what appears later: the start's own may still be among that.
fn dismiss(mut draft: Draft<'_>, intent: &StartIntent) -> Decision {
    if let Some(start) = &mut draft.status.start {
        let known = &mut start.known_instance_ids;
        known.extend(intent.candidate_ids.iter().cloned());
        known.sort_unstable();
        known.dedup();
        start.old_order = Some(NONE.to_owned());
    }
    let verdict = lost(intent);
    draft.write(Purpose::Dismiss, verdict)
}
