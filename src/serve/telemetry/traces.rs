//! Traces: each reconcile and each of its calls, sent to an OpenTelemetry collector where the environment names one.
//!
//! Spans wait in a bounded queue for a thread of their own; where that cannot follow, they are dropped. Nobody waits for a collector.

use std::{env, time::Duration};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::{Layer, registry::LookupSpan};

/// What the collector calls this, unless `OTEL_SERVICE_NAME` says otherwise.
const SERVICE: &str = "cortecs-operator";
/// How long the last spans may take when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The way to a collector.
#[must_use = "the last spans are sent by `end`"]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// As `OTEL_EXPORTER_OTLP_ENDPOINT` and its kin say; `None` where they name no collector.
    ///
    /// # Errors
    /// One sentence: what is wrong with them.
    pub(super) fn from_environment() -> Result<Option<Self>, String> {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let named =
            is_set("OTEL_EXPORTER_OTLP_ENDPOINT") || is_set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let disabled = env::var("OTEL_SDK_DISABLED").is_ok_and(|value| value == "true");
        if !named || disabled {
            return Ok(None);
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .build()
            .map_err(|error| {
                format!("no traces can be sent, check OTEL_EXPORTER_OTLP_…: {error}")
            })?;
        let mut resource = Resource::builder();
        if !is_set("OTEL_SERVICE_NAME") {
            resource = resource.with_service_name(SERVICE);
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        Ok(Some(Self(provider)))
    }

    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer(SERVICE))
            .with_threads(false)
    }

    /// Sends what waits still, and ends.
    pub fn end(self) {
        // Whoever misses the last spans finds the collector's own trouble first.
        let _ = self.0.shutdown_with_timeout(FLUSH_TIMEOUT);
    }
}
