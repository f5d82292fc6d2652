//! The labels of metrics about money.

use std::collections::BTreeMap;

use super::by_model::OTHER;

/// The namespace of instances that no resource claims, and the model where none is billed.
pub const NONE: &str = "none";

/// Most series of an account in one metric that name both a namespace and a model, and the most that name a namespace at least.
pub const MAX_SERIES: usize = 500;
const MAX_BY_MODEL: usize = MAX_SERIES - 100;
const MAX_BY_NAMESPACE: usize = MAX_SERIES - 10;

/// The labels of a series beside the account's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels {
    pub namespace: String,
    pub model: String,
    pub currency: String,
}

impl Labels {
    /// The labels to use in a set of series: these, or less exact ones where the set is full. `None` if there is no room at all.
    pub fn bounded<T>(self, known: &BTreeMap<Self, T>) -> Option<Self> {
        let by_namespace = Self {
            model: OTHER.to_owned(),
            ..self.clone()
        };
        let neither = Self {
            namespace: OTHER.to_owned(),
            ..by_namespace.clone()
        };
        let mut places = [
            (self, MAX_BY_MODEL),
            (by_namespace, MAX_BY_NAMESPACE),
            (neither, MAX_SERIES),
        ]
        .into_iter();
        let place =
            places.find(|(labels, most)| known.contains_key(labels) || known.len() < *most)?;
        Some(place.0)
    }
}
