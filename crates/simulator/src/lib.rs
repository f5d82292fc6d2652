//! A simulated Cortecs API for the demo and the tests: with state, over real HTTP, with faults on demand.
//!
//! ```text
//!  HTTP ─► shell ─► faults around ─► api ─► world (pure: time is passed in)
//!              └─► journal                     ▲
//!  Handle (in process) · /_control/ (HTTP) ────┘
//! ```
//! No task initialises workers: an instance's state is computed from the time since its start.
//!
//! | file | what it has |
//! |---|---|
//! | `endpoint` | which call of the API a request is |
//! | `account`, `access` | accounts, and the tokens they were given |
//! | `catalog` | the models and hardware types on offer |
//! | `start` | the arguments of a start, checked and completed |
//! | `held`, `progress` | one instance and its past; how far its workers have come |
//! | `world` | all instances, and what the calls do to them |
//! | `lag` | how far lists are behind |
//! | `api` | a request in, the world changed, an answer out |
//! | `fault`, `millis` | faults on demand, and their durations in JSON |
//! | `journal` | what was asked and answered |
//! | `shared` | the state that the shell and the handles share |
//! | `connection`, `shell` | the HTTP side |
//! | `handle`, [`control`] | the simulator in the hands of a test: in process, over HTTP |
//! | `server` | starting and stopping it |
//!
//! The API is under `/api/v1`. `/_control/` offers the functions of a [`Handle`] over HTTP; see [`control`].

mod access;
mod account;
mod api;
mod catalog;
mod connection;
pub mod control;
mod endpoint;
mod fault;
mod handle;
mod held;
mod journal;
mod lag;
mod millis;
mod progress;
mod server;
mod shared;
mod shell;
mod start;
mod world;

#[cfg(test)]
mod tests;

pub use account::SimulatedAccount;
pub use endpoint::Endpoint;
pub use fault::{Effect, Fault, FaultBody, FaultId, Target, When};
pub use handle::{Handle, View, WaitTimeout};
pub use held::InstanceHistory;
pub use journal::RequestRecord;
pub use lag::ListLag;
pub use server::{ServeOptions, Simulator, SimulatorConfig, serve};
pub use world::Refusal;
