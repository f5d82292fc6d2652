//! A simulated Cortecs API for the demo and the tests: with state, over real HTTP, with faults on demand.
//!
//! ```text
//!  HTTP ─► shell ─► faults around ─► api ─► world (pure: time is passed in)
//!              └─► journal                     ▲
//!  Handle (in process) · /_control/ (HTTP) ────┘
//! ```
//! No task initialises workers: an instance's state is computed from the time since its start.
//!
//! | file | content |
//! |---|---|
//! | `endpoint` | the calls of the API |
//! | `account`, `access` | the accounts and their tokens |
//! | `catalog` | the models and hardware types |
//! | `start` | the arguments of a start: the check and the defaults |
//! | `held`, `progress` | one instance and its history; the progress of its workers |
//! | `world` | all instances, and the effects of the calls |
//! | `lag`, `omit`, `rewrite`, `cut` | the lag of lists; the fields that answers leave out, and those that they write otherwise; lists that lack a part |
//! | `api` | the calls: request, change of the world, answer |
//! | `success`, `fault`, `millis` | other successes; faults on demand, and their durations in JSON |
//! | `journal` | the records of requests |
//! | `shared` | the state that the shell and the handles share |
//! | `connection`, `shell` | the HTTP side |
//! | `handle`, [`control`] | the control of a simulator: within a process, over HTTP |
//! | `server` | the start and the stop of the simulator |
//!
//! The API is under `/api/v1`. `/_control/` offers the functions of a [`Handle`] over HTTP; see [`control`].

mod access;
mod account;
mod api;
mod catalog;
mod connection;
pub mod control;
mod cut;
mod endpoint;
mod fault;
mod handle;
mod held;
mod journal;
mod lag;
mod millis;
mod omit;
mod progress;
mod rewrite;
mod server;
mod shared;
mod shell;
mod start;
mod success;
mod world;

#[cfg(test)]
mod tests;

pub use account::SimulatedAccount;
pub use catalog::CatalogChange;
pub use endpoint::Endpoint;
pub use fault::{Effect, Fault, FaultId, Target, When};
pub use handle::{Handle, View, WaitTimeout};
pub use held::InstanceHistory;
pub use journal::RequestRecord;
pub use lag::ListLag;
pub use omit::Omitted;
pub use rewrite::{Notation, Rewrite};
pub use server::{ServeOptions, Simulator, SimulatorConfig, serve};
pub use success::{FaultBody, Success};
pub use world::Refusal;
