//! Time that neither a suspended machine nor a changed clock falsifies.
//!
//! | module | what it has |
//! |---|---|
//! | `moment`: [`Moment`] | a point in time, as a value |
//! | `backoff`: [`Backoff`] | how long to wait after a failure |
//! | `now`: [`moment()`], [`wall()`] | the clocks themselves, with the feature `now` |

mod backoff;
mod moment;

#[cfg(feature = "now")]
mod now;

pub use self::{
    backoff::{Backoff, LONGEST, LONGEST_RETRY_AFTER, SHORTEST},
    moment::Moment,
};
#[cfg(feature = "now")]
pub use now::{moment, wall};
