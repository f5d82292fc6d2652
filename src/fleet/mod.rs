//! Fleets: one owner at one API each, with one poll loop, however many accounts and resources use it.

pub mod admission;
pub mod allowed_namespaces;
pub mod api_calls;
pub mod directory;
mod holds;
pub mod hooks;
mod membership;
pub mod poll;
pub mod relay;
pub mod summarize;
pub mod turns;
