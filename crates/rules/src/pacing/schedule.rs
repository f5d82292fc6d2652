//! When the next list of a fleet is due: decisions only.

use std::time::Duration;

use cortecs_clock::Moment;
use cortecs_resources::account::Poll;

/// The shortest wait after a failed list.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest wait after a failed list, where the interval is not longer.
const LONGEST: Duration = Duration::from_secs(30);
/// How far an interval is stretched or shortened at most, as a fraction of it.
const JITTER: f64 = 0.1;

/// How often a fleet is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollSettings {
    /// Interval while something is in progress.
    pub active: Duration,
    /// Interval otherwise.
    pub idle: Duration,
}

impl PollSettings {
    /// The interval in force.
    pub fn interval(self, busy: bool) -> Duration {
        if busy { self.active } else { self.idle }
    }

    /// The shorter of both intervals each.
    pub fn strictest(self, other: Self) -> Self {
        Self {
            active: self.active.min(other.active),
            idle: self.idle.min(other.idle),
        }
    }
}

impl From<&Poll> for PollSettings {
    fn from(poll: &Poll) -> Self {
        let seconds = |n: i32| Duration::from_secs(u64::try_from(n).unwrap_or_default().max(1));
        Self {
            active: seconds(poll.active_seconds),
            idle: seconds(poll.idle_seconds),
        }
    }
}

impl Default for PollSettings {
    fn default() -> Self {
        Self::from(&Poll::default())
    }
}

/// Bounds on the rate that no request can lift.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollLimits {
    /// Least time from the beginning of one list to that of the next.
    pub floor: Duration,
    /// Time between tries while the credentials are refused.
    pub auth_retry: Duration,
}

impl Default for PollLimits {
    fn default() -> Self {
        Self {
            floor: Duration::from_millis(500),
            auth_retry: Duration::from_secs(60),
        }
    }
}

/// A failure of a list call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The credentials were refused.
    pub auth: bool,
    /// The wait that the API asked for.
    pub retry_after: Option<Duration>,
}

/// The course of one fleet's lists. Randomness is drawn by the caller, as fractions of [0, 1).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schedule {
    began: Option<Moment>,
    ended: Option<Moment>,
    requested: bool,
    failures: u32,
    /// After a failure: not before this.
    not_before: Option<Moment>,
    /// Of the interval that runs.
    random: f64,
}

impl Schedule {
    /// Asks for a list that begins later than `after`: nothing is asked for where the last list did, be it still under way. Any
    /// number of requests are one until a list begins.
    pub fn request(&mut self, after: Moment) {
        self.requested |= self.began.is_none_or(|began| began <= after);
    }

    /// A list begins: it answers all requests so far.
    pub fn begin(&mut self, now: Moment) {
        self.requested = false;
        self.began = Some(now);
    }

    /// The list was good.
    pub fn succeed(&mut self, now: Moment, random: f64) {
        self.ended = Some(now);
        self.failures = 0;
        self.not_before = None;
        self.random = random;
    }

    /// The list failed: the next waits, longer with each failure, spread at random, and never shorter than the API asked.
    /// `interval` is the one that would count if it had not failed.
    pub fn fail(
        &mut self,
        now: Moment,
        failure: Failure,
        interval: Duration,
        limits: PollLimits,
        random: f64,
    ) {
        self.ended = Some(now);
        self.random = random;
        self.failures = self.failures.saturating_add(1);
        let wait = if failure.auth {
            jittered(limits.auth_retry, random)
        } else {
            let doubled = 2_u32.checked_pow(self.failures).unwrap_or(u32::MAX);
            let bound = SHORTEST.saturating_mul(doubled).min(LONGEST.max(interval));
            // At least half, so that the number of lists in bad times has a bound.
            bound.mul_f64(0.5 + 0.5 * random.clamp(0.0, 1.0))
        };
        let asked = failure
            .retry_after
            .map(|asked| asked + SHORTEST.mul_f64(random));
        self.not_before = Some(now.after(wait.max(asked.unwrap_or_default())));
    }

    /// The reason for the failures is gone: list as soon as possible.
    pub fn start_over(&mut self) {
        self.failures = 0;
        self.not_before = None;
        self.requested = true;
    }

    /// Failures since the last good list.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next list is due, while none is under way.
    pub fn due(&self, busy: bool, settings: PollSettings, limits: PollLimits) -> Moment {
        let floor = self
            .began
            .map_or_else(Moment::default, |began| began.after(limits.floor));
        let due = match (self.not_before, self.ended) {
            (Some(not_before), _) => not_before,
            (None, Some(ended)) if !self.requested => {
                ended.after(jittered(settings.interval(busy), self.random))
            }
            _ => Moment::default(),
        };
        due.max(floor)
    }
}

