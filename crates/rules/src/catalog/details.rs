//! Which model the API is asked about next. Only the answer about a single model has its maximum context lengths and its
//! recommended hardware.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use cortecs_api::types::Model;
use cortecs_clock::Moment;

use super::spec::Detail;
use crate::facts::args::normalise_model_id;

/// When a model is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The pause between two models that no resource uses.
    pub slow: Duration,
    /// How long an answer is used.
    pub fresh: Duration,
    /// The pause before a model is asked about again after a failure.
    pub retry: Duration,
}

/// What the API answered about single models.
#[derive(Clone, Debug, Default)]
pub struct Details {
    known: BTreeMap<String, Known>,
    /// When a model was last asked about that no resource uses.
    last_slow: Option<Moment>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    detail: Option<Detail>,
    /// The entry of the list at the last answer. Another entry makes the answer old.
    entry: Option<Arc<Model>>,
    asked_at: Option<Moment>,
    failed: bool,
}

/// Which model to ask about, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    Now(String),
    At(Moment),
    Never,
}

impl Details {
    pub fn get(&self, id: &str) -> Option<&Detail> {
        self.known.get(id)?.detail.as_ref()
    }

    /// Forgets the models that the list lacks.
    pub fn retain(&mut self, entries: &BTreeMap<String, Arc<Model>>) {
        self.known.retain(|id, _| entries.contains_key(id));
    }

    /// The model to ask about next: first the models in use. `used` has their ids in lower case, as [`used_id`] makes them; `lacks`
    /// says whether the object about a model has no maxima yet.
    pub fn next(
        &self,
        entries: &BTreeMap<String, Arc<Model>>,
        used: &BTreeSet<String>,
        lacks: impl Fn(&str) -> bool,
        pace: Pace,
        now: Moment,
    ) -> Next {
        let due = |(id, entry): (&String, &Arc<Model>)| {
            let at = self.due(id, entry, pace, now);
            let is_used = is_used(id, entry, used);
            (at, !is_used, !lacks(id), id.clone())
        };
        let mut earliest: Option<Moment> = None;
        let mut slow: Option<(bool, Moment, String)> = None;
        for (at, is_slow, is_known, id) in entries.iter().map(due) {
            if at <= now && !is_slow {
                return Next::Now(id);
            }
            if at > now {
                earliest = Some(earliest.map_or(at, |earliest| earliest.min(at)));
            } else {
                let asked = self.known.get(&id).and_then(|known| known.asked_at);
                let candidate = (is_known, asked.unwrap_or_default(), id);
                if slow.as_ref().is_none_or(|slow| candidate < *slow) {
                    slow = Some(candidate);
                }
            }
        }
        let free_at = self.last_slow.map(|last| last.after(pace.slow));
        match (slow, free_at.filter(|at| *at > now)) {
            (Some((_, _, id)), None) => Next::Now(id),
            (Some(_), Some(at)) => Next::At(earliest.map_or(at, |earliest| earliest.min(at))),
            (None, _) => earliest.map_or(Next::Never, Next::At),
        }
    }

    /// When the model is to be asked about.
    fn due(&self, id: &str, entry: &Arc<Model>, pace: Pace, now: Moment) -> Moment {
        let known = self.known.get(id);
        let Some((known, asked_at)) = known.and_then(|k| Some((k, k.asked_at?))) else {
            return now;
        };
        if known.failed {
            return asked_at.after(pace.retry);
        }
        if known.entry.as_ref() != Some(entry) {
            return now;
        }
        asked_at.after(pace.fresh)
    }

    /// Records an answer about the model, or that there was none.
    pub fn record(
        &mut self,
        id: &str,
        entry: &Arc<Model>,
        used: &BTreeSet<String>,
        answer: Option<Detail>,
        now: Moment,
    ) {
        if !is_used(id, entry, used) {
            self.last_slow = Some(now);
        }
        let known = self.known.entry(id.to_owned()).or_default();
        known.asked_at = Some(now);
        known.failed = answer.is_none();
        if answer.is_some() {
            known.detail = answer;
            known.entry = Some(Arc::clone(entry));
        }
    }
}

/// A model as resources name it, in the form that is compared.
pub fn used_id(model: &str) -> String {
    normalise_model_id(model).to_lowercase()
}

fn is_used(id: &str, entry: &Model, used: &BTreeSet<String>) -> bool {
    let is_named = |name: &str| used.contains(&used_id(name));
    is_named(id) || entry.hf_name.as_deref().is_some_and(is_named)
}

#[cfg(test)]
#[path = "details_tests.rs"]
mod tests;
