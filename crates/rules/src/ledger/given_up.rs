//! The starts that this process has made itself and given up itself.
//!
//! A journal may come from a restored backup or a copied cluster, so what it says of void starts is no evidence of this kind.

use std::collections::BTreeSet;

use cortecs_resources::CortecsInstance;
use uuid::Uuid;

use super::entry::Entry;
use crate::facts::attempt::Outcome;

/// Most starts that are remembered. Beyond, none is added.
const MOST: usize = 10_000;

/// The ids of the starts.
#[derive(Clone, Debug, Default)]
pub(super) struct GivenUp(BTreeSet<Uuid>);

impl GivenUp {
    /// The open start of this resource is not open in the newer version. It counts if this process wrote its intent and made its call,
    /// nobody was asked about it, and the newer version has it as void.
    pub(super) fn note(&mut self, before: &Entry, newer: &CortecsInstance) {
        let status = before.resource.status.as_ref();
        let Some(intent) = status.and_then(|s| s.slot().start.as_ref()) else {
            return;
        };
        let attempt = before.memory.start.as_ref();
        let is_own = attempt.is_some_and(|attempt| {
            attempt.id == intent.id
                && attempt.is_own
                && matches!(attempt.outcome, Outcome::Unknown(_))
        });
        let is_doubtful = intent.any_model
            || intent.incomplete_list
            || intent.overtaken
            || !intent.candidate_ids.is_empty();
        let mut voided = newer.status.iter().flat_map(|s| &s.journal.voided_starts);
        let is_void = voided.any(|voided| voided.id == intent.id);
        if is_own && !is_doubtful && is_void && self.0.len() < MOST {
            self.0.insert(intent.id);
        }
    }

    pub(super) fn contains(&self, start: Uuid) -> bool {
        self.0.contains(&start)
    }
}

#[cfg(test)]
#[path = "given_up_tests.rs"]
mod tests;
