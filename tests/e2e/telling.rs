//! Events, log lines and traces.

use std::collections::BTreeMap;

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use k8s_openapi::api::events::v1::Event;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    eventually::eventually,
    harness::{Bed, CONTEXT, HangingProxy, Hangs, MODEL, Process, SOON, bound, running, stopped},
};

/// The Events about a resource, by reason.
async fn events(bed: &Bed, name: &str) -> BTreeMap<String, Vec<Event>> {
    let mut by_reason: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for event in bed.events().await {
        let about = event.regarding.as_ref().and_then(|r| r.name.as_deref());
        if about == Some(name) {
            let reason = event.reason.clone().unwrap_or_default();
            by_reason.entry(reason).or_default().push(event);
        }
    }
    by_reason
}

/// Waits until the Events are as they should be. The operator sends them after it has written the status.
async fn until(
    bed: &Bed,
    name: &str,
    what: &str,
    holds: impl Fn(&BTreeMap<String, Vec<Event>>) -> bool,
) -> BTreeMap<String, Vec<Event>> {
    eventually(what, SOON, async || {
        let events = events(bed, name).await;
        match holds(&events) {
            true => Ok(events),
            false => Err(format!("{events:#?}")),
        }
    })
    .await
}

fn times(events: &BTreeMap<String, Vec<Event>>, reason: &str) -> Vec<i32> {
    let events = events.get(reason).map(Vec::as_slice).unwrap_or_default();
    let count = |event: &Event| event.series.as_ref().map_or(1, |series| series.count);
    events.iter().map(count).collect()
}

#[tokio::test]
async fn equal_events_form_a_series_and_a_new_message_is_another_event() {
    let bed = Bed::new("events").await;
    let _operator = bed.operator();
    let first = bed.run("phi", json!({"modelId": MODEL})).await;
    for _ in 0..2 {
        bed.change("phi", json!({"state": "Stopped"})).await;
        bed.wait("phi", "stopped", stopped).await;
        bed.change("phi", json!({"state": "Running"})).await;
        bed.wait("phi", "running", running).await;
    }
    let told = until(&bed, "phi", "the last event", |events| {
        times(events, "Running") == [3]
    })
    .await;
    assert_eq!(times(&told, "Stopped"), [2], "{told:#?}");
    assert_eq!(times(&told, "Bound"), [1], "{told:#?}");

    // An event with the same reason and another message is another Event.
    bed.change("phi", json!({"contextLength": CONTEXT / 2}))
        .await;
    let replaced = bed
        .wait("phi", "replaced", |r| running(r) && bound(r) != first)
        .await;
    let second = bound(&replaced).to_owned();
    let told = until(&bed, "phi", "the second binding", |events| {
        times(events, "Bound").len() == 2
    })
    .await;
    let notes: Vec<&str> = told["Bound"]
        .iter()
        .filter_map(|e| e.note.as_deref())
        .collect();
    for id in [&first, &second] {
        let about = notes.iter().filter(|note| note.contains(id.as_str()));
        assert_eq!(about.count(), 1, "{notes:?}");
    }
    for event in told.values().flatten() {
        let reporter = event.reporting_controller.as_deref();
        assert_eq!(reporter, Some("cortecs.ai/cortecs-operator"));
        assert!(
            event.note.as_ref().is_some_and(|note| !note.is_empty()),
            "{event:?}"
        );
    }
    // Further lists cause no Event.
    bed.wait_lists(4).await;
    let count =
        |events: &BTreeMap<String, Vec<Event>>| events.values().map(Vec::len).sum::<usize>();
    let before = count(
        &until(&bed, "phi", "its end", |e| {
            times(e, "Running").iter().sum::<i32>() == 4
        })
        .await,
    );
    bed.wait_lists(4).await;
    assert_eq!(count(&events(&bed, "phi").await), before);
}

#[tokio::test]
async fn an_event_whose_request_hangs_delays_nothing() {
    let bed = Bed::new("stuck-event").await;
    let proxy = HangingProxy::new(&bed.kubeconfig).await;
    proxy.hang_next(Hangs::Request, |asked| {
        asked.method == "POST" && asked.path.contains("/events.k8s.io/")
    });
    let _operator = bed.operator_through(&proxy);
    bed.create("phi", json!({"modelId": MODEL})).await;
    proxy.wait_hanging(1).await;
    bed.runs("phi").await;
    assert_eq!(bed.starts(), 1);
    proxy.end_hanging();
}

