//! For how long the bound instance has not been usable.

use cortecs_resources::conditions::{AVAILABLE, find_condition};
use jiff::Timestamp;

use crate::instance::draft::Draft;

/// For how many seconds it has not been usable.
pub(crate) fn waited(draft: &Draft<'_>) -> i64 {
    unusable_since(draft).map_or(0, |since| {
        draft
            .input
            .wall
            .as_second()
            .saturating_sub(since.as_second())
    })
}

/// When the instance was last asked to run; or, if it was usable since, when it ceased to be. `None`: it was usable until now, or nobody has
/// looked yet.
fn unusable_since(draft: &Draft<'_>) -> Option<Timestamp> {
    let available = find_condition(&draft.status.conditions, AVAILABLE)?;
    let ceased = (available.status == "False").then_some(available.last_transition_time.0)?;
    draft.status.slot().last_start_time.max(Some(ceased))
}
