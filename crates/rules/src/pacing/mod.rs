//! When a fleet is listed, and how many calls it may make. Each file imports only files above it.
//!
//! | file | what it decides |
//! |---|---|
//! | [`schedule`] | when the next list is due |
//! | [`pressure`] | how many calls may be under way, and which resource has its turn |

pub mod pressure;
pub mod schedule;
