//! How often the API is asked for its catalog.

use std::time::Duration;

use cortecs_rules::catalog::details::Pace;

/// The intervals of the controller of the catalog. Tests use shorter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// Between two lists of the models, of the hardware types and of the available hardware types.
    pub refresh: Duration,
    /// Between two lists of the available hardware types while a resource waits for capacity.
    pub availability: Duration,
    /// When the API is asked about a single model.
    pub details: Pace,
    /// After a failure.
    pub retry: Duration,
    /// Between two looks at the account and at the resources.
    pub tick: Duration,
    /// Between two passes over the objects. It doubles while each pass writes, up to `longest_pass`, so that nobody who changes the
    /// objects back makes the operator write all the time.
    pub pass: Duration,
    pub longest_pass: Duration,
}

impl Intervals {
    /// Between two lists of the available hardware types. `is_awaited`: whether a resource waits for capacity.
    pub(super) fn availability(&self, is_awaited: bool) -> Duration {
        match is_awaited {
            true => self.availability.min(self.refresh),
            false => self.refresh,
        }
    }
}

impl Default for Intervals {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        Self {
            refresh: minutes(60),
            availability: minutes(5),
            details: Pace {
                slow: minutes(1),
                fresh: minutes(24 * 60),
                retry: minutes(5),
            },
            retry: minutes(1),
            tick: Duration::from_secs(5),
            pass: Duration::from_secs(1),
            longest_pass: minutes(5),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn availability_is_asked_for_more_often_while_somebody_waits() {
        let intervals = Intervals::default();
        assert_eq!(intervals.availability(false), Duration::from_secs(3600));
        assert_eq!(intervals.availability(true), Duration::from_secs(300));
    }
}
