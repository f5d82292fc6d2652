//! Kubernetes operator for LLM instances rented through the Cortecs API. This crate calls Kubernetes and the Cortecs API and
//! reads the clocks. The crate `cortecs-rules` takes the decisions.
//!
//! Each folder imports only folders above it:
//!
//! | folder or file | what it has |
//! |---|---|
//! | [`mutex`] | the one way to lock a mutex |
//! | [`environment`] | the proxies that the environment names |
//! | [`serve`] | health, metrics, logs, traces, signals |
//! | [`kubernetes`] | the client, events, queues, and the loop that all controllers share |
//! | [`leadership`] | leader election |
//! | [`catalog`] | what the API says of models and of free hardware, remembered for a while |
//! | [`fleet`] | one poll loop for each client id at an API |
//! | [`account`] | the controller of accounts |
//! | [`catalog_objects`] | the controller of the catalog's objects |
//! | [`instance`] | the controller of instances |
//! | [`cli`] | the command line |
//! | [`controllers`] | the controllers put together |
//! | [`operator`] | the command `run`: start and end of all parts |
//! | [`reap`] | the command `reap`: overdue stops, and nothing else |
//! | [`check`] | the command `check` |

pub mod account;
pub mod catalog;
pub mod catalog_objects;
pub mod check;
pub mod cli;
pub mod controllers;
pub mod environment;
pub mod fleet;
pub mod instance;
pub mod kubernetes;
pub mod leadership;
pub mod mutex;
pub mod operator;
pub mod reap;
pub mod serve;
