//! Replacing the bound instance by one with other arguments: the API cannot resize.

use cortecs_clock::Moment;
use cortecs_resources::{instance::UpdateStrategyType, instance_status::Phase, reason::Reason};

use crate::{
    facts::bound::Bound,
    instance::{
        budget,
        draft::Draft,
        gate,
        pin::{NotPinned, known_to_catalog, pinned, pinned_now},
        step::Decision,
        verdict::Verdict,
    },
};

use super::{
    running::is_outdated,
    stop::{delete, stop},
};

pub(crate) fn must_be_replaced(draft: &Draft<'_>, up: bool) -> bool {
    let now = match draft.spec().update_strategy.kind {
        UpdateStrategyType::Recreate => true,
        UpdateStrategyType::OnDelete => !up,
    };
    now && is_outdated(draft)
}

/// The API cannot resize: the old instance goes, then a new one is started. Nothing is removed before the new
/// arguments are known to be valid and the account permits a start. `stops`: whether it is stopped first.
pub(crate) fn replace(draft: Draft<'_>, bound: &Bound, seen: Moment, stops: bool) -> Decision {
    let verdict = Verdict::reconciling(
        Phase::Replacing,
        Reason::Replacing,
        "the instance is being removed, to be started anew with other arguments",
    );
    let account = match gate::starts(&draft) {
        Ok(account) => account,
        Err(verdict) => return draft.rest(verdict, None),
    };
    if draft
        .spec()
        .adopt
        .as_ref()
        .is_some_and(|a| a.instance_id.is_some())
    {
        let message = "the instance was taken over by its id and cannot be resized: remove spec.adopt to let another one be started in its place";
        return draft.rest(
            Verdict::stalled(Phase::Failed, Reason::InvalidArguments, message),
            None,
        );
    }
    // The catalog is asked even where the spec leaves nothing open: neither a misspelt model nor a lack of hardware must take
    // down what runs.
    // What the instance gives back is enough for as many workers.
    let workers = i64::from(draft.spec().num_workers);
    let own = draft.status.instance_args.as_ref();
    let own = own.filter(|args| args.num_workers.is_some_and(|n| workers <= n));
    let own = own.and_then(|args| args.hardware_type_id.clone());
    if let Ok(args) = pinned(&draft)
        && let Err(no_room) = budget::check(&draft, account, &args)
    {
        return no_room.wait(draft);
    }
    match known_to_catalog(&draft).and_then(|()| pinned_now(&draft, own.as_deref())) {
        Ok(args) => {
            if let Err(no_room) = budget::check(&draft, account, &args) {
                return no_room.wait(draft);
            }
        }
        Err(NotPinned::Fetch(call)) => return draft.call(call, verdict),
        Err(NotPinned::Because(verdict, wait)) => return draft.rest(verdict, Some(wait)),
    }
    if stops {
        return stop(draft, bound, seen, verdict);
    }
    delete(draft, bound, seen, verdict)
}
