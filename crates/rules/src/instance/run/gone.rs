//! Whether the bound instance is gone. A list alone is never proof.

use std::time::Duration;

use crate::{
    facts::memory::Bound,
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

pub(crate) fn check(draft: &Draft<'_>, bound: &Bound) -> Gone {
    let now = draft.input.now;
    let settled = bound.first_seen.after(draft.input.settings.settle);
    match bound.absent_lists {
        0 => Gone::No,
        _ if draft.held().is_some() => Gone::Held,
        _ if !draft.enforces(Rule::Gone) => Gone::Yes,
        1 => Gone::NeedsList,
        _ if now < settled => Gone::Settling(settled.since(now)),
        _ if !bound.lookup_failed => Gone::NeedsGet,
        _ => Gone::Yes,
    }
}
