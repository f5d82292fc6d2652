//! Logging.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

/// Sends log lines to standard error from here on. Calling it again changes nothing.
pub fn init(format: LogFormat, level: LogLevel) {
    let registry = tracing_subscriber::registry().with(filter(level.into()));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    // An error means that somebody else subscribed first.
    let _ = match format {
        LogFormat::Text => registry
            .with(lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())))
            .try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
}

/// The level for this crate; libraries say no more than `info`, whatever is asked for, since HTTP libraries may trace
/// headers, and headers carry tokens.
fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::INFO))
        .with_target("cortecs_operator", level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn libraries_stay_quiet_at_debug_and_trace() {
        for level in [LevelFilter::DEBUG, LevelFilter::TRACE] {
            let filter = filter(level);
            assert!(filter.would_enable("cortecs_operator::runtime", &Level::DEBUG));
            assert!(filter.would_enable("kube_client::client", &Level::INFO));
            assert!(!filter.would_enable("hyper::proto::h1", &Level::DEBUG));
            assert!(!filter.would_enable("reqwest::connect", &Level::TRACE));
        }
    }

    #[test]
    fn lower_levels_hold_for_libraries_too() {
        let filter = filter(LevelFilter::ERROR);
        assert!(filter.would_enable("hyper", &Level::ERROR));
        assert!(!filter.would_enable("hyper", &Level::INFO));
        assert!(!filter.would_enable("cortecs_operator", &Level::WARN));
    }
}
