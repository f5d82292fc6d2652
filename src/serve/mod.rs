//! The interfaces of the process to its surroundings: health, metrics, logs, traces, signals.
//!
//! | file | what it has |
//! |---|---|
//! | [`signals`] | the request to shut down, by SIGTERM or SIGINT |
//! | [`telemetry`] | log lines and traces |
//! | [`metrics`] | the metrics of `/metrics` |
//! | [`health`] | the server of `/healthz`, `/readyz` and `/metrics` |

pub mod health;
pub mod metrics;
pub mod signals;
pub mod telemetry;
