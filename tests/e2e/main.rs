//! The operator against a real kube-apiserver and a simulated Cortecs API, over real connections.
//!
//! Tests share one control plane and run side by side: each has its own namespaces, its own simulated API and its own
//! operator, which watches those namespaces only.
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
mod harness;
#[path = "../support/objects.rs"]
mod objects;

mod account_changes;
mod accounts;
mod adoption;
mod brake;
mod brake_stays;
mod brownouts;
mod budget;
mod capacity;
mod catalog;
mod chaos;
mod cost;
mod crash_points;
mod deletion;
mod drift;
mod failover;
mod fleet;
mod hostile;
mod hung_kubernetes;
mod installs;
mod late_starts;
mod leadership;
mod lifecycle;
mod limits;
mod look_alikes;
mod losses;
mod lost_answers;
mod newer_definitions;
mod no_brake;
mod notations;
mod odd_states;
mod orders;
mod outages;
mod partings;
mod payments;
mod policies;
mod proxies;
mod reap;
mod reap_modes;
mod refusals;
mod replacement;
mod restarts;
mod spending;
mod stop_all;
mod successes;
mod telling;
mod upgrade;
mod validation;
mod webhooks;
mod wrong_urls;
