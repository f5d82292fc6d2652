//! The API's catalog: `models` has what it says of models, remembered for a while.

mod models;

pub use models::{Catalog, CatalogError};
