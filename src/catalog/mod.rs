//! The catalog of the API, remembered for a while.
//!
//! | file | what it has |
//! |---|---|
//! | `models` | a cache of the models |
//! | `capacity` | a cache of the hardware that is available |

mod capacity;
mod models;

pub use capacity::FreeHardware;
pub use models::{Catalog, CatalogError};
