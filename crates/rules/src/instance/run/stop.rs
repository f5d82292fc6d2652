//! Stopping and deleting the bound instance, and waiting for that to show.

use std::time::Duration;

use cortecs_api::types::{Instance, InstanceState};
use cortecs_clock::Moment;

use crate::{
    facts::bound::Bound,
    instance::{
        draft::Draft,
        step::{ApiCall, Decision},
        verdict::Verdict,
    },
};

/// Stops the instance, unless an earlier stop may still take effect.
pub(crate) fn stop(draft: Draft<'_>, bound: &Bound, seen: Moment, verdict: Verdict) -> Decision {
    if let Some(wait) = waits_for_stop(bound, seen, draft.input.now) {
        return await_stop(draft, bound, verdict, wait);
    }
    let call = ApiCall::Stop {
        instance_id: bound.id.clone(),
    };
    draft.call(call, verdict)
}

/// Deletes the instance, unless the API has taken an earlier delete that may still take effect.
pub(crate) fn delete(draft: Draft<'_>, bound: &Bound, seen: Moment, verdict: Verdict) -> Decision {
    let call = ApiCall::Delete {
        instance_id: bound.id.clone(),
    };
    make_or_await(draft, bound, call, Some(seen), verdict)
}

/// Makes a stop or a delete, or waits for the one that the API has taken. `seen`: when the instance was last seen, if lists show it.
pub(crate) fn make_or_await(
    mut draft: Draft<'_>,
    bound: &Bound,
    call: ApiCall,
    seen: Option<Moment>,
    verdict: Verdict,
) -> Decision {
    draft.is_busy();
    match under_way(bound, &call, seen, draft.input.now) {
        Some((since, wait)) => draft.await_list(since, verdict, Some(wait)),
        None => draft.call(call, verdict),
    }
}

/// Since when the call is under way that the API took without saying what came of it, and how long to wait before it is made again.
/// While lists lack the instance, they have to tell that it is gone.
pub(crate) fn under_way(
    bound: &Bound,
    call: &ApiCall,
    seen: Option<Moment>,
    now: Moment,
) -> Option<(Moment, Duration)> {
    let (since, count) = match call {
        ApiCall::Stop { .. } if bound.stop_accepted => (bound.called?, bound.stops),
        ApiCall::Delete { .. } => bound.delete_accepted?,
        _ => return None,
    };
    let next = since.after(patience(count));
    let is_shown = seen.is_some_and(|seen| seen > since);
    (!is_shown || now < next).then(|| (since, next.since(now).max(Duration::from_secs(1))))
}

/// The API has taken or refused a stop, and later says of the instance what this version does not know: then only a delete is left.
pub(crate) fn is_beyond_stops(bound: &Bound, latest: Option<(Moment, &Instance)>) -> bool {
    latest.is_some_and(|(seen, instance)| {
        let is_odd = matches!(instance.instance_status.status, InstanceState::Unknown(_));
        let is_taken = bound.stop_answered || bound.stop_accepted;
        is_odd && is_taken && bound.called.is_some_and(|called| seen > called)
    })
}

/// A stop was made: a list that begins later is asked for, and after `wait` the stop is made once more. The lists after that
/// one come at the active interval: the stop may take its time.
pub(crate) fn await_stop(
    draft: Draft<'_>,
    bound: &Bound,
    verdict: Verdict,
    wait: Duration,
) -> Decision {
    let after = bound.called.unwrap_or_default();
    draft.await_list(after, with_refusal(verdict, bound), Some(wait))
}

/// The verdict with what the API says against the stops that were tried.
fn with_refusal(verdict: Verdict, bound: &Bound) -> Verdict {
    match &bound.refusal {
        Some(refusal) if bound.stops > 1 => Verdict {
            message: format!("{}; {refusal}", verdict.message),
            ..verdict
        },
        _ => verdict,
    }
}

/// How long to wait before the next stop: the instance was perhaps seen before the last stop, and a list may lag.
pub(crate) fn waits_for_stop(bound: &Bound, seen: Moment, now: Moment) -> Option<Duration> {
    let called = bound.called?;
    let next = called.after(patience(bound.stops));
    (bound.stops > 0 && (seen <= called || now < next))
        .then(|| next.since(now).max(Duration::from_secs(1)))
}

/// How long a call may take to have its effect after so many in a row.
fn patience(count: u32) -> Duration {
    Duration::from_secs(1 << count.min(8))
}
