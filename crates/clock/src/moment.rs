//! Points on this machine's clock that counts suspended time.

use std::time::Duration;

/// A point in time of this process's machine, comparable only within it: time since boot, suspension included.
///
/// A moment is a value, not a clock. Only [`crate`] reads a clock; all other code compares moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The moment `since_boot` after the machine's start.
    pub const fn from_boot(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// Time since the machine's start.
    pub const fn since_boot(self) -> Duration {
        self.0
    }

    /// How long before `self` the moment `earlier` was; zero if it was not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment `duration` earlier; the machine's start if that is later.
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }

    /// The moment `duration` later.
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}
