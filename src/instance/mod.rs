//! The CortecsInstance controller.

pub mod moment;
