//! A call that failed.

use cortecs_clock::Moment;
use cortecs_resources::reason::Reason;

/// A call that failed, and when to try again.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub kind: FailureKind,
    /// The condition's reason.
    pub reason: Reason,
    /// The call, the cause, and the message of the API.
    pub message: String,
    /// The generation of the spec that was tried.
    pub generation: i64,
    pub failed_at: Moment,
    pub retry_at: Moment,
    /// Failures in a row, for the backoff.
    pub count: u32,
}

/// The kind of a failure: how it can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The failure goes away by itself.
    Transient,
    /// The credentials are wrong.
    Auth,
    /// The same call would fail again until something changes.
    Terminal,
}
