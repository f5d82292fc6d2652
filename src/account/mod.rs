//! The controller of accounts.
//!
//! | file | what it has |
//! |---|---|
//! | [`context`] | the fields that all reconciles share |
//! | [`controller`] | the watch, and one reconcile: evaluate, then write |
//! | `evaluate` | whether the account can be used: its URL, its Secret, its fleet |
//! | [`credentials`] | the credentials from their Secret |
//! | `other_operators` | accounts that another operator manages |
//! | `hold` | beginning and end of the account's hold |
//! | `late_starts` | the calls that `lateStartPolicy: Delete` orders |
//! | `stop_all` | the calls that `mode: StopAll` orders |
//! | `write` | the account's finalizer and its status |

pub mod context;
pub mod controller;
pub mod credentials;
mod evaluate;
mod hold;
mod late_starts;
mod other_operators;
mod stop_all;
mod write;
