//! The CortecsInstance controller.

pub mod args;
pub mod decide;
pub mod memory;
pub mod moment;
pub mod status;
