//! The controller of the catalog: it keeps the cluster-scoped objects `CortecsModel` and `CortecsHardwareType` as the API's catalog says.
//!
//! | file | what it has |
//! |---|---|
//! | [`intervals`] | how often the API is asked |
//! | `watch` | the watch of one kind |
//! | [`controller`] | the parts of the controller, and its start |
//! | `known` | what the API answered |
//! | `sync` | the loop: ask what is due, then write what is missing |
//! | `write` | the writes |

pub mod controller;
pub mod intervals;
mod known;
mod sync;
mod watch;
mod write;
