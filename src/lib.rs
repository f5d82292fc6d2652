//! Kubernetes operator for LLM instances rented through the Cortecs API: all that touches Kubernetes, the network or time. What
//! is decided is decided in `cortecs-rules`.
//!
//! Each folder imports only folders above it:
//!
//! | folder or file | what it has |
//! |---|---|
//! | [`mutex`] | the one way to lock a mutex |
//! | [`serve`] | health, metrics, logs, traces, signals |
//! | [`kubernetes`] | the client, events, and the one shell of all controllers |
//! | [`leadership`] | which process acts |
//! | [`catalog`] | what the API says of models |
//! | [`fleet`] | one poll loop for each owner at the API |
//! | [`account`] | the controller of accounts |
//! | [`instance`] | the controller of instances |
//! | [`cli`] | the command line |
//! | [`operator`] | what `run` starts, in which order, and how it ends |
//! | [`check`] | the command `check` |

pub mod account;
pub mod catalog;
pub mod check;
pub mod cli;
pub mod fleet;
pub mod instance;
pub mod kubernetes;
pub mod leadership;
pub mod mutex;
pub mod operator;
pub mod serve;
