//! Log lines and traces: `json` formats JSON lines, `traces` sends spans to a collector.

mod json;
#[cfg(feature = "otlp")]
mod traces;

use std::io;

use kube::ResourceExt;
use tracing::{Span, Subscriber, field, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::Targets,
    fmt::{
        self, Layer, MakeWriter,
        format::{DefaultFields, Format, JsonFields},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};
use uuid::Uuid;

#[cfg(feature = "otlp")]
pub use traces::Traces;

/// The build without the feature `otlp` has no traces.
#[cfg(not(feature = "otlp"))]
pub enum Traces {}

#[cfg(not(feature = "otlp"))]
impl Traces {
    #[allow(
        clippy::unnecessary_wraps,
        reason = "the same signature as with the feature"
    )]
    fn from_environment() -> Result<Option<Self>, String> {
        Ok(None)
    }

    fn layer(&self) -> tracing_subscriber::layer::Identity {
        match *self {}
    }

    pub fn end(self) {
        match self {}
    }
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The lowest level that is logged.
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

/// Sends log lines to standard error from now on. Further calls have no effect.
pub fn init(format: LogFormat, level: LogLevel) {
    init_with(None, format, level);
}

/// As [`init`], and sends traces to the collector that the environment names, if any. Call this outside of the runtime.
///
/// # Errors
/// One sentence: the variables of the collector are wrong.
pub fn init_with_traces(format: LogFormat, level: LogLevel) -> Result<Option<Traces>, String> {
    let traces = Traces::from_environment()?;
    init_with(traces.as_ref(), format, level);
    Ok(traces)
}

fn init_with(traces: Option<&Traces>, format: LogFormat, level: LogLevel) {
    let registry = tracing_subscriber::registry()
        .with(filter(level.into()))
        .with(traces.map(Traces::layer));
    let lines = fmt::layer().with_writer(io::stderr);
    // An error means that a subscriber is already set.
    let _ = match format {
        LogFormat::Text => registry
            .with(lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())))
            .try_init(),
        LogFormat::Json => registry.with(as_json(lines)).try_init(),
    };
}

fn as_json<S, W>(lines: Layer<S, DefaultFields, Format, W>) -> Layer<S, JsonFields, json::Flat, W>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    lines.fmt_fields(JsonFields::new()).event_format(json::Flat)
}

/// The span of one reconcile. Its fields are in each log line of the reconcile, at any level. Record `instanceId` when it is known.
pub fn reconcile_span(controller: &'static str, resource: &impl ResourceExt) -> Span {
    tracing::error_span!(
        "reconcile",
        controller,
        namespace = resource.namespace().unwrap_or_default(),
        name = resource.name_any(),
        uid = resource.uid().unwrap_or_default(),
        instanceId = field::Empty,
        reconcileId = %Uuid::new_v4(),
    )
}

/// The filter with `level` for the operator's own crates. Libraries log at most `info`: HTTP libraries may trace headers, which
/// carry tokens.
fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::INFO))
        // The span of kube around each reconcile repeats this span.
        .with_target("kube_runtime::controller", level.min(LevelFilter::WARN))
        .with_target("cortecs_api", level)
        .with_target("cortecs_operator", level)
}

#[cfg(test)]
#[path = "telemetry_tests.rs"]
mod tests;
