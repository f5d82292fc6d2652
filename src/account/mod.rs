//! The CortecsAccount controller and its fleet.

pub mod credentials;
pub mod fleet;
pub mod hooks;
pub mod key;
pub mod namespaces;
pub mod observe;
pub mod poll;
pub mod snapshot;
