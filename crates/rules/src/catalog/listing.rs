//! A list of the API as the objects follow it, and whether it may remove objects.

use std::collections::BTreeMap;

/// Most objects of a kind.
pub const MAX_OBJECTS: usize = 5000;
/// So many lists in a row must lack more than half of the objects before these are removed.
pub const CONFIRMATIONS: u32 = 3;

/// The entries of the last good list, by id.
#[derive(Clone, Debug)]
pub struct Listing<T> {
    pub entries: BTreeMap<String, T>,
    /// Whether an object that the list lacks is removed.
    pub removes: Removal,
}

/// What a list removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Each object that the list lacks.
    Missing,
    /// Nothing: an entry of the list could not be read, or the list has more entries than are kept.
    IsPartial,
    /// Nothing: the list lacks more than half of the objects.
    IsShrunk { lacks: usize, of: usize },
}

/// Judges the lists of one kind, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Judge {
    shrunk: u32,
}

impl Judge {
    /// Takes a list. `skipped` is the number of its entries that could not be read, `existing` has the ids of this operator's objects.
    /// `None` if the list is empty: it changes nothing.
    pub fn take<'a, T>(
        &mut self,
        list: impl IntoIterator<Item = (String, T)>,
        skipped: usize,
        existing: impl IntoIterator<Item = &'a str>,
    ) -> Option<Listing<T>> {
        let mut entries: BTreeMap<String, T> = list.into_iter().collect();
        if entries.is_empty() {
            return None;
        }
        let is_cut = entries.len() > MAX_OBJECTS;
        while entries.len() > MAX_OBJECTS {
            entries.pop_last();
        }
        let (mut of, mut lacks) = (0, 0);
        for id in existing {
            of += 1;
            lacks += usize::from(!entries.contains_key(id));
        }
        let is_shrunk = lacks > of / 2;
        self.shrunk = if is_shrunk {
            self.shrunk.saturating_add(1)
        } else {
            0
        };
        let removes = if skipped > 0 || is_cut {
            Removal::IsPartial
        } else if is_shrunk && self.shrunk < CONFIRMATIONS {
            Removal::IsShrunk { lacks, of }
        } else {
            Removal::Missing
        };
        Some(Listing { entries, removes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(
        judge: &mut Judge,
        list: &[&str],
        skipped: usize,
        existing: &[&str],
    ) -> Option<Removal> {
        let entries = list.iter().map(|id| ((*id).to_owned(), ()));
        let listing = judge.take(entries, skipped, existing.iter().copied());
        listing.map(|listing| listing.removes)
    }

    #[test]
    fn an_empty_list_is_no_list() {
        let mut judge = Judge::default();
        for _ in 0..2 * CONFIRMATIONS {
            assert_eq!(take(&mut judge, &[], 0, &["a"]), None);
        }
    }

    #[test]
    fn a_list_removes_what_it_lacks_unless_an_entry_cannot_be_read() {
        let mut judge = Judge::default();
        let all = ["a", "b", "c", "d"];
        assert_eq!(take(&mut judge, &["a"], 0, &[]), Some(Removal::Missing));
        assert_eq!(
            take(&mut judge, &["a", "b"], 0, &all),
            Some(Removal::Missing)
        );
        assert_eq!(
            take(&mut judge, &["a", "b"], 1, &all),
            Some(Removal::IsPartial)
        );
    }

    #[test]
    fn a_list_that_lacks_more_than_half_must_be_confirmed() {
        let all = ["a", "b", "c", "d"];
        let shrunk = Some(Removal::IsShrunk { lacks: 3, of: 4 });
        let mut judge = Judge::default();
        assert_eq!(take(&mut judge, &["a"], 0, &all), shrunk);
        assert_eq!(take(&mut judge, &["a"], 0, &all), shrunk);
        // An empty list in between confirms nothing, and a good one begins anew.
        assert_eq!(take(&mut judge, &[], 0, &all), None);
        assert_eq!(take(&mut judge, &all, 0, &all), Some(Removal::Missing));
        assert_eq!(take(&mut judge, &["a"], 0, &all), shrunk);
        assert_eq!(take(&mut judge, &["a"], 0, &all), shrunk);
        assert_eq!(take(&mut judge, &["a"], 0, &all), Some(Removal::Missing));
    }

    #[test]
    fn a_list_that_is_too_long_is_cut_and_removes_nothing() {
        let list = (0..MAX_OBJECTS + 10).map(|n| (format!("{n:05}"), ()));
        let listing = Judge::default().take(list, 0, []).unwrap();
        assert_eq!(listing.entries.len(), MAX_OBJECTS);
        assert_eq!(listing.removes, Removal::IsPartial);
    }
}
