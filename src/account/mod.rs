//! The controller of accounts.
//!
//! | file | what it has |
//! |---|---|
//! | [`context`] | what all of the following share |
//! | [`controller`] | what is watched, and one reconcile from the look to the write |
//! | `look` | whether the account can be used: its URL, its Secret, its fleet |
//! | [`credentials`] | the credentials from their Secret |
//! | `stand_off` | accounts that another operator manages |
//! | `hold` | the account's own hold |
//! | `write` | the account's finalizer and its status |

pub mod context;
pub mod controller;
pub mod credentials;
mod hold;
mod look;
mod stand_off;
mod write;
