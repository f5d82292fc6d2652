//! The lag of lists.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// The number of past list calls that are kept for an owner, and the largest lag in lists.
const MAX_LISTS: usize = 256;

/// The age of the state that lists show. Other calls show the present state.
///
/// A list shows no state from before the lag was set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListLag {
    #[default]
    None,
    /// The state of this long ago.
    #[serde(rename = "milliseconds", with = "super::millis")]
    Time(Duration),
    /// The state at the owner's n-th last list, at most 256. A new instance is missing from n lists, and n lists still show a
    /// deleted one.
    Lists(usize),
}

impl From<Duration> for ListLag {
    fn from(lag: Duration) -> Self {
        Self::Time(lag)
    }
}

impl From<usize> for ListLag {
    fn from(lists: usize) -> Self {
        Self::Lists(lists)
    }
}

/// The lag, and the times of past lists.
#[derive(Default)]
pub(super) struct Lag {
    lag: ListLag,
    since: Duration,
    /// Times of the list calls by owner, oldest first.
    lists: BTreeMap<String, VecDeque<Duration>>,
}

impl Lag {
    pub(super) fn set(&mut self, lag: ListLag, now: Duration) {
        self.lag = lag;
        self.since = now;
    }

    /// The time whose state a list shows now.
    pub(super) fn serve(&mut self, owner: &str, now: Duration) -> Duration {
        let past = self.lists.entry(owner.to_owned()).or_default();
        let shown = match self.lag {
            ListLag::None | ListLag::Lists(0) => now,
            ListLag::Time(lag) => now.saturating_sub(lag).max(self.since),
            ListLag::Lists(lists) => {
                let index = past.len().checked_sub(lists.min(MAX_LISTS));
                let at = index.and_then(|index| past.get(index).copied());
                at.unwrap_or_default().max(self.since)
            }
        };
        past.push_back(now);
        if past.len() > MAX_LISTS {
            past.pop_front();
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_lag_in_time_shows_the_past_but_none_from_before_it_was_set() {
        let mut lag = Lag::default();
        assert_eq!(lag.serve("o", at(5)), at(5));
        lag.set(at(10).into(), at(20));
        assert_eq!(lag.serve("o", at(21)), at(20));
        assert_eq!(lag.serve("o", at(40)), at(30));
        lag.set(ListLag::None, at(41));
        assert_eq!(lag.serve("o", at(42)), at(42));
    }

    #[test]
    fn a_lag_in_lists_counts_each_owners_own() {
        let mut lag = Lag::default();
        lag.set(2.into(), at(1));
        let shown: Vec<_> = (2..7).map(|now| lag.serve("o", at(now))).collect();
        assert_eq!(shown, [at(1), at(1), at(2), at(3), at(4)]);
        assert_eq!(lag.serve("other", at(8)), at(1));
    }

    #[test]
    fn lags_read_well_as_json() {
        let parse = |json: &str| serde_json::from_str::<ListLag>(json).unwrap();
        assert_eq!(parse("\"none\""), ListLag::None);
        assert_eq!(
            parse("{\"milliseconds\":250}"),
            Duration::from_millis(250).into()
        );
        assert_eq!(parse("{\"lists\":3}"), 3.into());
    }
}
