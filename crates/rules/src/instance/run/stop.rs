//! Stopping the bound instance, and waiting for that to show.

use std::time::Duration;

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
    let patience = Duration::from_secs(1 << bound.stops.min(8));
    let next = called.after(patience);
    (bound.stops > 0 && (seen <= called || now < next))
        .then(|| next.since(now).max(Duration::from_secs(1)))
}