fn jittered(interval: Duration, random: f64) -> Duration {
    interval.mul_f64(1.0 - JITTER + 2.0 * JITTER * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SETTINGS: PollSettings = PollSettings {
        active: Duration::from_secs(5),
        idle: Duration::from_secs(60),
    };
    const LIMITS: PollLimits = PollLimits {
        floor: Duration::from_millis(500),
        auth_retry: Duration::from_secs(60),
    };

    /// After whatever a test does: only a list that begins from now on will do.
    const LATER: Moment = Moment::from_boot(Duration::MAX);

    fn at(milliseconds: u64) -> Moment {
        Moment::from_boot(Duration::from_millis(milliseconds))
    }

    fn listed() -> Schedule {
        let mut schedule = Schedule::default();
        schedule.begin(at(10_000));
        schedule.succeed(at(10_100), 0.5);
        schedule
    }

    #[test]
    fn the_first_list_is_due_at_once() {
        assert_eq!(Schedule::default().due(false, SETTINGS, LIMITS), at(0));
    }

    #[test]
    fn the_interval_depends_on_being_busy() {
        let schedule = listed();
        assert_eq!(schedule.due(false, SETTINGS, LIMITS), at(70_100));
        assert_eq!(schedule.due(true, SETTINGS, LIMITS), at(15_100));
    }

    #[test]
    fn intervals_are_spread_by_a_tenth() {
        let mut schedule = listed();
        schedule.succeed(at(10_100), 0.0);
        assert_eq!(schedule.due(false, SETTINGS, LIMITS), at(64_100));
        schedule.succeed(at(10_100), 1.0);
        assert_eq!(schedule.due(false, SETTINGS, LIMITS), at(76_100));
    }

    #[test]
    fn a_request_is_bounded_by_the_floor_only() {
        let mut schedule = listed();
        schedule.request(LATER);
        assert_eq!(schedule.due(false, SETTINGS, LIMITS), at(10_500));
        schedule.begin(at(10_500));
        schedule.succeed(at(10_600), 0.5);
        assert_eq!(schedule.due(false, SETTINGS, LIMITS), at(70_600));
    }

    #[test]
    fn a_request_during_a_list_outlives_it() {
        let mut schedule = listed();
        schedule.begin(at(20_000));
        schedule.request(LATER);
        schedule.succeed(at(20_100), 0.5);
        assert_eq!(schedule.due(false, SETTINGS, LIMITS), at(20_500));
    }

    #[test]
    fn a_list_that_began_late_enough_is_not_asked_for_again() {
        let mut schedule = listed();
        schedule.request(at(9_999));
        assert_eq!(schedule.due(false, SETTINGS, LIMITS), at(70_100));
        schedule.request(at(10_000));
        assert_eq!(schedule.due(false, SETTINGS, LIMITS), at(10_500));
        schedule.begin(at(10_500));
        schedule.request(at(10_400));
        schedule.succeed(at(10_600), 0.5);
        assert_eq!(schedule.due(false, SETTINGS, LIMITS), at(70_600));
    }

    #[test]
    fn failures_wait_longer_each_and_no_request_shortens_it() {
        let mut schedule = listed();
        let mut waits = Vec::new();
        for _ in 0..8 {
            schedule.fail(at(0), Failure::default(), SETTINGS.idle, LIMITS, 1.0);
            schedule.request(LATER);
            waits.push(schedule.due(
                true,
                SETTINGS,
                PollLimits {
                    floor: Duration::ZERO,
                    ..LIMITS
                },
            ));
        }
        // The floor is zero, but the last list began at ten seconds.
        let expected = [10, 10, 10, 16, 32, 60, 60, 60].map(|s| at(s * 1000));
        assert_eq!(waits, expected);
        schedule.start_over();
        assert_eq!(schedule.due(false, SETTINGS, LIMITS), at(10_500));
    }

    #[test]
    fn refused_credentials_are_tried_again_slowly() {
        let mut schedule = listed();
        let failure = Failure {
            auth: true,
            retry_after: None,
        };
        schedule.fail(at(11_000), failure, SETTINGS.idle, LIMITS, 0.5);
        assert_eq!(schedule.due(true, SETTINGS, LIMITS), at(71_000));
    }

    #[test]
    fn a_retry_after_beyond_the_cap_is_honoured() {
        let mut schedule = listed();
        let failure = Failure {
            auth: false,
            retry_after: Some(Duration::from_secs(600)),
        };
        schedule.fail(at(11_000), failure, SETTINGS.idle, LIMITS, 0.0);
        assert_eq!(schedule.due(true, SETTINGS, LIMITS), at(611_000));
    }

    #[test]
    fn settings_of_several_accounts_become_the_strictest() {
        let other = PollSettings {
            active: Duration::from_secs(9),
            idle: Duration::from_secs(30),
        };
        let both = SETTINGS.strictest(other);
        assert_eq!((both.active, both.idle), (SETTINGS.active, other.idle));
    }

    #[test]
    fn lists_that_fail_have_a_bound() {
        for seconds in 1..600 {
            let mut schedule = Schedule::default();
            let (mut now, mut lists) = (at(0), 0);
            while now < at(1000 * seconds) {
                schedule.begin(now);
                schedule.fail(now, Failure::default(), SETTINGS.active, LIMITS, 0.0);
                now = schedule.due(true, SETTINGS, LIMITS);
                lists += 1;
            }
            assert!(lists <= 5 + seconds / 15, "{lists} in {seconds} s");
        }
    }

    proptest! {
        #[test]
        fn a_failure_waits_between_a_second_and_the_cap(failures in 0_u32..100, random in 0.0_f64..1.0, idle in 1_u64..3600) {
            let settings = PollSettings { idle: Duration::from_secs(idle), ..SETTINGS };
            let mut schedule = Schedule { failures, ..Schedule::default() };
            schedule.fail(at(0), Failure::default(), settings.idle, LIMITS, random);
            let due = schedule.due(true, settings, LIMITS);
            prop_assert!(due >= at(1000));
            prop_assert!(due <= at(1000 * idle.max(30)));
        }
    }
}
