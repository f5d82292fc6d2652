//! Kubernetes operator for LLM instances rented through the Cortecs API.

pub mod account;
pub mod catalog;
pub mod check;
pub mod cli;
pub mod fleet;
pub mod instance;
pub mod kubernetes;
pub mod leadership;
pub mod operator;
pub mod serve;
