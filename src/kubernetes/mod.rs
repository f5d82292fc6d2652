//! The parts of Kubernetes clients and controllers that both controllers share.
//!
//! | file | what it has |
//! |---|---|
//! | `text` | the messages of errors, as they are shown |
//! | [`client`] | the client, and a timeout for every call |
//! | `config` | where the API server is, and through which proxy it is reached |
//! | `proxy` | a client that goes through a proxy |
//! | [`scope`] | the watched namespaces |
//! | [`queue`] | the queue of each watch: objects to reconcile |
//! | [`events`] | the publishing of events |
//! | [`refusals`] | what is told of a write that Kubernetes refuses |
//! | [`unreadable`] | what is told of an object that cannot be decoded |
//! | [`controller`] | the loop of every controller: watch, filter, queue, reconcile, requeue |
//! | [`metadata`] | writes to the metadata: finalizers and annotations |

pub mod client;
mod config;
pub mod controller;
pub mod events;
pub mod metadata;
mod proxy;
pub mod queue;
pub mod refusals;
pub mod scope;
mod text;
pub mod unreadable;
