//! Kubernetes: the client, what is watched, the one shell of all controllers, events.

pub mod client;
pub mod events;
pub mod scope;
pub mod wake;
