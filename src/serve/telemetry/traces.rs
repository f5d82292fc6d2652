//! Traces of reconciles and their calls, sent to an OpenTelemetry collector if the environment names one.
//!
//! A thread sends the spans from a bounded queue. Spans that do not fit into the queue are dropped, so that no reconcile waits for
//! the collector.

use std::{env, time::Duration};

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::{Layer, registry::LookupSpan};

/// The service name, unless `OTEL_SERVICE_NAME` is set.
const SERVICE: &str = "cortecs-operator";
/// How long the last spans may take to send when the process ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Sends spans to a collector.
#[must_use = "the last spans are sent by `end`"]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// The traces that the variables `OTEL_EXPORTER_OTLP_…` configure; `None` if they name no collector.
    ///
    /// # Errors
    /// One sentence: the variables are wrong.
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

    /// Sends the spans in the queue, and stops.
    pub fn end(self) {
        // Without the collector the last spans are lost, and the process still ends.
        let _ = self.0.shutdown_with_timeout(FLUSH_TIMEOUT);
    }
}
