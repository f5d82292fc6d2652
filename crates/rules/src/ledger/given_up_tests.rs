use std::sync::Arc;

use cortecs_clock::Moment;
use serde_json::{Value, json};

use super::*;
use crate::facts::{attempt::Attempt, memory::Memory, stored::stored};

const ID: Uuid = Uuid::from_u128(1);

fn resource(status: Value) -> CortecsInstance {
    serde_json::from_value(json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": { "namespace": "ns", "name": "a", "uid": "a", "resourceVersion": "1" },
        "spec": { "modelId": "org/name" },
        "status": stored(status),
    }))
    .unwrap()
}

fn intent() -> Value {
    json!({ "id": ID, "requestedAt": "2026-01-01T00:00:00Z", "args": { "modelId": "m" } })
}

fn own() -> Attempt {
    let mut attempt = Attempt::written(ID, Moment::default());
    attempt.outcome = Outcome::Unknown(Moment::default());
    attempt
}

fn counts(intent: Value, attempt: Option<Attempt>, newer: Value) -> bool {
    let before = Entry {
        resource: Arc::new(resource(json!({ "start": intent }))),
        memory: Memory {
            start: attempt,
            ..Memory::default()
        },
        reserved: Vec::new(),
    };
    let mut given_up = GivenUp::default();
    given_up.note(&before, &resource(newer));
    given_up.contains(ID)
}

fn void(id: Uuid) -> Value {
    let start = json!({
        "id": id, "requestedAt": "2026-01-01T00:00:00Z", "voidedAt": "2026-01-01T00:05:00Z", "args": { "modelId": "m" },
    });
    json!({ "voidedStarts": [start] })
}

#[test]
fn only_a_start_that_this_process_made_and_gave_up_counts() {
    assert!(counts(intent(), Some(own()), void(ID)));
    let mut found = own();
    found.is_own = false;
    let mut other = own();
    other.id = Uuid::from_u128(2);
    let written = Attempt::written(ID, Moment::default());
    for attempt in [None, Some(found), Some(other), Some(written)] {
        assert!(!counts(intent(), attempt.clone(), void(ID)), "{attempt:?}");
    }
    assert!(!counts(intent(), Some(own()), json!({})));
    assert!(!counts(intent(), Some(own()), void(Uuid::from_u128(2))));
}

#[test]
fn a_start_that_a_person_was_or_had_to_be_asked_about_does_not_count() {
    for (field, value) in [
        ("anyModel", json!(true)),
        ("incompleteList", json!(true)),
        ("overtaken", json!(true)),
        ("candidateIds", json!(["i"])),
    ] {
        let mut doubtful = intent();
        doubtful[field] = value;
        assert!(!counts(doubtful, Some(own()), void(ID)), "{field}");
    }
}
