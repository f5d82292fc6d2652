//! The controller of instances. It gathers what is known, lets `cortecs-rules` decide, and carries the decision out.
//!
//! In the order in which a reconcile passes through them:
//!
//! | file | what it has |
//! |---|---|
//! | [`context`] | what every reconcile shares; [`shared_book`] is the book in it |
//! | [`controller`] | what is watched, and one reconcile: observe, decide, act |
//! | [`observe`] | the accounts, the fleet and the catalog's answer that a decision is taken from |
//! | [`act`] | carries out one step of a decision |
//! | [`call`] | the calls to the Cortecs API about one resource |
//! | [`write`] | the writes to Kubernetes |
//! | [`quorum`] | reads past every cache |
//! | [`removed`] | what follows when a resource is gone |
//! | [`claims`] | answers what fleets and accounts ask about the resources |
//! | [`wakes`] | which resources are looked at when a list comes or an account changes |
//! | [`history`], [`restore_watch`] | whether Kubernetes was restored to an earlier state |
//! | [`gauges`] | the metrics that count resources |

pub mod act;
pub mod call;
pub mod claims;
pub mod context;
pub mod controller;
pub mod gauges;
pub mod history;
pub mod observe;
pub mod quorum;
pub mod removed;
pub mod restore_watch;
pub mod shared_book;
pub mod wakes;
pub mod write;
