//! Kubernetes: the client, what is watched, the one shell of all controllers, events.

pub mod client;
pub mod controller;
pub mod events;
pub mod queue;
pub mod scope;
