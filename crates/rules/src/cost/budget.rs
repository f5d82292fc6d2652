//! Whether what is to be started fits the budget. All amounts are prices per hour, in one currency.

use super::money::Micros;

/// What is known of a budget, of its use, and of what is to be started.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The most that all together may cost.
    pub most: Micros,
    /// What others have that is billed, or may be before long.
    pub used: Micros,
    /// The same of the resource that asks, which gives it up for what is to be started.
    pub own: Micros,
    /// What is to be started.
    pub wanted: Micros,
}

/// Whether it may be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It may be started now.
    Now,
    /// When something else is no longer billed.
    Later,
    /// Not with this budget.
    Never,
}

/// Looks for room. `ahead`: the prices of what waits and is older, the oldest first. What is ahead and fits takes its place first, beside what
/// the resource has itself; what is ahead and does not fit holds nobody up.
pub fn room(request: Request, ahead: impl IntoIterator<Item = Micros>) -> Room {
    let Request {
        most,
        used,
        own,
        wanted,
    } = request;
    if wanted > most {
        return Room::Never;
    }
    let mut left = most.saturating_sub(used).saturating_sub(own);
    for price in ahead {
        if price <= left {
            left = left.saturating_sub(price);
        }
    }
    match wanted <= left.saturating_add(own) {
        true => Room::Now,
        false => Room::Later,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn request(most: Micros, used: Micros, own: Micros, wanted: Micros) -> Request {
        Request {
            most,
            used,
            own,
            wanted,
        }
    }

    /// Who runs and changes waits for nobody who could have its place only when it is gone: each would wait for the other.
    #[test]
    fn ones_own_place_is_no_place_for_others() {
        for (own, ahead, wanted, expected) in [
            (6, vec![6], 6, Room::Now),
            (3, vec![6], 5, Room::Now),
            (3, vec![5], 5, Room::Later),
            (3, vec![5], 3, Room::Now),
            (3, vec![], 9, Room::Later),
        ] {
            let room = room(request(10, 2, own, wanted), ahead.clone());
            assert_eq!(room, expected, "{own} {ahead:?} {wanted}");
        }
    }

    #[test]
    fn the_oldest_that_fits_goes_first() {
        for (used, ahead, wanted, expected) in [
            (0, vec![], 10, Room::Now),
            (0, vec![], 11, Room::Never),
            (4, vec![], 6, Room::Now),
            (5, vec![], 6, Room::Later),
            // An older one that fits takes its place.
            (5, vec![5], 1, Room::Later),
            (5, vec![3], 2, Room::Now),
            // One that does not fit holds nobody up.
            (5, vec![6], 5, Room::Now),
            (5, vec![6, 4], 1, Room::Now),
            (5, vec![6, 4], 2, Room::Later),
            // More is billed than the budget permits by now.
            (50, vec![], 1, Room::Later),
            (50, vec![], 0, Room::Later),
        ] {
            let room = room(request(10, used, 0, wanted), ahead.clone());
            assert_eq!(room, expected, "{used} {ahead:?} {wanted}");
        }
    }

    proptest! {
        /// However many are let in, one after the other, they keep to the budget together.
        #[test]
        fn what_is_let_in_keeps_to_the_budget(most in 0..1_000_i64, wanted in vec(0..400_i64, 0..30)) {
            let mut used = 0;
            for (n, price) in wanted.iter().enumerate() {
                if room(request(most, used, 0, *price), wanted[..n].iter().copied()) == Room::Now {
                    used += price;
                }
            }
            prop_assert!(used <= most);
        }
    }
}
