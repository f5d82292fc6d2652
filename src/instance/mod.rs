//! The CortecsInstance controller.

pub mod args;
pub mod memory;
pub mod moment;
