//! Starts that came to an end without an answer of the API: the instance that each has made may still appear.
//!
//! Equal instances are interchangeable. So a start may be resolved to the instance of another start that is still open, which then has to
//! wait for the instance that this one has made.

use std::collections::HashMap;

use cortecs_clock::Moment;

use super::entry::Entry;
use crate::facts::{
    args::normalise_model_id,
    attempt::{Attempt, Outcome},
};

/// Most models that are remembered. Of more, those are forgotten whose last start ended first.
const MOST: usize = 1_000;

/// By API URL and model, when the call ended that ended last.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended(HashMap<(String, String), Moment>);

impl Ended {
    /// The open start of this resource comes to an end.
    pub(super) fn note(&mut self, before: &Entry) {
        let status = before.resource.status.as_ref();
        let intent = status.and_then(|s| s.slot().start.as_ref());
        let attempt = before.memory.start.as_ref().filter(is_unknown);
        let (Some(api_url), Some(intent), Some(attempt)) = (before.api_url(), intent, attempt)
        else {
            return;
        };
        let model = normalise_model_id(&intent.args.model_id);
        let ended = self.0.entry((api_url.to_owned(), model)).or_default();
        *ended = attempt.ended_at().max(*ended);
        if self.0.len() > MOST {
            let first = self.0.iter().min_by_key(|(_, ended)| **ended);
            let first = first.map(|(of, _)| of.clone());
            first.map(|of| self.0.remove(&of));
        }
    }

    /// No start is open: nothing has to be remembered.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn last(&self, api_url: &str, model_id: &str) -> Option<Moment> {
        let of = (api_url.to_owned(), normalise_model_id(model_id));
        self.0.get(&of).copied()
    }
}

fn is_unknown(attempt: &&Attempt) -> bool {
    matches!(attempt.outcome, Outcome::Unknown(_))
}

#[cfg(test)]
#[path = "ended_tests.rs"]
mod tests;
