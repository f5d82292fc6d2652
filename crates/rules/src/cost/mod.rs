//! The cost of instances: `prices` has the price of a worker by its hardware type.

mod prices;

pub use prices::{MAX_CURRENCIES, Prices};