#[tokio::test]
async fn each_line_of_a_reconcile_can_be_found_by_its_resource() {
    let bed = Bed::builder("json").elected().build().await;
    let mut operator = Process::start_with(&bed, &["--log-format", "json"], "the operator");
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.change("phi", json!({"state": "Stopped"})).await;
    let resource = bed.wait("phi", "stopped", stopped).await;
    operator.signal("TERM");
    assert_eq!(operator.ended().await.code(), Some(0));

    let log = operator.log();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let flat = |value: &Value| !value.is_object() && !value.is_array();
    for line in &lines {
        let fields = line.as_object().expect("an object");
        assert!(fields.values().all(flat), "{line}");
        for key in ["timestamp", "level", "message", "target"] {
            assert!(fields.get(key).is_some_and(Value::is_string), "{line}");
        }
    }
    let uid = resource.metadata.uid.clone().expect("a uid");
    let of = |controller: &str| -> Vec<&Value> {
        let lines = lines.iter();
        lines
            .filter(|line| line["controller"] == controller)
            .collect()
    };
    let about = of("cortecsinstance");
    for line in &about {
        assert_eq!(line["namespace"], bed.namespace.as_str(), "{line}");
        assert_eq!(line["name"], "phi", "{line}");
        assert_eq!(line["uid"], uid.as_str(), "{line}");
        assert_eq!(
            line["reconcileId"].as_str().map(str::len),
            Some(36),
            "{line}"
        );
    }
    // There is a line for each call, within a reconcile. After the instance is known, each line names it.
    for call in ["start", "stop"] {
        let told = about.iter().filter(|line| line["call"] == call).count();
        assert_eq!(told, 1, "{call} in {log}");
    }
    let known = about
        .iter()
        .position(|line| line.get("instanceId").is_some());
    let known = known.expect("a line with the instance");
    assert!(known > 0, "it has no instance at first");
    for line in &about[known + 1..] {
        assert_eq!(line["instanceId"], id.as_str(), "{line}");
    }
    for line in &lines {
        let reconciles = line.get("reconcileId").is_some();
        assert_eq!(reconciles, line.get("controller").is_some(), "{line}");
    }
}

/// The content type and the body that a collector received, in OTLP's binary form.
type Received = (String, Vec<u8>);

/// A collector of traces.
async fn collector() -> (String, mpsc::UnboundedReceiver<Received>) {
    async fn take(
        State(sender): State<mpsc::UnboundedSender<Received>>,
        headers: HeaderMap,
        body: Bytes,
    ) {
        let kind = headers
            .get("content-type")
            .and_then(|kind| kind.to_str().ok());
        let _ = sender.send((kind.unwrap_or_default().to_owned(), body.to_vec()));
    }
    let (sender, receiver) = mpsc::unbounded_channel();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new()
        .route("/v1/traces", post(take))
        .with_state(sender);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}"), receiver)
}

#[tokio::test]
async fn a_collector_gets_the_traces_of_reconciles_and_their_calls() {
    let bed = Bed::builder("traces").elected().build().await;
    let (endpoint, mut received) = collector().await;
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let mut operator = Process::start_where(&bed, &environment, "the operator");
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    // The operator sends the last spans when it ends, at the latest.
    operator.signal("TERM");
    assert_eq!(operator.ended().await.code(), Some(0));
    let mut sent = Vec::new();
    while let Ok((kind, body)) = received.try_recv() {
        assert_eq!(kind, "application/x-protobuf");
        sent.extend(body);
    }
    let sent = String::from_utf8_lossy(&sent);
    for part in [
        "cortecs-operator",
        "reconcile",
        "reconcileId",
        "cortecsinstance",
        "cortecsaccount",
        bed.namespace.as_str(),
        "phi",
        id.as_str(),
        "start",
    ] {
        assert!(sent.contains(part), "no {part} in the traces");
    }
    assert!(!sent.contains(&bed.client_secret));
}

#[tokio::test]
async fn a_collector_that_does_not_answer_delays_nothing() {
    let bed = Bed::builder("no-collector").elected().build().await;
    // The collector accepts connections and never answers.
    let deaf = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let endpoint = format!("http://{}", deaf.local_addr().expect("an address"));
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let mut operator = Process::start_where(&bed, &environment, "the operator");
    bed.run("phi", json!({"modelId": MODEL})).await;
    operator.signal("TERM");
    assert_eq!(operator.ended().await.code(), Some(0));
    assert_eq!(bed.starts(), 1);
}
