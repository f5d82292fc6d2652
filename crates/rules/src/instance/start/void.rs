//! Gives an open start up.

use cortecs_api::types::Instance;
use cortecs_resources::{
    instance_status::{
        MAX_KNOWN_INSTANCES, MAX_VOIDED_STARTS, Phase, StartIntent, VOIDED_START_HOURS, VoidedStart,
    },
    reason::Reason,
};

use crate::{
    facts::{args, known::digest, snapshot::Snapshot},
    instance::{
        binding::read_by_quorum_since,
        draft::Draft,
        step::{Decision, Purpose, Step},
        verdict::Verdict,
    },
};

/// Gives the start up, unless the account is on hold: then an instance that lists lack may still exist.
pub(crate) fn void(mut draft: Draft<'_>, snapshot: &Snapshot, intent: &StartIntent) -> Decision {
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

/// Records how a late outcome of the start can be recognised. Equal instances that are there by now are not of this start.
fn remember_void(draft: &mut Draft<'_>, snapshot: &Snapshot, intent: &StartIntent) {
    let now = draft.input.wall;
    let wanted = args::of_record(&intent.args);
    let equal = |i: &Instance| args::matches(&wanted, &i.instance_args);
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
        account: draft.status.account.clone(),
        known_instances: here
            .map(|(id, _)| digest(intent.id, id))
            .take(MAX_KNOWN_INSTANCES)
            .collect(),
    };
    let voided = &mut draft.status.voided_starts;
    voided.retain(|v| now.duration_since(v.voided_at).as_hours() < VOIDED_START_HOURS);
    voided.push(start);
    let ids =
        |voided: &[VoidedStart]| -> usize { voided.iter().map(|v| v.known_instances.len()).sum() };
    while voided.len() > MAX_VOIDED_STARTS
        || (voided.len() > 1 && ids(voided) > MAX_KNOWN_INSTANCES)
    {
        voided.remove(0);
    }
}
