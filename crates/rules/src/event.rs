//! The content of an event.

/// An event that is worth publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventText {
    /// Whether a person may have to act.
    pub warning: bool,
    pub reason: String,
    pub note: String,
}
