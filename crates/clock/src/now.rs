//! The one place where the operator reads a clock.

use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use crate::Moment;

#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// The present moment, on a clock that goes on while the machine or the process is suspended (`CLOCK_BOOTTIME`).
pub fn moment() -> Moment {
    let now = clock_gettime(CLOCK);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or_default();
    Moment::from_boot(Duration::new(seconds, nanoseconds))
}

/// The present time of the calendar.
pub fn wall() -> Timestamp {
    Timestamp::now()
}
