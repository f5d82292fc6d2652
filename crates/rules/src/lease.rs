//! Which process may act, decided from what was seen of the `Lease` and when. No I/O, no clock.
//!
//! Clocks of other machines are never trusted: a holder is judged by when this process saw its record change last, and a
//! process's own right to act counts from when it sent the renewal that was accepted.

use std::{fmt, time::Duration};

use cortecs_clock::Moment;

/// How long a call to Kubernetes may take: what an old holder still sends has landed by then.
pub const KUBE_CALL_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a record that does not change keeps others away.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// How long after sending an accepted renewal its sender may act.
pub const ACT_DURATION: Duration = Duration::from_secs(10);
/// How often the holder renews and the others look.
pub const RETRY_PERIOD: Duration = Duration::from_secs(2);
/// A longer `leaseDurationSeconds` of a record is cut to this.
const LONGEST_DURATION: Duration = Duration::from_secs(10 * 60);

// The last call that a holder was allowed to begin has ended before the lease can be taken.
const _: () =
    assert!(ACT_DURATION.as_millis() + KUBE_CALL_TIMEOUT.as_millis() < LEASE_DURATION.as_millis());
// One call without answer does not lose the lease.
const _: () =
    assert!(RETRY_PERIOD.as_millis() + KUBE_CALL_TIMEOUT.as_millis() < ACT_DURATION.as_millis());

/// The fields of a `Lease` that the election uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRecord {
    /// None when it was released.
    pub holder: Option<String>,
    /// The duration that the holder announced.
    pub duration: Option<Duration>,
    /// Differs after every change of the object: its uid and resourceVersion.
    pub version: String,
}

/// The knowledge of this process about the `Lease`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseObservation {
    /// The last record seen, even when the object has gone since.
    record: Option<LeaseRecord>,
    present: bool,
    changed_at: Moment,
    /// Set once this process holds it: the moment from which it may no longer act.
    act_until: Option<Moment>,
}

/// The next step of the election.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseStep {
    /// Write this process's name into it.
    Acquire,
    /// Confirm that it is still this process's.
    Renew,
    /// Look again after this time.
    Wait(Duration),
    /// This process held the lease and does no longer: final.
    Lost(Loss),
}

/// Why a lease was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// No renewal was accepted in time.
    Expired,
    /// Somebody else holds it.
    Taken(String),
    /// Somebody cleared the holder.
    Cleared,
    /// Somebody deleted the object.
    Deleted,
}

impl LeaseObservation {
    /// Notes what a read showed; `now` is when its answer had arrived. None: there is no such object.
    pub fn saw(&mut self, record: Option<LeaseRecord>, now: Moment) {
        self.present = record.is_some();
        if let Some(record) = record
            && self
                .record
                .as_ref()
                .is_none_or(|seen| seen.version != record.version)
        {
            self.record = Some(record);
            self.changed_at = now;
        }
    }

    /// Notes that a write of this process was accepted, which it sent at `sent` and whose answer arrived at `now`.
    pub fn wrote(&mut self, record: LeaseRecord, sent: Moment, now: Moment) {
        self.saw(Some(record), now);
        self.act_until = Some(sent.after(ACT_DURATION));
    }

    /// The moment from which this process may no longer act; None before it holds the lease.
    pub fn act_until(&self) -> Option<Moment> {
        self.act_until
    }

    fn holder(&self) -> Option<&str> {
        self.record
            .as_ref()?
            .holder
            .as_deref()
            .filter(|holder| !holder.is_empty())
    }
}

