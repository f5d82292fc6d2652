//! The catalog of the API: `models` is a cache of its models.

mod models;

pub use models::{Catalog, CatalogError};
