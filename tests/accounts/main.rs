//! Accounts against a real Kubernetes API server and the simulated Cortecs API.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code outside #[test] functions"
)]

#[path = "../support/control_plane.rs"]
mod control_plane;
#[path = "../support/eventually.rs"]
mod eventually;
#[path = "../support/objects.rs"]
mod objects;
mod scenario;

mod credentials;
mod deletion;
mod proxies;
mod secrets;
mod sharing;
mod status;
