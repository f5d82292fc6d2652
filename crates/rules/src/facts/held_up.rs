//! A start that waits for the open start of another resource.

use cortecs_clock::Moment;
use uuid::Uuid;

/// A start cannot be made because of the open start of another resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldUp {
    /// The intent of the other start.
    pub by: Uuid,
    /// Since when nothing but this intent has been in the way.
    pub since: Moment,
}
