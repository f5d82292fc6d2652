//! A stop of everything that an account has ordered: which stopped instances it explains. Pure.
//!
//! The order is recorded before its first call, and lasts until the resources have taken note. So what it stopped is known across a
//! crash, and is neither a mass change nor a drift by others.

use std::time::Duration;

use cortecs_api::types::InstanceState;
use cortecs_resources::instance_status::CortecsInstanceStatus;
use jiff::{SignedDuration, Timestamp};

/// The stop of everything in a fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StopOrder {
    /// When the order ended; `None` while it goes on.
    pub ended: Option<Timestamp>,
}

impl StopOrder {
    /// Until when its calls may have an effect; `None` while it goes on.
    pub fn until(self, settle: Duration) -> Option<Timestamp> {
        let settle = SignedDuration::try_from(settle).unwrap_or(SignedDuration::MAX);
        let ended = self.ended?;
        Some(ended.checked_add(settle).unwrap_or(Timestamp::MAX))
    }

    /// Whether it explains that an instance is stopped which this status shows as up: nobody here has run the instance since.
    pub fn explains(self, status: &CortecsInstanceStatus, settle: Duration) -> bool {
        let started = status.slot().last_start_time;
        let is_older = |until| started.is_none_or(|started| started <= until);
        is_recorded_up(status) && self.until(settle).is_none_or(is_older)
    }
}

/// Whether the status shows the instance as pending or running.
pub fn is_recorded_up(status: &CortecsInstanceStatus) -> bool {
    let up = [InstanceState::Pending, InstanceState::Running];
    let shown = status.instance_status.as_ref();
    shown.is_some_and(|s| up.iter().any(|up| s.status == up.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::stored::stored;

    fn explains(ended: Option<&str>, shown: &str, started: &str) -> bool {
        let status = stored(json!({
            "instanceId": "i", "instanceStatus": { "status": shown }, "lastStartTime": started,
        }));
        let status = serde_json::from_value(status).unwrap();
        let ended = ended.map(|ended| ended.parse().unwrap());
        StopOrder { ended }.explains(&status, Duration::from_secs(180))
    }

    #[test]
    fn what_was_started_long_after_the_order_is_not_its_work() {
        let ended = Some("2026-01-01T00:10:00Z");
        for (ended, shown, started, expected) in [
            (None, "running", "2026-01-02T00:00:00Z", true),
            (None, "pending", "2026-01-02T00:00:00Z", true),
            (None, "stopped", "2026-01-01T00:00:00Z", false),
            (ended, "running", "2026-01-01T00:00:00Z", true),
            // A call of the last moment may stop what was restarted at once.
            (ended, "running", "2026-01-01T00:13:00Z", true),
            (ended, "running", "2026-01-01T00:13:01Z", false),
        ] {
            let found = explains(ended, shown, started);
            assert_eq!(found, expected, "{ended:?} {shown} {started}");
        }
    }
}
