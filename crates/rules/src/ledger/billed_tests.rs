//! What a client id is billed for.

use std::sync::Arc;

use cortecs_resources::journal::StartIntent;
use serde_json::{Value, json};

use super::*;
use crate::facts::{
    bound::Bound,
    memory::{Memory, WritingStart},
    sealed_id::{Key, SealedId},
    stored::stored,
};

const API: &str = "https://api";
const SETTLE: Duration = Duration::from_secs(100);

fn at(second: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(second))
}

fn home() -> Value {
    json!({ "namespace": "ns", "name": "main", "apiUrl": API, "clientId": "client" })
}

fn args(workers: i64) -> Value {
    json!({ "modelId": "org--name", "hardwareTypeId": "L4", "numWorkers": workers })
}

fn open(name: &str) -> Value {
    json!({ "id": uuid::Uuid::from_u128(1), "requestedAt": "2026-01-01T00:00:00Z", "args": args(3), "knownInstances": [name] })
}

/// A book with the resource `a`, which has this status and of which this is remembered.
fn book(mut status: Value, memory: Memory) -> Book {
    status["account"] = home();
    let mut book = Book::of(&[json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": { "namespace": "ns", "name": "a", "uid": "uid-a", "resourceVersion": "1" },
        "spec": { "modelId": "org/name" },
        "status": stored(status),
    })]);
    book.remember(&ObjectKey::new("ns", "a"), |remembered| {
        *remembered = memory
    });
    book
}

fn bound(change: impl FnOnce(&mut Bound)) -> Memory {
    let mut bound = Bound::new("i-1".to_owned(), at(1000));
    change(&mut bound);
    Memory {
        bound: Some(bound),
        ..Memory::default()
    }
}

fn list(instances: &[(&str, &str)]) -> Snapshot {
    let instance = |(id, state): &(&str, &str)| {
        let instance = json!({
            "instance_id": id, "instance_args": { "model_id": "org--name", "hardware_type_id": "L4" },
            "instance_status": { "status": state },
        });
        (
            (*id).to_owned(),
            Arc::new(serde_json::from_value(instance).unwrap()),
        )
    };
    Snapshot {
        sequence: 1,
        requested_at: at(2000),
        received_at: at(2000),
        instances: instances.iter().map(instance).collect(),
    }
}

/// The workers that are billed at this second, and whether nothing shows them yet, for another resource.
fn workers(book: &Book, list: &Snapshot, second: u64) -> Vec<(i64, bool)> {
    let fleet = FleetKey::new(API, "client");
    let me = ObjectKey::new("ns", "me");
    let billed = billed(book, &fleet, list, &me, at(second), SETTLE);
    billed
        .iter()
        .map(|one| (one.workers, one.is_open))
        .collect()
}

fn status() -> Value {
    json!({ "instanceId": "i-1", "instanceArgs": args(2) })
}

#[test]
fn an_instance_counts_once_with_the_workers_that_its_resource_asked_for() {
    let book = book(status(), bound(|_| {}));
    let both = list(&[("i-1", "running"), ("i-2", "pending"), ("i-3", "stopped")]);
    assert_eq!(workers(&book, &both, 5000), [(2, false), (1, false)]);
}

#[test]
fn an_instance_that_the_list_lacks_counts_until_it_is_deleted() {
    let (empty, late) = (list(&[]), 5000);
    let lost = book(status(), bound(|bound| bound.absent_lists = 9));
    assert_eq!(workers(&lost, &empty, late), [(2, true)]);
    let deleted = book(status(), bound(|bound| bound.deleted = true));
    assert_eq!(workers(&deleted, &empty, late), []);
}

/// A list may show the time before the restart.
#[test]
fn what_the_list_shows_as_stopped_counts_for_the_settle_time_after_it_was_asked_to_run() {
    let stopped = list(&[("i-1", "stopped")]);
    let restarted = book(status(), bound(|bound| bound.called = Some(at(1500))));
    assert_eq!(workers(&restarted, &stopped, 1599), [(2, true)]);
    assert_eq!(workers(&restarted, &stopped, 1600), []);
    // A new process does not know when that was.
    let unknown = book(status(), bound(|_| {}));
    assert_eq!(workers(&unknown, &stopped, 1099), [(2, true)]);
    assert_eq!(workers(&unknown, &stopped, 1100), []);
    let not_seen = book(status(), Memory::default());
    assert_eq!(workers(&not_seen, &stopped, 5000), [(2, true)]);
    // The answer to the stop proves it.
    let proven = book(status(), bound(|bound| bound.stopped = true));
    assert_eq!(workers(&proven, &stopped, 1000), []);
    assert_eq!(
        workers(&proven, &list(&[("i-1", "running")]), 1000),
        [(2, false)]
    );
}

#[test]
fn a_restart_that_is_open_or_being_written_counts() {
    let stopped = list(&[("i-1", "stopped")]);
    let mut restarting = status();
    restarting["restart"] =
        json!({ "id": uuid::Uuid::from_u128(1), "requestedAt": "2026-01-01T00:00:00Z" });
    let proven = || bound(|bound| bound.stopped = true);
    assert_eq!(
        workers(&book(restarting, proven()), &stopped, 5000),
        [(2, true)]
    );
    let writing = Memory {
        writing_restart: true,
        ..proven()
    };
    assert_eq!(
        workers(&book(status(), writing), &stopped, 5000),
        [(2, true)]
    );
}

#[test]
fn a_start_that_is_open_or_being_written_counts() {
    let empty = list(&[]);
    let open_start = json!({ "start": open("x") });
    assert_eq!(
        workers(&book(open_start, Memory::default()), &empty, 5000),
        [(3, true)]
    );
    let intent: StartIntent = serde_json::from_value(open("x")).unwrap();
    let writing = |client: &str| {
        let mut account = home();
        account["clientId"] = json!(client);
        let writing = WritingStart {
            intent: intent.clone(),
            account: serde_json::from_value(account).unwrap(),
            since: at(1000),
        };
        Memory {
            writing_start: Some(Arc::new(writing)),
            ..Memory::default()
        }
    };
    let nothing = json!({ "lastStartTime": "2026-01-01T00:00:00Z" });
    assert_eq!(
        workers(&book(nothing.clone(), writing("client")), &empty, 5000),
        [(3, true)]
    );
    assert_eq!(workers(&book(nothing, writing("other")), &empty, 5000), []);
}

#[test]
fn an_instance_that_only_an_annotation_names_is_not_known() {
    let mut book = Book::of(&[json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": {
            "namespace": "ns", "name": "a", "uid": "uid-a", "resourceVersion": "1",
            "annotations": { "cortecs.ai/instance-id": Key::derive("secret").unwrap().seal("ns", "a", "i-1") },
        },
        "spec": { "modelId": "org/name" },
    })]);
    let (key, empty) = (ObjectKey::new("ns", "a"), list(&[]));
    assert_eq!(workers(&book, &empty, 1000), [(1, true)]);
    let resource = Arc::clone(&book.get(&key).unwrap().resource);
    for (sealed_id, api, counts) in [
        (SealedId::None, API, false),
        (SealedId::Unchecked, API, false),
        (SealedId::Proven("i-1".to_owned()), API, true),
        (SealedId::Proven("i-1".to_owned()), "https://other", false),
    ] {
        book.remember(&key, |memory| {
            memory.observe_sealed_id(sealed_id.clone(), Some(api), &resource, None, at(1000));
        });
        assert_eq!(
            !workers(&book, &empty, 1000).is_empty(),
            counts,
            "{sealed_id:?} {api}"
        );
    }
}
