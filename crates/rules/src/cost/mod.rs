//! The cost of instances.
//!
//! | file | what it has |
//! |---|---|
//! | [`accrued`] | the cost of the runs of a resource |
//! | `by_model` | that cost by the models that the resource ran |
//! | [`bill`] | what a resource has cost, and the sums of the resources that are gone |
//! | [`bills`] | the bills that wait for the status of their account |
//! | [`labels`] | the labels of metrics about money |
//! | [`meter`] | the counters of what was spent |
//! | `money` | amounts of money, as statuses show them |
//! | [`budget`] | whether what is to be started fits the budget |
//! | [`run_limit`] | when a run has to end |
//! | [`overdue`] | since when a stop is overdue |
//! | `prices` | the price of a worker by its hardware type, and what instances cost per hour |

pub mod accrued;
pub mod bill;
pub mod bills;
pub mod budget;
mod by_model;
pub mod labels;
pub mod meter;
pub mod money;
pub mod overdue;
mod prices;
pub mod run_limit;

pub use prices::{MAX_CURRENCIES, Prices};
