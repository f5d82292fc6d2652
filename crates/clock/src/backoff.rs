//! How long to wait after a failure.

use std::time::Duration;

/// The shortest wait.
pub const SHORTEST: Duration = Duration::from_secs(1);
/// The longest wait, except where the server asks for more.
pub const LONGEST: Duration = Duration::from_secs(5 * 60);
/// A server that asks for a longer wait gets this one.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// Exponential backoff with full jitter: each wait is drawn evenly between [`SHORTEST`] and a bound that doubles with each
/// failure up to [`LONGEST`], so that many resources that failed together come back spread out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    /// A backoff that has seen this many failures in a row.
    pub const fn after(failures: u32) -> Self {
        Self { failures }
    }

    /// Notes a failure and says how long to wait.
    ///
    /// `random` is a fraction of [0, 1), drawn by the caller; what lies outside counts as the nearest bound.
    /// `retry_after`, from the server, is the least that is waited: the jitter is added to it, since all
    /// clients were told the same.
    pub fn next(&mut self, random: f64, retry_after: Option<Duration>) -> Duration {
        let bound = self.bound();
        self.failures = self.failures.saturating_add(1);
        let least = retry_after
            .unwrap_or(SHORTEST)
            .clamp(SHORTEST, LONGEST_RETRY_AFTER);
        let fraction = if random.is_nan() {
            1.0
        } else {
            random.clamp(0.0, 1.0)
        };
        least + bound.saturating_sub(SHORTEST).mul_f64(fraction)
    }

    /// Failures since the last reset.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn bound(&self) -> Duration {
        let doubled = 2_u32
            .checked_pow(self.failures.saturating_add(1))
            .unwrap_or(u32::MAX);
        SHORTEST.saturating_mul(doubled).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_bound_doubles_up_to_five_minutes() {
        let mut backoff = Backoff::default();
        let bounds: Vec<u64> = (0..11).map(|_| backoff.next(1.0, None).as_secs()).collect();
        assert_eq!(bounds, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(backoff.failures(), 11);
    }

    #[test]
    fn the_jitter_reaches_down_to_a_second() {
        let mut backoff = Backoff { failures: 20 };
        assert_eq!(backoff.next(0.0, None), SHORTEST);
        assert_eq!(backoff.next(0.5, None), Duration::from_millis(150_500));
    }

    #[test]
    fn a_retry_after_is_waited_for_and_spread() {
        let asked = Duration::from_secs(120);
        assert_eq!(Backoff::default().next(0.0, Some(asked)), asked);
        assert_eq!(Backoff::default().next(1.0, Some(asked)), asked + SHORTEST);
        assert_eq!(Backoff::default().next(0.0, Some(Duration::ZERO)), SHORTEST);
        assert_eq!(
            Backoff::default().next(0.0, Some(Duration::MAX)),
            LONGEST_RETRY_AFTER
        );
    }

    proptest! {
        #[test]
        fn waits_stay_in_their_bounds(failures in any::<u32>(), random in any::<f64>(), asked in proptest::option::of(0_u64..u64::MAX)) {
            let mut backoff = Backoff { failures };
            let wait = backoff.next(random, asked.map(Duration::from_secs));
            prop_assert!(wait >= SHORTEST);
            let most = if asked.is_some() { LONGEST_RETRY_AFTER + LONGEST } else { LONGEST };
            prop_assert!(wait <= most);
            prop_assert!(wait >= asked.map(Duration::from_secs).unwrap_or_default().min(LONGEST_RETRY_AFTER));
            prop_assert!(backoff.failures() > failures || failures == u32::MAX);
        }
    }
}
