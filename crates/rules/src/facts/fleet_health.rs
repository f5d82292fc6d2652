//! How the calls of a fleet's loop go.

use cortecs_api::RetryClass;
use cortecs_clock::Moment;

/// How the calls of a fleet's loop go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetHealth {
    /// Why the last list failed; absent when it did not.
    pub last_error: Option<FleetError>,
    /// The credentials were refused, and nothing has succeeded or changed since.
    pub authentication_failed: bool,
    /// When the last refusal of the credentials came.
    pub refused_at: Option<Moment>,
    /// Failed lists since the last good one.
    pub failures: u32,
    /// When the last good list was received.
    pub last_good: Option<Moment>,
    /// When the first good list after the last failed one was received.
    pub good_since: Option<Moment>,
}

/// A failed list, in words fit for a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetError {
    pub class: RetryClass,
    pub message: String,
}
