//! What the brake remembers of a fleet, and what becomes of a list.

use std::{collections::BTreeSet, sync::Arc};

use cortecs_resources::{account::Hold, key::ObjectKey};
use cortecs_rules::account::brake::Measure;
/// What the brake remembers of a fleet.
#[derive(Default)]
pub(crate) struct FleetBrake {
    /// A mass change that no account has recorded yet: what its list says is not made known.
    pub(crate) trip: Option<Measure>,
    /// A mass change that there was no account to record: it holds as long as lists show it.
    pub(crate) unrecorded: Option<Hold>,
    /// The newest list does not show it any more.
    pub(crate) over: bool,
    /// The accounts whose hold is being ended because what it is about is back.
    pub(crate) releasing: BTreeSet<ObjectKey>,
    /// What the newest list shows as lost, while that matters.
    pub(crate) down: BTreeSet<String>,
    /// What was lost when a person ordered to resume, and has not been seen to run since.
    pub(crate) excused: Arc<BTreeSet<String>>,
}

/// What a list shows.
pub(crate) struct Found {
    pub(crate) measure: Measure,
    /// The instances that it lacks or shows as stopped; asked for only where the fleet is held, or is about to be.
    pub(crate) down: BTreeSet<String>,
}

/// What becomes of a list.
pub(crate) struct Admission {
    pub(crate) admitted: bool,
    /// The accounts that have something to record.
    pub(crate) wake: Vec<ObjectKey>,
}
