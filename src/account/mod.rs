//! The controller of accounts.

pub mod context;
pub mod credentials;
mod hold;
mod look;
pub mod reconcile;
mod stand_off;
mod watch;
mod write;
