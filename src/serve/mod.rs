//! What the process shows and hears: health, metrics, logs, traces, signals.
//!
//! | file | what it has |
//! |---|---|
//! | [`signals`] | from SIGTERM and SIGINT to a token that everyone can wait for |
//! | [`telemetry`] | log lines and traces |
//! | [`metrics`] | what `/metrics` shows |
//! | [`health`] | the server of `/healthz`, `/readyz` and `/metrics` |

pub mod health;
pub mod metrics;
pub mod signals;
pub mod telemetry;
