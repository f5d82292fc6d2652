//! The CortecsAccount controller and its fleet.

pub mod snapshot;
