//! What every controller needs.

pub mod clock;
