//! Log lines as JSON objects without depth, so that a pipeline can filter by any field. The formatter of tracing-subscriber nests
//! what a span says below `span` and `spans`, and json-subscriber writes the span's own name over a field called `name`.

use std::fmt;

use cortecs_clock as clock;
use serde::ser::{SerializeMap, Serializer as _};
use serde_json::{Map, Value};
use tracing::{Event, Subscriber};
use tracing_serde::fields::AsMap;
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormattedFields,
        format::{JsonFields, Writer},
    },
    registry::LookupSpan,
};

/// One object per line. Where several say the same field, the line's own facts come first, then the innermost span, those around
/// it, and the event last: what a span says of all its lines holds for each of them.
pub(super) struct Flat;

impl<S> FormatEvent<S, JsonFields> for Flat
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = match serde_json::to_value(event.field_map()) {
            Ok(Value::Object(fields)) => fields,
            _ => return Err(fmt::Error),
        };
        let metadata = event.metadata();
        let mut line = Line::default();
        line.add("timestamp", clock::wall().to_string().into());
        line.add("level", metadata.level().as_str().into());
        line.add("message", said.remove("message").unwrap_or_default());
        line.add("target", metadata.target().into());
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let fields = fields.filter(|fields| !fields.is_empty());
            if let Some(Ok(fields)) = fields.map(|fields| serde_json::from_str(fields)) {
                line.add_all(fields);
            }
        }
        line.add_all(said);
        writeln!(writer, "{}", line.text().map_err(|_| fmt::Error)?)
    }
}

/// The fields of a line in their order, each once.
#[derive(Default)]
struct Line(Vec<(String, Value)>);

impl Line {
    fn add(&mut self, key: &str, value: Value) {
        if !self.0.iter().any(|(known, _)| known == key) {
            self.0.push((key.to_owned(), value));
        }
    }

    fn add_all(&mut self, fields: Map<String, Value>) {
        for (key, value) in fields {
            self.add(&key, value);
        }
    }

    fn text(&self) -> Result<String, serde_json::Error> {
        let mut text = Vec::new();
        let mut serializer = serde_json::Serializer::new(&mut text);
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
