//! Kubernetes operator for LLM instances rented through the Cortecs API.

pub mod account;
pub mod catalog;
pub mod cortecs;
pub mod instance;
pub mod operator;
pub mod resources;
pub mod runtime;
pub mod simulator;
