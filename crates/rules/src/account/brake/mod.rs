//! The mass-change brake: when most of what should run is suddenly gone or stopped and nobody here ordered it, the account
//! goes on hold. Wrong credentials, a broken list and a person's stop of everything look like that. Pure.
//!
//! A list is measured against the persisted statuses, before the list that shows the change is known to anybody: so a process
//! that ends between the measurement and its record finds the same change again.
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
pub use measure::{Lists, Measure, Past, down, is_up_in, measure};

#[cfg(test)]
mod tests;
