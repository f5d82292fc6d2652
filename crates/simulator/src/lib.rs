//! A simulated Cortecs API for the demo and the tests: with state, over real HTTP, with faults on demand.
//!
//! ```text
//!  HTTP ─► shell ─► faults around ─► api ─► world (pure: time is passed in)
//!              └─► journal                     ▲
//!  Handle (in process) · /_control/ (HTTP) ────┘
//! ```
//! No task initialises workers: an instance's state is computed from the time since its start.
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
