//! All decisions of the operator. No I/O, no clock and no randomness: times and fresh ids are passed in.
//!
//! In the order in which a decision passes through them; each folder imports only folders above it:
//!
//! | folder | what it has |
//! |---|---|
//! | [`lease`] | which process may act, by what was seen of the `Lease` |
//! | [`proxy`] | through which proxy a server is reached |
//! | [`event`] | what an event says |
//! | [`facts`] | what is known: arguments, lists, where a resource lives, what this process remembers |
//! | [`ledger`] | which resource claims which instance, and which starts are open |
//! | [`pacing`] | when a fleet is listed, and how many calls it may make |
//! | [`cost`] | what instances cost |
//! | [`catalog`] | the API's catalog as Kubernetes objects |
//! | [`account`] | what an account's status shows, the mass-change brake, which operator manages the account |
//! | [`instance`] | what to do next with one resource |

pub mod account;
pub mod catalog;
pub mod cost;
pub mod event;
pub mod facts;
pub mod instance;
pub mod lease;
pub mod ledger;
pub mod pacing;
pub mod proxy;
