//! Log lines as flat JSON objects, so that a log pipeline can filter by any field. The formatter of tracing-subscriber nests the
//! fields of spans below `span` and `spans`; json-subscriber overwrites a field `name` with the name of the span.

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

/// One object per line. Of several fields with the same name, the first one wins in this order: the metadata of the line, the
/// spans from the innermost to the outermost, the event.
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
        let mut event_fields = match serde_json::to_value(event.field_map()) {
            Ok(Value::Object(fields)) => fields,
            _ => return Err(fmt::Error),
        };
        let metadata = event.metadata();
        let mut line = Line::default();
        line.add("timestamp", clock::wall().to_string().into());
        line.add("level", metadata.level().as_str().into());
        line.add(
            "message",
            event_fields.remove("message").unwrap_or_default(),
        );
        line.add("target", metadata.target().into());
        for span in context.event_scope().into_iter().flatten() {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let fields = fields.filter(|fields| !fields.is_empty());
            if let Some(Ok(fields)) = fields.map(|fields| serde_json::from_str(fields)) {
                line.add_all(fields);
            }
        }
        line.add_all(event_fields);
        writeln!(writer, "{}", line.text().map_err(|_| fmt::Error)?)
    }
}

/// The fields of a line in order, without duplicates.
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
