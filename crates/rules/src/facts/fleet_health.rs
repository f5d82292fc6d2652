//! How the calls of a fleet's loop go.

use std::time::Duration;

use cortecs_api::RetryClass;
use cortecs_clock::Moment;

use super::snapshot::Snapshot;

/// How the calls of a fleet's loop go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetHealth {
    /// Why the last list failed; absent when it did not.
    pub last_error: Option<FleetError>,
    /// The credentials were refused, and nothing has succeeded or changed since.
    pub authentication_failed: bool,
    /// When the last refusal of the credentials came.
    pub refused_at: Option<Moment>,
    /// Failed lists since the last good one.
    pub failures: u32,
    /// When the last good list was received.
    pub last_good: Option<Moment>,
    /// Since when there are good lists, with no long gap between two of them: when the first one of them was received.
    pub good_since: Option<Moment>,
}

impl FleetHealth {
    /// Why the URL of the API is most likely wrong: it leads elsewhere, and no list was ever good.
    pub fn wrong_url(&self) -> Option<String> {
        let error = self
            .last_error
            .as_ref()
            .filter(|_| self.last_good.is_none())?;
        let exchange = error.elsewhere.as_ref()?;
        Some(format!(
            "apiUrl is probably wrong: {exchange}. Correct spec.apiUrl; its path ends where /instances/ begins"
        ))
    }

    /// A list succeeded: what was wrong is over.
    pub fn clear(&mut self) {
        *self = Self {
            last_good: self.last_good,
            good_since: self.good_since,
            refused_at: self.refused_at,
            ..Self::default()
        };
    }

    /// Takes note of a good list. `interval`: how often the fleet is listed. Lists that fail now and then are no outage.
    pub fn note_good(&mut self, list: &Snapshot, interval: Duration) {
        let longest = MISSED * interval;
        let goes_on = self
            .last_good
            .is_some_and(|last| list.requested_at <= last.after(longest));
        if !goes_on {
            self.good_since = Some(list.received_at);
        }
        self.last_good = Some(list.received_at);
    }
}

/// After so many intervals without a list this process has not been running, or not listing.
const MISSED: u32 = 5;

/// A failed list, in words fit for a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetError {
    pub class: RetryClass,
    pub message: String,
    /// What speaks for a wrong URL, if anything does: what was asked, and how that was answered.
    pub elsewhere: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_leads_elsewhere_is_wrong_unless_a_list_was_good() {
        let error = |elsewhere: Option<&str>| FleetError {
            class: RetryClass::Transient,
            message: "no access token: HTTP 404".to_owned(),
            elsewhere: elsewhere.map(str::to_owned),
        };
        let mut health = FleetHealth {
            last_error: Some(error(None)),
            ..FleetHealth::default()
        };
        assert_eq!(health.wrong_url(), None);
        health.last_error = Some(error(Some("GET x was answered with HTTP 404")));
        assert!(health.wrong_url().unwrap().contains("GET x was answered"));
        health.last_good = Some(at(1));
        assert_eq!(health.wrong_url(), None);
    }

    fn at(second: u64) -> Moment {
        Moment::from_boot(Duration::from_secs(second))
    }

    #[test]
    fn lists_are_good_since_the_last_long_gap() {
        let mut health = FleetHealth::default();
        for (requested, received, since) in [
            (100, 101, 101),
            (103, 104, 101),
            // A slow answer is no gap.
            (106, 140, 101),
            // Lists failed in between, but not for long.
            (150, 151, 101),
            // They failed for long, or the process was frozen.
            (162, 163, 163),
        ] {
            let list = Snapshot {
                sequence: 1,
                requested_at: at(requested),
                received_at: at(received),
                instances: [].into(),
            };
            health.note_good(&list, Duration::from_secs(2));
            assert_eq!(health.good_since, Some(at(since)), "{requested}");
            assert_eq!(health.last_good, Some(at(received)));
        }
    }
}
