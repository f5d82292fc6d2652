//! Gives an open start up.

use std::time::Duration;

use cortecs_api::types::Instance;
use cortecs_resources::{
    instance_status::Phase,
    journal::{MAX_KNOWN_INSTANCES, MAX_VOIDED_STARTS, StartIntent, VoidedStart},
    key::ObjectKey,
    reason::Reason,
};

use super::ask::ask;
use crate::{
    facts::{
        args, attempt::Attempt, home::fleet_of, known::digest, lookup::Lookup, snapshot::Snapshot,
    },
    instance::{
        binding::read_by_quorum_since,
        draft::Draft,
        protocol::Rule,
        step::{ApiCall, Decision, Purpose, Step},
        verdict::Verdict,
    },
    ledger::unlisted,
};

/// Gives the start up, unless the account is on hold: then an instance that lists lack may still exist.
pub(crate) fn void(
    mut draft: Draft<'_>,
    snapshot: &Snapshot,
    intent: &StartIntent,
    attempt: &Attempt,
    by_order: bool,
) -> Decision {
    if let Some(why) = draft.held() {
        let message = format!("nothing has come of the start yet, and that proves nothing: {why}");
        return draft.rest(
            Verdict::stalled(Phase::Failed, Reason::AccountHeld, message),
            None,
        );
    }
    match doubt(&draft, snapshot, attempt) {
        Doubt::None => {}
        // A person knows better than the list.
        _ if by_order => {}
        Doubt::LookUp(instance_id) => {
            let message =
                "no instance of the start is listed: making sure that the list is complete";
            let call = ApiCall::Get { instance_id };
            return draft.call(call, Verdict::resolving_start(message));
        }
        Doubt::Contradicted(other) => {
            return unproven(
                draft,
                &format!("the instance of {other} too, which the API finds"),
            );
        }
        Doubt::Unanswered(other, true) => {
            let why = format!(
                "the account's list lacks the instance of {other} too, and the API does not answer whether that exists"
            );
            return ask(draft, &why, &[]);
        }
        Doubt::Unanswered(other, false) => {
            let lacks = format!(
                "the instance of {other} too, and the API does not answer whether that exists"
            );
            return unproven(draft, &lacks);
        }
    }
    let verdict = Verdict::pending("nothing came of the start: it is given up");
    if !read_by_quorum_since(&draft, snapshot) {
        return draft.act(Step::QuorumRead, verdict);
    }
    remember_void(&mut draft, snapshot, intent);
    draft.status.slot_mut().start = None;
    draft.forget_instance();
    draft.write(Purpose::VoidStart, verdict)
}

fn unproven(draft: Draft<'_>, lacks: &str) -> Decision {
    let message = format!(
        "no instance of the start is listed, and that proves nothing: the list lacks {lacks}"
    );
    draft.rest(Verdict::resolving_start(message), Some(LOOK_AGAIN))
}

/// Whether the list may lack the instance of the start as it lacks those of others.
enum Doubt {
    None,
    /// A get of this instance, which the list lacks, tells.
    LookUp(String),
    /// The API finds the instance of this resource.
    Contradicted(ObjectKey),
    /// The API does not answer whether the instance of this resource exists, and has not for so long that a person has to look.
    Unanswered(ObjectKey, bool),
}

/// How soon to ask again for an instance that was found.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// So many instances that are neither listed nor found tell that a list lacks what is gone.
const ENOUGH_GONE: usize = 3;

fn doubt(draft: &Draft<'_>, snapshot: &Snapshot, attempt: &Attempt) -> Doubt {
    let (input, home) = (draft.input, draft.home());
    let Some(fleet) = home
        .filter(|_| draft.enforces(Rule::AbsenceIsDoubted))
        .map(fleet_of)
    else {
        return Doubt::None;
    };
    let settled_at = attempt.settled_at(input.settings.settle);
    let missing = unlisted::missing(
        input.book,
        &fleet,
        snapshot,
        input.now,
        input.settings.settle,
    );
    let mut gone = 0;
    let mut next: Option<&str> = None;
    for missing in missing.filter(|missing| missing.key != input.key) {
        let id = missing.instance_id;
        match attempt.lookups.get(id).filter(|l| l.asked >= settled_at) {
            // The resource looks for its instance itself.
            _ if missing.is_found => return Doubt::Contradicted(missing.key.clone()),
            Some(lookup) if lookup.is_missing() => gone += 1,
            Some(lookup) if lookup.is_found() && input.now < lookup.asked.after(LOOK_AGAIN) => {
                return Doubt::Contradicted(missing.key.clone());
            }
            Some(lookup) if !lookup.is_found() && waits(draft, lookup) => {
                let lasts = lookup.lasts(input.settings.settle, input.now);
                return Doubt::Unanswered(missing.key.clone(), lasts);
            }
            Some(_) => return Doubt::LookUp(id.to_owned()),
            None => next = Some(next.map_or(id, |next| next.min(id))),
        }
    }
    match next {
        Some(id) if gone < ENOUGH_GONE => Doubt::LookUp(id.to_owned()),
        _ => Doubt::None,
    }
}

/// Whether the next get of an instance whose gets fail has to wait.
fn waits(draft: &Draft<'_>, lookup: &Lookup) -> bool {
    let (now, settle) = (draft.input.now, draft.input.settings.settle);
    let is_paused = || draft.delay(&Verdict::resolving_start("")).is_some();
    now < lookup.asked.after(LOOK_AGAIN) || (lookup.lasts(settle, now) && is_paused())
}

/// Records how a late outcome of the start can be recognised: not by an instance that is there by now and may be of this start.
fn remember_void(draft: &mut Draft<'_>, snapshot: &Snapshot, intent: &StartIntent) {
    let now = draft.input.wall;
    let wanted = args::of_record(&intent.args);
    let equal = |i: &Instance| args::may_be(&wanted, intent.any_model, &i.instance_args);
    let (book, me) = (draft.input.book, draft.input.key);
    let api_url = draft.home().map_or("", |home| home.api_url.as_str());
    let here = snapshot
        .instances
        .iter()
        .filter(|(id, i)| equal(i) && !book.is_recorded_for_other(api_url, id, me));
    let start = VoidedStart {
        id: intent.id,
        requested_at: intent.requested_at,
        voided_at: now,
        args: intent.args.clone(),
        any_model: intent.any_model,
        account: draft.status.account.clone(),
        known_instances: here
            .map(|(id, _)| digest(intent.id, id))
            .take(MAX_KNOWN_INSTANCES)
            .collect(),
    };
    let voided = &mut draft.status.journal.voided_starts;
    voided.retain(|v| v.is_recent(now));
    voided.push(start);
    let ids =
        |voided: &[VoidedStart]| -> usize { voided.iter().map(|v| v.known_instances.len()).sum() };
    while voided.len() > MAX_VOIDED_STARTS
        || (voided.len() > 1 && ids(voided) > MAX_KNOWN_INSTANCES)
    {
        voided.remove(0);
    }
}