/// The next step of the process named `me` at `now`.
///
/// An object that is gone keeps the others waiting like one that is there: its holder may not have noticed yet.
pub fn decide_lease(observed: &LeaseObservation, now: Moment, me: &str) -> LeaseStep {
    let mine = observed.holder() == Some(me);
    if let Some(act_until) = observed.act_until {
        return match observed.holder() {
            _ if now >= act_until => LeaseStep::Lost(Loss::Expired),
            _ if !observed.present => LeaseStep::Lost(Loss::Deleted),
            None => LeaseStep::Lost(Loss::Cleared),
            Some(other) if !mine => LeaseStep::Lost(Loss::Taken(other.to_owned())),
            Some(_) => LeaseStep::Renew,
        };
    }
    match &observed.record {
        // The answer to this process's own write was lost: writing once more makes sure.
        Some(_) if mine && observed.present => LeaseStep::Renew,
        Some(record) if observed.holder().is_some() && !mine => {
            let announced = record.duration.unwrap_or(LEASE_DURATION);
            let duration = announced.clamp(LEASE_DURATION, LONGEST_DURATION);
            match duration.saturating_sub(now.since(observed.changed_at)) {
                Duration::ZERO => LeaseStep::Acquire,
                rest => LeaseStep::Wait(rest.min(RETRY_PERIOD)),
            }
        }
        _ => LeaseStep::Acquire,
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => write!(f, "it was not renewed within {} s", ACT_DURATION.as_secs()),
            Self::Taken(other) => write!(
                f,
                "{} holds it",
                other.chars().take(128).collect::<String>()
            ),
            Self::Cleared => f.write_str("somebody cleared its holder"),
            Self::Deleted => f.write_str("somebody deleted it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_boot(Duration::from_secs(1000 + seconds))
    }

    fn record(holder: &str, version: u32) -> LeaseRecord {
        LeaseRecord {
            holder: Some(holder.to_owned()).filter(|holder| !holder.is_empty()),
            duration: Some(LEASE_DURATION),
            version: version.to_string(),
        }
    }

    fn saw(holder: &str, version: u32, now: Moment) -> LeaseObservation {
        let mut observed = LeaseObservation::default();
        observed.saw(Some(record(holder, version)), now);
        observed
    }

    fn holding(sent: Moment) -> LeaseObservation {
        let mut observed = LeaseObservation::default();
        observed.wrote(record("me", 1), sent, sent);
        observed
    }

    fn decide(observed: &LeaseObservation, now: Moment) -> LeaseStep {
        decide_lease(observed, now, "me")
    }

    #[test]
    fn a_free_lease_is_taken_at_once() {
        assert_eq!(
            decide(&LeaseObservation::default(), at(0)),
            LeaseStep::Acquire
        );
        assert_eq!(decide(&saw("", 1, at(0)), at(0)), LeaseStep::Acquire);
    }

    #[test]
    fn another_holder_is_waited_for_until_its_record_stood_still_for_its_duration() {
        let observed = saw("other", 1, at(0));
        assert_eq!(decide(&observed, at(0)), LeaseStep::Wait(RETRY_PERIOD));
        assert_eq!(
            decide(&observed, at(14)),
            LeaseStep::Wait(Duration::from_secs(1))
        );
        assert_eq!(decide(&observed, at(15)), LeaseStep::Acquire);
    }

    #[test]
    fn each_change_starts_the_wait_anew_and_each_unchanged_look_does_not() {
        let mut observed = saw("other", 1, at(0));
        observed.saw(Some(record("other", 1)), at(10));
        assert_eq!(decide(&observed, at(15)), LeaseStep::Acquire);
        observed.saw(Some(record("other", 2)), at(14));
        assert_eq!(
            decide(&observed, at(28)),
            LeaseStep::Wait(Duration::from_secs(1))
        );
        assert_eq!(decide(&observed, at(29)), LeaseStep::Acquire);
    }

    #[test]
    fn a_process_that_slept_looks_anew_before_it_judges() {
        let mut observed = saw("other", 1, at(0));
        observed.saw(Some(record("other", 30)), at(60));
        assert_eq!(decide(&observed, at(60)), LeaseStep::Wait(RETRY_PERIOD));
    }

    #[test]
    fn a_longer_duration_is_respected_a_shorter_or_absurd_one_is_not() {
        let mut observed = LeaseObservation::default();
        let with = |seconds, version: &str| {
            let duration = Some(Duration::from_secs(seconds));
            Some(LeaseRecord {
                duration,
                version: version.to_owned(),
                ..record("other", 0)
            })
        };
        observed.saw(with(60, "a"), at(0));
        assert_eq!(
            decide(&observed, at(59)),
            LeaseStep::Wait(Duration::from_secs(1))
        );
        observed.saw(with(1, "b"), at(0));
        assert_eq!(
            decide(&observed, at(14)),
            LeaseStep::Wait(Duration::from_secs(1))
        );
        observed.saw(with(u64::MAX, "c"), at(0));
        assert_eq!(decide(&observed, at(600)), LeaseStep::Acquire);
    }

    #[test]
    fn a_deleted_lease_keeps_those_waiting_who_saw_its_holder() {
        let mut observed = saw("other", 1, at(0));
        observed.saw(None, at(2));
        assert_eq!(decide(&observed, at(2)), LeaseStep::Wait(RETRY_PERIOD));
        assert_eq!(decide(&observed, at(15)), LeaseStep::Acquire);
    }

    #[test]
    fn the_holder_renews_and_may_act_for_ten_seconds_after_sending() {
        let mut observed = holding(at(0));
        assert_eq!(observed.act_until(), Some(at(10)));
        assert_eq!(decide(&observed, at(9)), LeaseStep::Renew);
        observed.wrote(record("me", 2), at(4), at(8));
        assert_eq!(observed.act_until(), Some(at(14)));
        assert_eq!(decide(&observed, at(13)), LeaseStep::Renew);
    }

    #[test]
    fn a_renewal_answered_only_after_a_long_sleep_is_a_loss() {
        let mut observed = holding(at(0));
        observed.wrote(record("me", 2), at(2), at(62));
        assert_eq!(decide(&observed, at(62)), LeaseStep::Lost(Loss::Expired));
    }

    #[test]
    fn whatever_else_the_record_says_is_a_loss() {
        let lost = |record: Option<LeaseRecord>, now| {
            let mut observed = holding(at(0));
            observed.saw(record, now);
            decide(&observed, now)
        };
        assert_eq!(
            lost(Some(record("me", 1)), at(10)),
            LeaseStep::Lost(Loss::Expired)
        );
        assert_eq!(
            lost(Some(record("other", 2)), at(2)),
            LeaseStep::Lost(Loss::Taken("other".to_owned()))
        );
        assert_eq!(
            lost(Some(record("", 2)), at(2)),
            LeaseStep::Lost(Loss::Cleared)
        );
        assert_eq!(lost(None, at(2)), LeaseStep::Lost(Loss::Deleted));
        assert_eq!(lost(Some(record("me", 7)), at(2)), LeaseStep::Renew);
    }

    #[test]
    fn finding_itself_named_without_an_answer_it_writes_again_before_acting() {
        let observed = saw("me", 1, at(0));
        assert_eq!(observed.act_until(), None);
        assert_eq!(decide(&observed, at(100)), LeaseStep::Renew);
    }
}
