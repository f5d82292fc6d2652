use std::sync::{Arc, Mutex};

use cortecs_resources::CortecsInstance;
use serde_json::Value;
use tracing::Level;

use super::*;

#[test]
fn libraries_stay_quiet_at_debug_and_trace() {
    for level in [LevelFilter::DEBUG, LevelFilter::TRACE] {
        let filter = filter(level);
        assert!(filter.would_enable("cortecs_operator::serve", &Level::DEBUG));
        assert!(filter.would_enable("cortecs_api::token", &Level::DEBUG));
        assert!(filter.would_enable("kube_client::client", &Level::INFO));
        assert!(!filter.would_enable("kube_runtime::controller", &Level::INFO));
        assert!(!filter.would_enable("hyper::proto::h1", &Level::DEBUG));
        assert!(!filter.would_enable("reqwest::connect", &Level::TRACE));
    }
}

#[test]
fn lower_levels_hold_for_libraries_too() {
    let filter = filter(LevelFilter::ERROR);
    assert!(filter.would_enable("hyper", &Level::ERROR));
    assert!(!filter.would_enable("hyper", &Level::INFO));
    assert!(!filter.would_enable("kube_runtime::controller", &Level::WARN));
    assert!(!filter.would_enable("cortecs_operator", &Level::WARN));
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn subscriber(&self, level: LevelFilter) -> impl Subscriber + use<> {
        let lines = self.clone();
        let lines = tracing_subscriber::fmt::layer().with_writer(move || lines.clone());
        tracing_subscriber::registry()
            .with(filter(level))
            .with(as_json(lines))
    }

    fn read(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().unwrap()
    }
}

/// The log lines that `log` writes.
fn logged(level: LevelFilter, log: impl FnOnce()) -> Vec<Value> {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.subscriber(level), log);
    lines.read()
}

fn resource() -> CortecsInstance {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": {"namespace": "team-a", "name": "phi", "uid": "u-1"},
        "spec": {"modelId": "org--model"},
    }))
    .unwrap()
}

#[test]
fn each_line_of_a_reconcile_names_it_at_the_top_whatever_the_level() {
    for level in [LevelFilter::TRACE, LevelFilter::WARN, LevelFilter::ERROR] {
        let lines = logged(level, || {
            reconcile_span("cortecsinstance", &resource()).in_scope(|| {
                tracing::error!(code = 7, "bad");
                Span::current().record("instanceId", "i-1");
                tracing::error_span!("inner", step = "get").in_scope(|| tracing::error!("worse"));
            });
        });
        let shown = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        for line in &lines {
            assert_eq!(shown(line, "namespace"), "team-a", "{line}");
            assert_eq!(shown(line, "name"), "phi", "{line}");
            assert_eq!(shown(line, "uid"), "u-1", "{line}");
            assert_eq!(shown(line, "controller"), "cortecsinstance", "{line}");
            assert_eq!(shown(line, "level"), "ERROR", "{line}");
            assert!(line["timestamp"].as_str().is_some_and(|t| t.ends_with('Z')));
            assert!(line.get("span").is_none() && line.get("spans").is_none());
        }
        let [first, second] = &lines[..] else {
            panic!("{lines:?}")
        };
        assert_eq!(shown(first, "message"), "bad");
        assert_eq!(first["code"], 7);
        assert_eq!(first.get("instanceId"), None, "not known yet");
        assert_eq!(shown(second, "message"), "worse");
        assert_eq!(shown(second, "instanceId"), "i-1");
        assert_eq!(shown(second, "step"), "get");
        assert_eq!(first["reconcileId"], second["reconcileId"]);
        assert_eq!(shown(first, "reconcileId").len(), 36);
    }
}

#[test]
fn no_field_is_duplicated_and_no_event_hides_its_resource() {
    let lines = Lines::default();
    tracing::subscriber::with_default(lines.subscriber(LevelFilter::INFO), || {
        reconcile_span("cortecsinstance", &resource())
            .in_scope(|| tracing::info!(name = "other", timestamp = 1, level = 2, "said\nso"));
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for key in ["name", "timestamp", "level"] {
        assert_eq!(text.matches(&format!("\"{key}\":")).count(), 1, "{text}");
    }
    assert_eq!(text.lines().count(), 1, "{text}");
    let [line] = &lines.read()[..] else {
        panic!("{text}")
    };
    assert_eq!(line["name"], "phi");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["message"], "said\nso");
}

#[test]
fn a_line_outside_of_a_reconcile_is_flat_too() {
    let lines = logged(
        LevelFilter::INFO,
        || tracing::info!(address = %"a:1", "serving"),
    );
    assert_eq!(lines[0]["message"], "serving");
    assert_eq!(lines[0]["address"], "a:1");
    assert_eq!(lines[0]["target"], module_path!());
}
