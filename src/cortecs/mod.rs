//! The Cortecs API: its wire types and a typed client for it.
//!
//! [`Client`] makes the calls. It holds one access token for all its clones, never repeats a call that may have started
//! something billed, and bounds the time and the memory of each call. Each [`Error`] says what the caller may do next:
//! [`RetryClass`].

pub mod answers;
mod call;
mod client;
mod config;
mod error;
mod http;
mod id;
mod text;
mod token;
pub mod types;

#[cfg(test)]
mod tests;

pub use call::{Call, CallObserver, CallOutcome};
pub use client::Client;
pub use config::{ClientConfig, ConfigError, Credentials};
pub use error::{Error, RetryClass};
pub(crate) use id::flaw_of_instance;
pub(crate) use text::{fit, is_shown};
