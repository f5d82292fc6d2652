//! The hardware on which an instance can be started now, as the API last said.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cortecs_resources::reason::Reason;
use jiff::{SignedDuration, Timestamp};

use super::failure::{Failure, FailureKind};

/// How long an answer of the API is used.
pub const FRESH: Duration = Duration::from_secs(20);
/// The longest pause between two looks of a resource that waits.
const LONGEST: Duration = Duration::from_secs(300);

/// The API's last answer about free hardware. It is advice: where it is missing, the start itself tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Capacity {
    /// The API was not asked, or its answer is old.
    #[default]
    NotAsked,
    /// The API did not answer.
    Unknown,
    /// The hardware types on which another worker fits.
    Available(Arc<BTreeSet<String>>),
}

impl Capacity {
    /// Whether the API says that no worker fits on this hardware.
    pub fn lacks(&self, hardware: &str) -> bool {
        match self {
            Self::Available(ids) => !ids.contains(hardware),
            Self::NotAsked | Self::Unknown => false,
        }
    }

    /// Looks at the refusal of a start or a restart on this hardware, in the light of an answer that is newer. A refusal that the lack of
    /// hardware explains passes: the resource waits for hardware then, and for nothing else.
    pub fn explain(&self, refusal: &mut Failure, hardware: &str) {
        let pause = match self.lacks(hardware) {
            true => FRESH,
            // The next call may be as much in vain.
            false if tells_of_capacity(&refusal.message) => {
                let doublings = refusal.count.saturating_sub(1).min(8);
                (FRESH * (1 << doublings)).min(LONGEST)
            }
            false => return,
        };
        if refusal.kind == FailureKind::Terminal {
            refusal.kind = FailureKind::Transient;
            refusal.reason = Reason::WaitingForCapacity;
            refusal.retry_at = refusal.failed_at.after(pause);
        }
    }
}

/// What clouds say where there is no hardware at the moment. The API's documentation has no word for it.
const NO_CAPACITY: [&str; 10] = [
    "no capacity",
    "not enough capacity",
    "insufficient capacity",
    "out of capacity",
    "capacity is not available",
    "capacity exhausted",
    "no hardware available",
    "hardware is not available",
    "hardware type is not available",
    "out of stock",
];

fn tells_of_capacity(message: &str) -> bool {
    let message = message.to_lowercase();
    NO_CAPACITY.iter().any(|words| message.contains(words))
}

/// How long a resource that waits since then pauses before it looks again: longer and longer.
pub fn pause(since: Option<Timestamp>, now: Timestamp) -> Duration {
    let waited = since.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
    let waited = Duration::try_from(waited).unwrap_or_default();
    (waited / 2).clamp(FRESH, LONGEST)
}

#[cfg(test)]
mod tests {
    use cortecs_clock::Moment;

    use super::*;

    #[test]
    fn pauses_grow_up_to_five_minutes() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (since, seconds) in [
            (None, 20),
            (Some(1000), 20),
            (Some(800), 100),
            (Some(0), 300),
            (Some(2000), 20),
        ] {
            let pause = pause(since.map(at), at(1000));
            assert_eq!(pause, Duration::from_secs(seconds), "{since:?}");
        }
    }

    #[test]
    fn a_refusal_that_tells_of_capacity_passes_whatever_the_list_says() {
        let refused = |message: &str, count| {
            let mut refusal = Failure {
                kind: FailureKind::Terminal,
                reason: Reason::InvalidArguments,
                message: message.to_owned(),
                generation: 1,
                failed_at: Moment::default(),
                retry_at: Moment::default(),
                count,
            };
            Capacity::Unknown.explain(&mut refusal, "L4");
            (refusal.reason, refusal.retry_at.since(Moment::default()))
        };
        for (message, count, seconds) in [
            (
                "start failed: HTTP 400: No capacity available for L4",
                1,
                20,
            ),
            ("HTTP 409: Insufficient capacity", 3, 80),
            (
                "HTTP 422: the hardware type is not available at the moment",
                9,
                300,
            ),
        ] {
            let waits = (Reason::WaitingForCapacity, Duration::from_secs(seconds));
            assert_eq!(refused(message, count), waits, "{message}");
        }
        let stays = (Reason::InvalidArguments, Duration::ZERO);
        for message in [
            "the context exceeds the capacity of the hardware",
            "no such hardware",
        ] {
            assert_eq!(refused(message, 1), stays, "{message}");
        }
    }

    #[test]
    fn a_refusal_passes_if_the_lack_of_hardware_explains_it() {
        let at = |seconds| Moment::from_boot(Duration::from_secs(seconds));
        let refused = |kind| Failure {
            kind,
            reason: Reason::CallRefused,
            message: "HTTP 400: no".to_owned(),
            generation: 1,
            failed_at: at(100),
            retry_at: at(700),
            count: 1,
        };
        let none = Capacity::Available(Arc::default());
        let mut lacking = refused(FailureKind::Terminal);
        none.explain(&mut lacking, "L4");
        assert_eq!(
            (lacking.kind, lacking.retry_at),
            (FailureKind::Transient, at(120))
        );
        let some = Capacity::Available(Arc::new(BTreeSet::from(["L4".to_owned()])));
        for (capacity, kind) in [
            (&some, FailureKind::Terminal),
            (&Capacity::Unknown, FailureKind::Terminal),
            (&none, FailureKind::Auth),
        ] {
            let mut other = refused(kind);
            capacity.explain(&mut other, "L4");
            assert_eq!(other, refused(kind), "{capacity:?}");
        }
    }

    #[test]
    fn only_an_answer_says_that_hardware_is_lacking() {
        assert!(!Capacity::NotAsked.lacks("L4") && !Capacity::Unknown.lacks("L4"));
        let some = Capacity::Available(Arc::new(BTreeSet::from(["L4".to_owned()])));
        assert!(!some.lacks("L4") && some.lacks("L40S"));
    }
}
