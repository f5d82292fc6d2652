use std::{sync::Arc, time::Duration};

use cortecs_clock::Moment;
use serde_json::{Value, json};

use super::*;
use crate::facts::{bound::Bound, known::digest, memory::Named, stored::stored};

const API: &str = "https://api.example/v1";

fn now() -> Timestamp {
    "2026-01-03T00:00:00Z".parse().unwrap()
}

fn home() -> Value {
    json!({ "namespace": "ns", "name": "main", "apiUrl": API, "clientId": "client" })
}

fn voided(id: u128, at: &str, known: &[&str]) -> Value {
    json!({
        "id": uuid::Uuid::from_u128(id), "requestedAt": at, "voidedAt": at, "args": { "modelId": "org--name", "numWorkers": 1 },
        "account": home(), "knownInstances": digests(id, known),
    })
}

fn digests(id: u128, known: &[&str]) -> Vec<String> {
    let id = uuid::Uuid::from_u128(id);
    known.iter().map(|known| digest(id, known)).collect()
}

fn resource(name: &str, status: Value) -> Value {
    json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": { "namespace": "ns", "name": name, "uid": name, "resourceVersion": "5" },
        "spec": { "modelId": "org/name" },
        "status": stored(status),
    })
}

fn found(resources: &[Value], client_id: &str) -> Vec<(String, String)> {
    found_in(&Book::of(resources), client_id)
}

fn found_in(book: &Book, client_id: &str) -> Vec<(String, String)> {
    let instance = |id: &str, model: &str, workers: u32| {
        let instance = json!({
            "instance_id": id, "instance_args": { "model_id": model, "num_workers": workers },
            "instance_status": { "status": "running" },
        });
        (
            id.to_owned(),
            Arc::new(serde_json::from_value(instance).unwrap()),
        )
    };
    let list = Snapshot {
        sequence: 1,
        requested_at: Moment::from_boot(Duration::from_secs(1)),
        received_at: Moment::from_boot(Duration::from_secs(1)),
        instances: [
            instance("i-late", "org--name", 1),
            instance("i-known", "org--name", 1),
            instance("i-large", "org--name", 2),
            instance("i-other", "org--other", 1),
        ]
        .into_iter()
        .collect(),
    };
    let late = late(book, &FleetKey::new(API, client_id), &list, now());
    late.into_iter().map(|(id, key)| (id, key.name)).collect()
}

fn one(id: &str, name: &str) -> Vec<(String, String)> {
    vec![(id.to_owned(), name.to_owned())]
}

#[test]
fn an_equal_instance_that_was_not_there_is_probably_the_starts() {
    let gave_up = resource(
        "a",
        json!({ "voidedStarts": [voided(1, "2026-01-02T12:00:00Z", &["i-known"])] }),
    );
    assert_eq!(
        found(std::slice::from_ref(&gave_up), "client"),
        one("i-late", "a")
    );
    assert_eq!(found(&[gave_up], "another"), [], "of another account");
}

#[test]
fn a_start_that_was_given_up_a_day_ago_does_not_count() {
    let old = resource(
        "a",
        json!({ "voidedStarts": [voided(1, "2026-01-02T00:00:00Z", &["i-known"])] }),
    );
    assert_eq!(found(&[old], "client"), []);
}

#[test]
fn what_is_somebodys_is_not_late() {
    let voided = voided(1, "2026-01-02T12:00:00Z", &["i-known"]);
    let again = resource(
        "a",
        json!({ "voidedStarts": [voided.clone()], "account": home(), "instanceId": "i-late" }),
    );
    assert_eq!(found(&[again], "client"), []);
    let gave_up = resource("a", json!({ "voidedStarts": [voided] }));
    let owner = resource("b", json!({ "account": home(), "instanceId": "i-late" }));
    assert_eq!(found(&[gave_up, owner], "client"), []);
}

#[test]
fn what_is_being_restored_is_not_late() {
    let gave_up = resource(
        "a",
        json!({ "voidedStarts": [voided(1, "2026-01-02T12:00:00Z", &["i-known"])] }),
    );
    let mut book = Book::of(&[gave_up, resource("b", json!({}))]);
    assert_eq!(found_in(&book, "client"), one("i-late", "a"));
    book.remember(&ObjectKey::new("ns", "b"), |memory| {
        memory.named = Some(Named {
            fleet: FleetKey::new(API, "client"),
            bound: Bound::new(
                "i-late".to_owned(),
                Moment::from_boot(Duration::from_secs(1)),
            ),
        });
    });
    assert_eq!(found_in(&book, "client"), []);
}

#[test]
fn what_an_open_start_may_have_made_is_not_late() {
    let starting = |known: &[&str]| {
        resource(
            "a",
            json!({
                "voidedStarts": [voided(1, "2026-01-02T12:00:00Z", &["i-known"])], "account": home(),
                "start": {
                    "id": uuid::Uuid::from_u128(2), "requestedAt": "2026-01-02T13:00:00Z",
                    "args": { "modelId": "org--name", "numWorkers": 1 }, "knownInstances": digests(2, known),
                },
            }),
        )
    };
    assert_eq!(found(&[starting(&["i-known"])], "client"), []);
    assert_eq!(
        found(&[starting(&["i-known", "i-late"])], "client"),
        one("i-late", "a")
    );
}

#[test]
fn of_several_the_oldest_start_is_named() {
    let late = resource(
        "a",
        json!({ "voidedStarts": [voided(1, "2026-01-02T13:00:00Z", &["i-known"])] }),
    );
    let early = resource(
        "b",
        json!({ "voidedStarts": [voided(2, "2026-01-02T12:00:00Z", &["i-known"])] }),
    );
    assert_eq!(found(&[late, early], "client"), one("i-late", "b"));
}

/// The catalog did not say how the API spells the model.
#[test]
fn what_a_start_of_any_model_may_have_made_is_probably_its_own() {
    let mut start = voided(1, "2026-01-02T12:00:00Z", &["i-known"]);
    start["args"]["modelId"] = json!("ORG--NAME");
    let named = |start: &Value| {
        found(
            &[resource("a", json!({ "voidedStarts": [start] }))],
            "client",
        )
    };
    assert_eq!(named(&start), []);
    start["anyModel"] = json!(true);
    let all = ["i-late", "i-other"].map(|id| (id.to_owned(), "a".to_owned()));
    assert_eq!(named(&start), all);
}
