//! The state of a resource, in the words of its conditions.

use cortecs_resources::{instance_status::Phase, reason::Reason};

use crate::facts::failure::{Failure, FailureKind};

/// The state of the resource, in the words of its conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub phase: Phase,
    pub kind: VerdictKind,
    pub reason: Reason,
    pub message: String,
}

/// Which of the conditions `Ready`, `Reconciling` and `Stalled` are True.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictKind {
    /// `Ready`.
    Ready,
    /// `Reconciling`; not ready.
    Reconciling,
    /// `Stalled`; not ready.
    Stalled,
    /// None of them: the resource is not as the spec asks, and is left so on purpose.
    Resting,
}

impl Verdict {
    pub fn ready(phase: Phase, reason: Reason, message: impl Into<String>) -> Self {
        Self::new(VerdictKind::Ready, phase, reason, message)
    }

    pub fn reconciling(phase: Phase, reason: Reason, message: impl Into<String>) -> Self {
        Self::new(VerdictKind::Reconciling, phase, reason, message)
    }

    pub fn stalled(phase: Phase, reason: Reason, message: impl Into<String>) -> Self {
        Self::new(VerdictKind::Stalled, phase, reason, message)
    }

    pub fn resting(phase: Phase, reason: Reason, message: impl Into<String>) -> Self {
        Self::new(VerdictKind::Resting, phase, reason, message)
    }

    fn new(kind: VerdictKind, phase: Phase, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            phase,
            kind,
            reason,
            message: message.into(),
        }
    }

    pub(crate) fn suspended(what: &str) -> Self {
        Self::resting(
            Phase::Pending,
            Reason::Suspended,
            format!("the resource is suspended: {what}"),
        )
    }

    pub(crate) fn pending(message: impl Into<String>) -> Self {
        Self::reconciling(Phase::Pending, Reason::Pending, message)
    }

    pub(crate) fn starting(message: impl Into<String>) -> Self {
        Self::reconciling(Phase::Starting, Reason::Starting, message)
    }

    pub(crate) fn resolving_start(message: impl Into<String>) -> Self {
        Self::reconciling(Phase::Starting, Reason::ResolvingStart, message)
    }

    /// The verdict while the open start of another resource is in the way.
    pub(crate) fn held_up(message: impl Into<String>) -> Self {
        Self::reconciling(Phase::Pending, Reason::ResolvingStart, message)
    }

    /// The verdict after a failed call.
    pub(crate) fn of_failure(failure: &Failure, phase: Phase) -> Self {
        match failure.kind {
            // Only a person can change the policy.
            FailureKind::Transient if failure.reason == Reason::WriteRefused => {
                Self::stalled(phase, failure.reason, &failure.message)
            }
            FailureKind::Transient => Self::reconciling(phase, failure.reason, &failure.message),
            FailureKind::Auth | FailureKind::Terminal => {
                Self::stalled(Phase::Failed, failure.reason, &failure.message)
            }
        }
    }
}
