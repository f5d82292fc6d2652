//! Whether the bound instance is gone. A list alone is never proof.

use std::time::Duration;

use cortecs_clock::Moment;

use crate::{
    facts::bound::Bound,
    instance::{draft::Draft, protocol::Rule},
};

/// How far the proof has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// The last list shows it, or no list since it was bound has been seen.
    No,
    /// A second list in a row must lack it.
    NeedsList,
    /// The instance may be so new that lists do not show it yet.
    Settling(Duration),
    /// A get of the instance must fail.
    NeedsGet,
    /// The account is on hold: an instance that its lists lack need not be gone.
    Held,
    /// Two lists in a row lack it, a get failed with 400 or 404, and the settle time has passed.
    Yes,
}

/// When an instance that gets find and lists lack is asked for again: less and less often.
fn next_get(bound: &Bound) -> Moment {
    let (Some(since), Some((asked, _))) = (bound.unlisted_since, &bound.direct) else {
        return Moment::default();
    };
    asked.after(asked.since(since).clamp(LEAST_PAUSE, MOST_PAUSE))
}

/// The shortest and the longest pause between two such gets.
const LEAST_PAUSE: Duration = Duration::from_secs(5);
const MOST_PAUSE: Duration = Duration::from_secs(300);

pub(crate) fn check(draft: &Draft<'_>, bound: &Bound) -> Gone {
    let now = draft.input.now;
    let settled = bound.first_seen.after(draft.input.settings.settle);
    match bound.absent_lists {
        0 => Gone::No,
        _ if draft.held().is_some() => Gone::Held,
        _ if !draft.enforces(Rule::Gone) => Gone::Yes,
        1 => Gone::NeedsList,
        _ if now < settled => Gone::Settling(settled.since(now)),
        _ if next_get(bound) > now => Gone::Settling(next_get(bound).since(now)),
        _ if !bound.lookup_failed => Gone::NeedsGet,
        _ => Gone::Yes,
    }
}
