//! The command line.

use std::{net::SocketAddr, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand};
use cortecs_resources::key::ObjectKey;
use cortecs_rules::account::allowed_hosts::AllowedHosts;
use reqwest::Url;

use crate::{
    catalog_objects::intervals::Intervals,
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
    /// Run the operator in the cluster that the kubeconfig or the pod's service account names.
    Run(RunArgs),
    /// Make the stops that are overdue because no operator makes them, report, and end. Starts nothing.
    Reap(ReapArgs),
    /// Print the custom resource definitions as YAML.
    Crds(CrdsArgs),
    /// Request a URL until it answers 200; `helm test` uses this to check that the operator is ready.
    Check(CheckArgs),
}

/// The flags of `run` as given. [`RunArgs::validate`] makes them a configuration.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub common: CommonArgs,

    /// The address that serves /healthz, /readyz and /metrics.
    #[arg(
        long,
        env = "CORTECS_OPERATOR_LISTEN",
        value_name = "ADDRESS",
        default_value = "0.0.0.0:8080"
    )]
    pub listen: SocketAddr,

    /// How many resources each controller reconciles at once (1 to 256); resources that wait for the Cortecs API do not count.
    #[arg(long, env = "CORTECS_OPERATOR_CONCURRENCY", value_name = "NUMBER", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,

    /// Show the API's models and hardware types as cluster-scoped objects. Needs a default account and a ClusterRole. Default: true if all namespaces are watched.
    #[arg(long, env = "CORTECS_OPERATOR_CATALOG_OBJECTS", value_name = "BOOLEAN", action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub catalog_objects: Option<bool>,
}

/// The flags that `run` and `reap` have in common.
#[derive(Clone, Debug, Args)]
pub struct CommonArgs {
    /// The CortecsAccount of each CortecsInstance that names no account: NAMESPACE/NAME.
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

    /// Namespaces to watch, comma-separated; all of them when empty.
    #[arg(
        long,
        env = "CORTECS_OPERATOR_WATCH_NAMESPACES",
        value_name = "NAMESPACES",
        default_value_t
    )]
    pub watch_namespaces: WatchedNamespaces,

    /// Elect a leader by a Lease. `false` is only for a single process without replicas; `reap` then refuses.
    #[arg(long, env = "CORTECS_OPERATOR_LEADER_ELECT", value_name = "BOOLEAN", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub leader_elect: bool,

    /// How long the instance of a start with unknown outcome may take to appear in the API's list before the start counts as failed; at least 4 request timeouts.
    #[arg(long, env = "CORTECS_OPERATOR_SETTLE_SECONDS", value_name = "SECONDS", default_value_t = 180, value_parser = clap::value_parser!(u32).range(4..=86_400))]
    pub settle_seconds: u32,

    /// How long a request to the Cortecs API may take (1 to 600).
    #[arg(long, env = "CORTECS_OPERATOR_REQUEST_TIMEOUT_SECONDS", value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub request_timeout_seconds: u32,

    /// The format of log lines.
    #[arg(
        long,
        env = "CORTECS_OPERATOR_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub log_format: LogFormat,

    /// The lowest level that is logged.
    #[arg(
        long,
        env = "CORTECS_OPERATOR_LOG_LEVEL",
        value_name = "LEVEL",
        value_enum,
        default_value_t
    )]
    pub log_level: LogLevel,
}

/// The flags of `reap` as given. [`ReapArgs::validate`] makes them a configuration.
#[derive(Clone, Debug, Args)]
pub struct ReapArgs {
    #[command(flatten)]
    pub common: CommonArgs,

    /// How long a stop must be overdue (60 or more).
    #[arg(long, env = "CORTECS_OPERATOR_OVERDUE_SECONDS", value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(60..=604_800))]
    pub overdue_seconds: u32,

    /// How long all of it may take, the wait for the Lease included (30 to 3600).
    #[arg(long, env = "CORTECS_OPERATOR_DEADLINE_SECONDS", value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(30..=3600))]
    pub deadline_seconds: u32,
}

/// The flags of `crds`: none.
#[derive(Clone, Debug, Args)]
pub struct CrdsArgs {}

/// The flags of `check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The URL to request, such as the operator's `http://SERVICE:8080/readyz`.
    #[arg(long, value_name = "URL")]
    pub url: Url,

    /// How long to repeat the request (1 to 3600).
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub timeout_seconds: u32,
}

/// The validated configuration of `run`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunConfig {
    pub default_account: Option<ObjectKey>,
    pub allowed_hosts: AllowedHosts,
    pub watch_namespaces: WatchedNamespaces,
    pub listen: SocketAddr,
    /// Resources that each controller reconciles at once: 1–256.
    pub concurrency: u16,
    pub leader_elect: bool,
    /// How often the catalog is asked for; `None` if the operator writes no objects of the catalog.
    pub catalog_objects: Option<Intervals>,
    /// At least four times `request_timeout`.
    pub settle: Duration,
    pub request_timeout: Duration,
}

/// The validated configuration of `reap`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReapConfig {
    /// What it has in common with the operator.
    pub run: RunConfig,
    /// How long a stop must be overdue.
    pub overdue: Duration,
    /// How long all of it may take.
    pub deadline: Duration,
}

impl CommonArgs {
    /// Whether errors go to a log of JSON lines.
    pub fn logs_json(&self) -> bool {
        self.log_format == LogFormat::Json && self.log_level != LogLevel::Off
    }

    /// The configuration with these flags and the defaults of the others.
    fn validate(&self) -> Result<RunConfig, String> {
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
            listen: ([0, 0, 0, 0], 8080).into(),
            concurrency: 16,
            leader_elect: self.leader_elect,
            catalog_objects: None,
            settle: Duration::from_secs(self.settle_seconds.into()),
            request_timeout: Duration::from_secs(self.request_timeout_seconds.into()),
        })
    }
}

impl RunArgs {
    /// The configuration.
    ///
    /// # Errors
    /// If flags contradict each other: one sentence that names them.
    pub fn validate(&self) -> Result<RunConfig, String> {
        let all = self.common.watch_namespaces.is_all();
        let catalog_objects = self.catalog_objects.unwrap_or(all);
        Ok(RunConfig {
            listen: self.listen,
            concurrency: self.concurrency,
            catalog_objects: catalog_objects.then(Intervals::default),
            ..self.common.validate()?
        })
    }
}

impl ReapArgs {
    /// The configuration.
    ///
    /// # Errors
    /// If flags contradict each other: one sentence that names them.
    pub fn validate(&self) -> Result<ReapConfig, String> {
        Ok(ReapConfig {
            run: self.common.validate()?,
            overdue: Duration::from_secs(self.overdue_seconds.into()),
            deadline: Duration::from_secs(self.deadline_seconds.into()),
        })
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
