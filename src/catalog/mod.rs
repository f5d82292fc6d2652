//! Models and hardware types.

mod models;

pub use models::{Catalog, CatalogError};
