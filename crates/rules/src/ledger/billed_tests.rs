//! What a client id is billed for.

use std::sync::Arc;

use cortecs_resources::journal::StartIntent;
use serde_json::{Value, json};

use super::*;
use crate::facts::{
    bound::Bound,
    memory::{Memory, WritingStart},
    sealed_id::SealedId,
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

/// What is billed at this second, as the resource `me` asks.
fn asked<'a>(book: &'a Book, list: &'a Snapshot, me: &ObjectKey, second: u64) -> Vec<Billed<'a>> {
    let fleet = FleetKey::new(API, "client");
    let question = Question {
        fleet: &fleet,
        me,
        now: at(second),
        wall: Timestamp::from_second(i64::try_from(second).unwrap()).unwrap(),
        settle: SETTLE,
    };
    billed(book, list, question)
}

/// The workers of that, and whether nothing shows them yet.
fn workers(book: &Book, list: &Snapshot, second: u64) -> Vec<(i64, bool)> {
    let me = ObjectKey::new("ns", "me");
    let billed = asked(book, list, &me, second);
    let workers = |one: &Billed<'_>| (one.workers.unwrap_or(99), one.is_open);
    billed.iter().map(workers).collect()
}

fn status() -> Value {
    json!({ "instanceId": "i-1", "instanceArgs": args(2) })
}

/// A status whose instance was asked to run at this second.
fn asked_at(second: i64) -> Value {
    let mut status = status();
    status["lastStartTime"] = json!(Timestamp::from_second(second).unwrap().to_string());
    status
}

#[test]
fn an_instance_counts_once_with_the_workers_that_its_resource_asked_for() {
    let book = book(status(), bound(|_| {}));
    let all = list(&[("i-1", "running"), ("i-2", "pending"), ("i-3", "stopped")]);
    // How many workers the other one has is not known.
    assert_eq!(workers(&book, &all, 5000), [(2, false), (99, false)]);
    let me = ObjectKey::new("ns", "a");
    let own: Vec<bool> = asked(&book, &all, &me, 5000)
        .iter()
        .map(|one| one.is_own)
        .collect();
    assert_eq!(own, [true, false]);
}

#[test]
fn an_instance_that_the_list_lacks_counts_until_it_is_deleted() {
    let (empty, late) = (list(&[]), 5000);
    let lost = book(status(), bound(|bound| bound.absent_lists = 9));
    assert_eq!(workers(&lost, &empty, late), [(2, true)]);
    let deleted = book(status(), bound(|bound| bound.deleted = true));
    assert_eq!(workers(&deleted, &empty, late), []);
    // A list may be older than the deletion.
    let removed = Memory {
        removed: Some("i-1".to_owned()),
        ..Memory::default()
    };
    let removed = book(json!({ "lastStartTime": "1970-01-01T00:00:00Z" }), removed);
    assert_eq!(workers(&removed, &list(&[("i-1", "running")]), late), []);
}

/// It makes no get, by which others find that their instance is gone.
#[test]
fn the_instance_of_a_suspended_resource_counts_until_two_lists_lack_it() {
    let suspended = |absent_lists: u32, change: fn(&mut Bound)| {
        let mut book = Book::of(&[json!({
            "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
            "metadata": { "namespace": "ns", "name": "a", "uid": "uid-a", "resourceVersion": "1" },
            "spec": { "modelId": "org/name", "suspend": true },
            "status": stored(json!({ "instanceId": "i-1", "instanceArgs": args(2), "account": home() })),
        })]);
        let memory = bound(|bound| {
            bound.absent_lists = absent_lists;
            change(bound);
        });
        book.remember(&ObjectKey::new("ns", "a"), |m| *m = memory);
        !workers(&book, &list(&[]), 5000).is_empty()
    };
    assert!(suspended(1, |_| {}) && !suspended(2, |_| {}));
    assert!(suspended(2, |bound| bound.unlisted_since = Some(at(1200))));
}

/// A list may show the time before the restart.
#[test]
fn what_the_list_shows_as_stopped_counts_for_a_while_after_it_was_asked_to_run() {
    let stopped = list(&[("i-1", "stopped")]);
    let restarted = book(status(), bound(|bound| bound.called = Some(at(1500))));
    assert_eq!(workers(&restarted, &stopped, 1599), [(2, true)]);
    assert_eq!(workers(&restarted, &stopped, 1600), []);
    // A new process knows when the record of the call was written.
    for memory in [bound(|_| {}), Memory::default()] {
        let recorded = book(asked_at(1500), memory);
        for (second, counts) in [(1400, true), (1624, true), (1625, false)] {
            assert_eq!(
                !workers(&recorded, &stopped, second).is_empty(),
                counts,
                "{second}"
            );
        }
    }
    assert_eq!(
        workers(&book(status(), Memory::default()), &stopped, 5000),
        []
    );
    // The answer to the stop proves it.
    let proven = book(asked_at(1000), bound(|bound| bound.stopped = true));
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
fn an_instance_that_only_an_annotation_names_counts_until_a_list_would_show_it() {
    let restored = |name: &str, status: Value| {
        json!({
            "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
            "metadata": { "namespace": "ns", "name": name, "uid": format!("uid-{name}"), "resourceVersion": "1" },
            "spec": { "modelId": "org/name" }, "status": status,
        })
    };
    let key = ObjectKey::new("ns", "a");
    let counts = |others: &[Value], fleet: &FleetKey, list: &Snapshot, second: u64| {
        let mut book = Book::of(&[&[restored("a", json!({}))], others].concat());
        let resource = Arc::clone(&book.get(&key).unwrap().resource);
        book.remember(&key, |memory| {
            let proven = SealedId::Proven("i-1".to_owned());
            memory.observe_sealed_id(proven, Some(fleet), &resource, None, at(1000));
        });
        workers(&book, list, second).contains(&(99, true))
    };
    let (here, elsewhere) = (FleetKey::new(API, "client"), FleetKey::new(API, "another"));
    let empty = list(&[]);
    assert!(counts(&[], &here, &empty, 1099) && !counts(&[], &here, &empty, 1100));
    assert!(!counts(&[], &elsewhere, &empty, 1000));
    assert!(!counts(&[], &here, &list(&[("i-1", "stopped")]), 1000));
    let owner = stored(json!({ "instanceId": "i-1", "instanceArgs": args(2), "account": home() }));
    let owner = restored("b", serde_json::to_value(owner).unwrap());
    assert!(!counts(&[owner], &here, &empty, 1000));
}
