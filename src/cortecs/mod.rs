//! The Cortecs API: wire types.
pub mod types;
