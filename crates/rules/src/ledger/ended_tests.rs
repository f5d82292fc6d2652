//! What is remembered of starts that came to an end.

use std::{sync::Arc, time::Duration};

use cortecs_clock::Moment;
use cortecs_resources::{CortecsInstance, key::ObjectKey};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    facts::{
        attempt::{Attempt, Outcome},
        stored::stored,
    },
    ledger::{book::Book, ended::MOST},
};

const API: &str = "https://api";

fn at(second: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(second))
}

fn resource(name: &str, version: u64, status: Value) -> Arc<CortecsInstance> {
    let mut status = status;
    status["account"] =
        json!({ "namespace": "ns", "name": "main", "apiUrl": API, "clientId": "client" });
    let value = json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": { "namespace": "ns", "name": name, "uid": name, "resourceVersion": version.to_string() },
        "spec": { "modelId": "org/name" },
        "status": stored(status),
    });
    Arc::new(serde_json::from_value(value).unwrap())
}

/// A resource with an open start of this model.
fn open(name: &str, model: &str) -> Arc<CortecsInstance> {
    let args = json!({ "modelId": model, "billingInterval": "per_minute" });
    let start = json!({
        "id": Uuid::from_u128(7), "requestedAt": "2026-01-01T00:00:00Z", "args": args, "knownInstances": [],
    });
    resource(name, 1, json!({ "start": start }))
}

/// A book with an open start that is not looked at, and those of these models, whose calls have ended at these seconds.
fn book(ended: &[(&str, u64)]) -> Book {
    let mut book = Book::default();
    book.apply(open("open", "org/another"));
    for (n, (model, second)) in ended.iter().enumerate() {
        let name = n.to_string();
        book.apply(open(&name, model));
        known(&mut book, &name, Outcome::Unknown(at(*second)));
    }
    book
}

fn known(book: &mut Book, name: &str, outcome: Outcome) {
    let mut attempt = Attempt::written(Uuid::from_u128(7), at(1));
    attempt.outcome = outcome;
    book.remember(&ObjectKey::new("ns", name), |m| m.start = Some(attempt));
}

fn bound(name: &str) -> Arc<CortecsInstance> {
    resource(name, 2, json!({ "instanceId": format!("i-{name}") }))
}

#[test]
fn of_the_starts_of_a_model_that_came_to_an_end_the_last_one_is_remembered() {
    let mut book = book(&[("org/name", 30), ("org--name", 20), ("org/other", 40)]);
    assert_eq!(book.last_ended(API, "org/name"), None, "they are open");
    for name in ["0", "1"] {
        book.apply(bound(name));
    }
    assert!(book.deleted(&open("2", "org/other")).is_some());
    assert_eq!(book.last_ended(API, "org/name"), Some(at(30)));
    assert_eq!(book.last_ended(API, "org--other"), Some(at(40)));
    assert_eq!(book.last_ended("https://other", "org/name"), None);
    // Nothing is open any more.
    book.apply(bound("open"));
    assert_eq!(book.last_ended(API, "org/name"), None);
}

/// Such a start is still open, or has made the instance that the API has named, or nothing.
#[test]
fn other_starts_are_not_remembered() {
    let mut unchanged = book(&[("org/name", 30)]);
    let mut newer = (*open("0", "org/name")).clone();
    newer.metadata.resource_version = Some("2".to_owned());
    unchanged.apply(Arc::new(newer));
    assert_eq!(unchanged.last_ended(API, "org/name"), None);
    for outcome in [Outcome::Written, Outcome::Dropped] {
        let mut book = book(&[("org/name", 30)]);
        known(&mut book, "0", outcome);
        book.apply(bound("0"));
        assert_eq!(book.last_ended(API, "org/name"), None);
    }
}

#[test]
fn of_too_many_models_the_oldest_is_forgotten() {
    let models: Vec<String> = (0..=MOST).map(|n| format!("org/{n}")).collect();
    let ended: Vec<(&str, u64)> = models.iter().map(|m| (m.as_str(), 100)).collect();
    let mut ended = ended;
    ended[5].1 = 50;
    let mut book = book(&ended);
    (0..=MOST).for_each(|n| drop(book.apply(bound(&n.to_string()))));
    assert_eq!(book.last_ended(API, "org/5"), None);
    let kept = models.iter().filter(|m| book.last_ended(API, m).is_some());
    assert_eq!(kept.count(), MOST);
}
