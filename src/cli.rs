//! The command line.

use std::{net::SocketAddr, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand};
use cortecs_resources::key::ObjectKey;
use cortecs_rules::account::allowed_hosts::AllowedHosts;
use reqwest::Url;

use crate::{
    kubernetes::scope::WatchedNamespaces,
    serve::telemetry::{LogFormat, LogLevel},
};

/// Kubernetes operator for LLM instances rented through the Cortecs API.
#[derive(Debug, Parser)]
#[command(name = "cortecs-operator", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator against a cluster, found as kubectl finds it.
    Run(RunArgs),
    /// Print the custom resource definitions as YAML.
    Crds(CrdsArgs),
    /// Ask a URL until it answers 200: `helm test` asks a running operator so whether it is ready.
    Check(CheckArgs),
}

/// The flags of `run` as given. [`RunArgs::validate`] makes the configuration of them.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The CortecsAccount of instances that name none: NAMESPACE/NAME.
    #[arg(
        long,
        env = "CORTECS_OPERATOR_DEFAULT_ACCOUNT",
        value_name = "NAMESPACE/NAME"
    )]
    pub default_account: Option<ObjectKey>,

    /// Hosts that accounts may name in their apiUrl, comma-separated: `host`, `host:port`, or `http://host[:port]` for plain http.
    #[arg(
        long,
        env = "CORTECS_OPERATOR_ALLOWED_API_HOSTS",
        value_name = "HOSTS",
        default_value_t
    )]
    pub allowed_api_hosts: AllowedHosts,

    /// Namespaces to look after, comma-separated; all of them when empty.
    #[arg(
        long,
        env = "CORTECS_OPERATOR_WATCH_NAMESPACES",
        value_name = "NAMESPACES",
        default_value_t
    )]
    pub watch_namespaces: WatchedNamespaces,

    /// Where /healthz, /readyz and /metrics are served.
    #[arg(
        long,
        env = "CORTECS_OPERATOR_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    pub listen: SocketAddr,

    /// How many resources are worked on at once, per controller (1 to 256); those that wait for the API do not count.
    #[arg(long, env = "CORTECS_OPERATOR_CONCURRENCY", value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,

    /// Take a Lease before acting. `false` is for one process that nobody else runs beside.
    #[arg(long, env = "CORTECS_OPERATOR_LEADER_ELECT", value_name = "BOOLEAN", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub leader_elect: bool,

    /// How long a start with unknown outcome may take to show up at the API before it counts as failed; at least 4 request timeouts.
    #[arg(long, env = "CORTECS_OPERATOR_SETTLE_SECONDS", value_name = "SECONDS", default_value_t = 180, value_parser = clap::value_parser!(u32).range(4..=86_400))]
    pub settle_seconds: u32,

    /// How long a request to the Cortecs API may take (1 to 600).
    #[arg(long, env = "CORTECS_OPERATOR_REQUEST_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub request_timeout_seconds: u32,

    /// How log lines look.
    #[arg(
        long,
        env = "CORTECS_OPERATOR_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub log_format: LogFormat,

    /// How much is logged.
    #[arg(
        long,
        env = "CORTECS_OPERATOR_LOG_LEVEL",
        value_name = "LEVEL",
        value_enum,
        default_value_t
    )]
    pub log_level: LogLevel,
}

/// The flags of `crds`: none.
#[derive(Clone, Debug, Args)]
pub struct CrdsArgs {}

/// The flags of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// What to ask, such as the operator's `http://SERVICE:8080/readyz`.
    #[arg(long, value_name = "URL")]
    pub url: Url,

    /// How long to go on asking (1 to 3600).
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub timeout_seconds: u32,
}

/// What `run` runs with, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunConfig {
    pub default_account: Option<ObjectKey>,
    pub allowed_hosts: AllowedHosts,
    pub watch_namespaces: WatchedNamespaces,
    pub listen: SocketAddr,
    /// Resources worked on at once, per controller: 1–256.
    pub concurrency: u16,
    pub leader_elect: bool,
    /// At least four times `request_timeout`.
    pub settle: Duration,
    pub request_timeout: Duration,
}

impl RunArgs {
    /// Whether errors go to the log, and the log is for programs.
    pub fn logs_json(&self) -> bool {
        self.log_format == LogFormat::Json && self.log_level != LogLevel::Off
    }

    /// The configuration.
    ///
    /// # Errors
    /// Where flags contradict each other: one sentence that names them.
    pub fn validate(&self) -> Result<RunConfig, String> {
        let least = self.request_timeout_seconds.saturating_mul(4);
        if self.settle_seconds < least {
            return Err(format!(
                "--settle-seconds is {} but must be at least {least}, four times --request-timeout-seconds ({}): raise the one or lower the other",
                self.settle_seconds, self.request_timeout_seconds
            ));
        }
        Ok(RunConfig {
            default_account: self.default_account.clone(),
            allowed_hosts: self.allowed_api_hosts.clone(),
            watch_namespaces: self.watch_namespaces.clone(),
            listen: self.listen,
            concurrency: self.concurrency,
            leader_elect: self.leader_elect,
            settle: Duration::from_secs(self.settle_seconds.into()),
            request_timeout: Duration::from_secs(self.request_timeout_seconds.into()),
        })
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
