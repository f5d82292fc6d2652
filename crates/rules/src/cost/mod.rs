//! The cost of instances.
//!
//! | file | what it has |
//! |---|---|
//! | [`accrued`] | the cost of the runs of a resource |
//! | `money` | amounts of money, as statuses show them |
//! | [`budget`] | whether what is to be started fits the budget |
//! | [`run_limit`] | when a run has to end |
//! | [`overdue`] | since when a stop is overdue |
//! | `prices` | the price of a worker by its hardware type, and what instances cost per hour |

pub mod accrued;
pub mod budget;
pub mod money;
pub mod overdue;
mod prices;
pub mod run_limit;

pub use prices::{MAX_CURRENCIES, Prices};
