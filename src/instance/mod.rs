//! The controller of instances. Each reconcile observes, lets `cortecs-rules` decide, and carries the decision out.
//!
//! The files in the order of a reconcile:
//!
//! | file | what it has |
//! |---|---|
//! | [`context`] | the fields that all reconciles share; [`shared_book`] is the book among them |
//! | [`controller`] | the watch, and one reconcile: observe, decide, act |
//! | [`observe`] | the accounts, the fleet and the model that a decision is taken from |
//! | [`act`] | carries out one step of a decision |
//! | [`call`] | the calls to the Cortecs API about one resource |
//! | `write` | the writes to Kubernetes |
//! | `seal` | the write of the annotation that names the bound instance |
//! | `written` | notes of what a write has come to |
//! | [`effect`] | whether a write had its effect |
//! | [`quorum`] | quorum reads |
//! | [`removed`] | the consequences of the removal of a resource |
//! | [`claims`] | which resources use which account, fleet and instance |
//! | [`enqueue`] | which resources are reconciled after a list or a change of an account |
//! | [`history`], [`restore_watch`] | the detection that Kubernetes was restored to an earlier state |
//! | [`gauges`] | the metrics that count resources |
//! | [`spending`] | what this process knows of what was spent |
//! | [`settle`] | what resources cost, in the metrics and in the status of their account |

pub mod act;
pub mod call;
pub mod claims;
pub mod context;
pub mod controller;
pub mod effect;
pub mod enqueue;
pub mod gauges;
pub mod history;
pub mod observe;
pub mod quorum;
pub mod removed;
pub mod restore_watch;
mod seal;
pub mod settle;
pub mod shared_book;
pub mod spending;
pub mod write;
mod written;
