//! What the answer to a call says of it. Pure.

use std::sync::Arc;

use cortecs_api::{Call, Error, RetryClass, types::Instance};
use cortecs_clock::Moment;

use crate::facts::{attempt::Outcome, failure::Failure};

/// The result of a stop, a delete or a get.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<T> {
    Done(T),
    /// The API took the call and does not say what came of it: lists tell.
    Accepted,
    /// A 400 or 404: the instance is not there, or not in the state that the call needs.
    Moved(Failure),
    Failed(Failure),
    /// There was no token: nothing was sent.
    Unsent(Failure),
}

/// How a call ended that must not be repeated unless it certainly had no effect.
#[derive(Clone, Debug)]
pub struct Ended {
    pub outcome: Outcome,
    /// What went wrong, if the outcome is unknown.
    pub said: Option<String>,
}

/// How a call ended that must not be repeated unless it certainly had no effect. `failure` says what a refusal means.
pub fn outcome(
    result: Result<Instance, Error>,
    now: Moment,
    failure: impl FnOnce(&Error) -> Failure,
) -> Ended {
    let mut said = None;
    let outcome = match result {
        Ok(instance) => Outcome::Accepted(Arc::new(instance)),
        // Without a token nothing was sent.
        Err(error) if error.refused() || error.call() == Call::Token => {
            Outcome::Refused(failure(&error))
        }
        Err(error) => {
            said = Some(error.to_string());
            Outcome::Unknown(now)
        }
    };
    Ended { outcome, said }
}

/// The result of a call that may be repeated.
pub fn answer<T>(result: Result<T, Error>, failure: impl FnOnce(&Error) -> Failure) -> Answer<T> {
    match result {
        Ok(value) => Answer::Done(value),
        Err(error) if error.is_accepted() => Answer::Accepted,
        Err(error) if error.call() == Call::Token => Answer::Unsent(failure(&error)),
        Err(error) if is_moved(&error) => Answer::Moved(failure(&error)),
        Err(error) => Answer::Failed(failure(&error)),
    }
}

/// Whether the API said that the instance is not there, or not in the state that the call needs.
pub fn is_moved(error: &Error) -> bool {
    matches!(error.status(), Some(400 | 404)) && error.class() == RetryClass::Terminal
}
