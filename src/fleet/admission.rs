//! The data of the mass-change brake about a fleet, and its decision about a list.

use std::{collections::BTreeSet, sync::Arc};

use cortecs_resources::{account::Hold, key::ObjectKey};
use cortecs_rules::account::brake::Measure;
/// The data of the mass-change brake about a fleet.
#[derive(Default)]
pub(crate) struct FleetBrake {
    /// A mass change that no account has recorded yet: its list is withheld.
    pub(crate) trip: Option<Measure>,
    /// A hold that no account could record because the fleet had none. It lasts as long as lists show the mass change.
    pub(crate) unrecorded: Option<Hold>,
    /// The newest list no longer shows a mass change.
    pub(crate) over: bool,
    /// The accounts whose hold is about to end because the instances are back.
    pub(crate) releasing: BTreeSet<ObjectKey>,
    /// The instances that the newest list lacks or shows as stopped; empty without a hold.
    pub(crate) down: BTreeSet<String>,
    /// The instances that were down when a person ordered to resume, and have not run since.
    pub(crate) excused: Arc<BTreeSet<String>>,
}

/// The measurement of a list.
pub(crate) struct Measurement {
    pub(crate) measure: Measure,
    /// The instances that the list lacks or shows as stopped; computed only if the fleet is on hold, or is about to be.
    pub(crate) down: BTreeSet<String>,
}

/// The decision about a list.
pub(crate) struct Admission {
    /// Whether the list is published.
    pub(crate) admitted: bool,
    /// The accounts to reconcile: they have to record the beginning or the end of a hold.
    pub(crate) enqueue: Vec<ObjectKey>,
}
