//! The summary of a list.

use cortecs_rules::{
    account::summary::{Finances, Summary, sum_up},
    facts::{fleet_key::FleetKey, snapshot::Snapshot},
};

use crate::fleet::hooks::Claims;

/// Summarizes a list of the fleet, with the claims of the resources.
pub fn summarize(
    fleet: &FleetKey,
    snapshot: &Snapshot,
    finances: Finances<'_>,
    claims: &dyn Claims,
) -> Summary {
    let late = claims.late(fleet, snapshot);
    let unlisted = claims.unlisted(fleet);
    sum_up(snapshot, &late, unlisted, finances, |id| {
        claims.is_claimed(&fleet.api_url, id)
    })
}
