//! What instances cost.

mod prices;

pub use prices::{MAX_CURRENCIES, Prices};
