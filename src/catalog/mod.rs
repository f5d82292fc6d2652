//! Models and hardware types.

mod models;
mod prices;

pub use models::{Catalog, CatalogError};
pub use prices::Prices;
