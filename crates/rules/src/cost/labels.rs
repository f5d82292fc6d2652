//! What an amount of money is told apart by, in metrics and in the status of an account.

use cortecs_resources::money::MAX_SPENT;

use super::by_model::OTHER;

/// The namespace of instances that no resource claims, and the model where none is billed.
pub const NONE: &str = "none";

/// Most entries of an account, most that name both a namespace and a model, and most that name a namespace at least. A status has room for no
/// more, and the counters of the next process begin with what it has.
pub const MAX_SERIES: usize = MAX_SPENT;
const MAX_BY_MODEL: usize = MAX_SERIES - 50;
const MAX_BY_NAMESPACE: usize = MAX_SERIES - 10;

/// The labels of an entry beside the account's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels {
    pub namespace: String,
    pub model: String,
    pub currency: String,
}

impl Labels {
    /// The labels to use among so many entries: these, or less exact ones where there is no room. `None` if there is no room at all.
    pub fn bounded(self, entries: usize, is_known: impl Fn(&Self) -> bool) -> Option<Self> {
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
        let place = places.find(|(labels, most)| entries < *most || is_known(labels))?;
        Some(place.0)
    }
}
