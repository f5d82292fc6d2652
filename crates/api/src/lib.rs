//! The Cortecs API: its wire types and a typed client for it.
//!
//! `Client` makes the calls. It holds one access token for all its clones, never repeats a call that may have started
//! something billed, and bounds the time and the memory of each call. Each [`Error`] says what the caller may do next:
//! [`RetryClass`].
//!
//! In the order in which a call passes through them:
//!
//! | module | what it has |
//! |---|---|
//! | `config` | what a client is made from, and the credentials |
//! | `client` | one method for each call |
//! | `id` | which ids may go into a URL |
//! | `token` | the access token: fetched once for all callers |
//! | `http` | one bounded exchange |
//! | [`answers`], [`types`], `grant`, `lenient` | the bodies of answers, parsed; a token; what is only shown, in any notation |
//! | `text` | texts of the API, made fit to be shown |
//! | `outcome` | what the status and the body of an answer say of a call |
//! | `error` | why a call failed, and its class |
//! | `call` | the names of the calls, and the observer of calls |
//!
//! `config`, `client`, `token` and `http` need the feature `client`, which is on by default. The other modules do no I/O.
#![cfg_attr(all(doctest, feature = "client"), doc = include_str!("../README.md"))]

pub mod answers;
mod call;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod config;
mod error;
mod grant;
#[cfg(feature = "client")]
mod http;
mod id;
mod lenient;
mod outcome;
mod text;
#[cfg(feature = "client")]
mod token;
pub mod types;

#[cfg(test)]
#[cfg(feature = "client")]
mod tests;

pub use call::{Call, CallObserver, CallOutcome};
#[cfg(feature = "client")]
pub use client::Client;
#[cfg(feature = "client")]
pub use config::{ClientConfig, ConfigError, Credentials};
pub use error::{Error, RetryClass};
pub use id::flaw_of_instance;
pub use text::{fit, is_shown};

/// Makes ring the TLS provider of the process, which a client needs before it is made. To call it again does nothing.
#[cfg(feature = "client")]
pub fn install_crypto_provider() {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
