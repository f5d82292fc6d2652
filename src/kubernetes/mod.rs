//! What every controller needs of Kubernetes.
//!
//! | file | what it has |
//! |---|---|
//! | [`client`] | the client, and a bound on every call |
//! | [`scope`] | which namespaces are watched |
//! | [`queue`] | the objects that wait to be looked at, for each watch |
//! | [`controller`] | the one shell of all controllers: watch, filter, queue, reconcile, requeue |
//! | [`metadata`] | writes to the metadata: finalizers and annotations |
//! | [`events`] | the publishing of events |

pub mod client;
pub mod controller;
pub mod events;
pub mod metadata;
pub mod queue;
pub mod scope;
