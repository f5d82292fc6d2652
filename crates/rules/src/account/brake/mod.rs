//! The mass-change brake: when most of what should run is suddenly gone or stopped and no order from here did that, the account
//! goes on hold. Wrong credentials, a broken list and a person's stop of everything look like that. Pure.
//!
//! A list is measured against the persisted statuses before any decision is taken from it. So a process that ends between the
//! measurement and its record leaves the same change to be found again.
//!
//! | file | what it has |
//! |---|---|
//! | `measure` | what a list means for the instances of a fleet |
//! | `hold` | when an account goes on hold, how long it stays so, and what people are told |

mod hold;
mod measure;

pub use hold::{
    Situation, begin, explain, explain_unrecorded, holds, is_unrecorded, may_be_known, next_hold,
};
pub(crate) use measure::is_calling;
pub use measure::{Lists, Measure, Past, down, is_up_in, measure};

#[cfg(test)]
mod tests;
