//! No instance is bound and no start is open: start one, adopt one, or leave it so.

use cortecs_api::types::{Instance, InstanceArgs};
use cortecs_resources::{
    annotations,
    instance::DesiredState,
    instance_status::Phase,
    journal::{MAX_KNOWN_INSTANCES, StartIntent},
    reason::Reason,
};

use super::{
    adopt::{Adopted, adopt, adopted},
    others,
};
use crate::{
    facts::{args, known::digest, snapshot::Snapshot},
    instance::{
        budget,
        draft::Draft,
        gate,
        input::Account,
        limit,
        pin::{NotPinned, is_unsure, pinned, pinned_now},
        protocol::Rule,
        run::drift::{drift_accepted, drift_is_accepted, handle_restart},
        step::{ApiCall, Decision, Purpose, Step},
        verdict::Verdict,
        waiting::Delay,
    },
};

pub(crate) fn decide(mut draft: Draft<'_>) -> Decision {
    let spec = draft.spec();
    if draft.desired_state() == DesiredState::Stopped {
        handle_restart(&mut draft);
        let verdict = limit::stopped(draft.ended, "nothing runs, as asked");
        return draft.rest(verdict, None);
    }
    if spec.suspend {
        return draft.rest(Verdict::suspended("nothing is started"), None);
    }
    if drift_is_accepted(&draft) {
        return draft.rest(drift_accepted(), None);
    }
    let account = match gate::starts(&draft) {
        Ok(account) => account,
        Err(verdict) => return draft.rest(verdict, None),
    };
    if draft.snapshot().is_none() {
        // Nothing else is asked of an API that has not shown yet that it is one.
        return draft.await_fresh_list();
    }
    let turn = Verdict::pending("other calls of the account are made first");
    let delay = draft.delay_start(&turn);
    if let Some(pause @ Delay::Pause(..)) = delay {
        return draft.wait_for(pause);
    }
    // An instance that is taken over needs no free hardware.
    let adopts = spec.adopt.is_some();
    let wanted = match adopts {
        true => pinned(&draft),
        false => pinned_now(&draft, None),
    };
    // Told before the turn: a resource that waits for another start, for hardware or for the budget, needs none.
    if !adopts
        && let Ok(args) = pinned(&draft)
        && let Some(open) = others::holding_up(&draft, &account.identity, &args, None)
    {
        return others::wait_for(draft, &open);
    }
    // Before the API is asked for free hardware, which may be in vain for long.
    let preferred = match &wanted {
        Ok(args) => Some(args.clone()),
        Err(NotPinned::Fetch(_)) => pinned(&draft).ok(),
        Err(NotPinned::Because(..)) => None,
    };
    if !adopts
        && let (Some(args), Some(list)) = (preferred, draft.snapshot())
        && let Err(no_room) = budget::check_by(&draft, account, list, &args)
    {
        return no_room.wait(draft);
    }
    let wanted = match wanted {
        Err(NotPinned::Because(verdict, wait)) if !adopts => {
            return draft.rest(verdict, Some(wait));
        }
        wanted => wanted,
    };
    if let Some(turn) = delay {
        return draft.wait_for(turn);
    }
    let args = match wanted {
        Ok(args) => args,
        Err(NotPinned::Fetch(call)) => return ask_catalog(draft, call),
        Err(NotPinned::Because(verdict, wait)) => return draft.rest(verdict, Some(wait)),
    };
    let Some(snapshot) = draft.fresh_list() else {
        return budget::await_list(draft);
    };
    match adopted(&draft, account, snapshot, &args) {
        Adopted::None => match pinned_now(&draft, None) {
            Ok(args) => start(draft, account, snapshot, args),
            Err(NotPinned::Fetch(call)) => ask_catalog(draft, call),
            Err(NotPinned::Because(verdict, wait)) => draft.rest(verdict, Some(wait)),
        },
        Adopted::Refused(verdict) => {
            // Another list may change that.
            draft.is_busy();
            draft.rest(verdict, None)
        }
        Adopted::Instance(instance) => adopt(draft, account, snapshot, instance),
    }
}

fn ask_catalog(draft: Draft<'_>, call: ApiCall) -> Decision {
    let verdict = Verdict::pending("the catalog is being asked");
    draft.act(Step::Call(call), verdict)
}

fn start(
    mut draft: Draft<'_>,
    account: &Account,
    snapshot: &Snapshot,
    args: InstanceArgs,
) -> Decision {
    let input = draft.input;
    let api_url = &account.identity.api_url;
    if let Some(open) = others::holding_up(&draft, &account.identity, &args, None) {
        return others::wait_for(draft, &open);
    }
    if let Err(no_room) = budget::check_by(&draft, account, snapshot, &args) {
        return no_room.wait(draft);
    }
    let known = known(&draft, snapshot, api_url, &args);
    let incomplete_list = draft.is_incomplete(snapshot, &account.identity);
    if known.len() > MAX_KNOWN_INSTANCES {
        let message = format!(
            "the account has {} instances of this model that no resource claims, and at most {MAX_KNOWN_INSTANCES} can be told from an instance that is started now: delete or adopt some",
            known.len()
        );
        draft.is_busy();
        return draft.rest(
            Verdict::stalled(Phase::Failed, Reason::TooManyInstances, message),
            None,
        );
    }
    handle_restart(&mut draft);
    let id = draft.uuid();
    draft.status.account = Some(account.identity.clone());
    draft.status.instance_args = Some(args::recorded(&args));
    draft.begins_to_run();
    draft.status.slot_mut().start = Some(StartIntent {
        id,
        requested_at: input.wall,
        args: args::recorded(&args),
        known_instances: known,
        any_model: is_unsure(&draft),
        incomplete_list,
        candidate_ids: Vec::new(),
        overtaken: false,
        old_order: draft
            .annotation(annotations::RESOLVE_START)
            .map(str::to_owned),
    });
    draft.write(
        Purpose::StartIntent(id),
        Verdict::starting("the instance is being started"),
    )
}

/// The instances that a start decided now cannot have created, and that no resource keeps. Only instances of the same model could be taken
/// for its own.
///
/// An instance that may be of another open start is not known, as that start may be resolved to the instance of this one
/// instead. An instance that the status of another resource records is not listed, as its claim says as much; but a resource
/// that is being deleted may let it go. A claim that only this process remembers does not count: after a crash another
/// start may be resolved to another instance, and no resource would claim this one.
fn known(
    draft: &Draft<'_>,
    snapshot: &Snapshot,
    api_url: &str,
    wanted: &InstanceArgs,
) -> Vec<String> {
    let (book, me) = (draft.input.book, draft.input.key);
    let may_be_of_another = |instance: &Instance| {
        draft.enforces(Rule::OthersMayOwn)
            && others::may_be_of_another(draft, api_url, wanted, instance)
    };
    let is_like =
        |instance: &Instance| is_unsure(draft) || args::same_model(wanted, &instance.instance_args);
    snapshot
        .instances
        .iter()
        .filter(|(_, instance)| is_like(instance))
        .filter(|(id, _)| !book.is_kept_by_other(api_url, id, me))
        .filter(|(_, instance)| !may_be_of_another(instance))
        .map(|(id, _)| digest(draft.uuid(), id))
        .collect()
}
