//! The CortecsAccount controller and its fleet.

pub mod book;
pub mod key;
pub mod snapshot;
