//! The parts of Kubernetes clients and controllers that both controllers share.
//!
//! | file | what it has |
//! |---|---|
//! | [`client`] | the client, and a timeout for every call |
//! | [`scope`] | the watched namespaces |
//! | [`queue`] | the queue of each watch: objects to reconcile |
//! | [`events`] | the publishing of events |
//! | [`refusals`] | what is told of a write that Kubernetes refuses |
//! | [`controller`] | the loop of every controller: watch, filter, queue, reconcile, requeue |
//! | [`metadata`] | writes to the metadata: finalizers and annotations |

pub mod client;
pub mod controller;
pub mod events;
pub mod metadata;
pub mod queue;
pub mod refusals;
pub mod scope;
