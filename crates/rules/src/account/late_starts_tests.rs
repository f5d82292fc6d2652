use std::{slice::from_ref, sync::Arc};

use cortecs_resources::CortecsInstance;
use serde_json::{Value, json};

use super::*;
use crate::facts::{known::digest, stored::stored};

const API: &str = "https://api.example/v1";
const SETTLE: Duration = Duration::from_secs(180);

fn wall() -> Timestamp {
    "2026-01-03T00:00:00Z".parse().unwrap()
}

fn home() -> Value {
    json!({ "namespace": "ns", "name": "main", "apiUrl": API, "clientId": "client" })
}

fn wanted() -> Value {
    json!({
        "modelId": "org--name", "hardwareTypeId": "L4", "contextLength": 100, "billingInterval": "per_minute", "numWorkers": 1,
    })
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn voided(n: u128, known: &[&str]) -> Value {
    let known: Vec<_> = known.iter().map(|known| digest(id(n), known)).collect();
    json!({
        "id": id(n), "requestedAt": "2026-01-02T12:00:00Z", "voidedAt": "2026-01-02T12:05:00Z", "args": wanted(),
        "account": home(), "knownInstances": known,
    })
}

fn resource(name: &str, status: Value) -> CortecsInstance {
    serde_json::from_value(json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": { "namespace": "ns", "name": name, "uid": name, "resourceVersion": "5" },
        "spec": { "modelId": "org/name" },
        "status": stored(status),
    }))
    .unwrap()
}

fn book(resources: impl IntoIterator<Item = CortecsInstance>) -> Book {
    let mut book = Book::default();
    for resource in resources {
        book.apply(Arc::new(resource));
    }
    book
}

/// A book with one resource that has given these starts up.
fn given_up(starts: impl IntoIterator<Item = Value>) -> Book {
    let starts: Vec<_> = starts.into_iter().collect();
    book([resource("a", json!({ "voidedStarts": starts }))])
}

fn instance(id: &str, change: impl Fn(&mut Value)) -> Instance {
    let mut instance = json!({
        "instance_id": id,
        "instance_args": {
            "model_id": "org--name", "hardware_type_id": "L4", "context_length": 100, "billing_interval": "per_minute", "num_workers": 1,
        },
        "instance_status": { "status": "running" },
    });
    change(&mut instance);
    serde_json::from_value(instance).unwrap()
}

fn list(second: u64, instances: &[Instance]) -> Snapshot {
    let instances = instances.iter();
    Snapshot {
        requested_at: Moment::from_boot(Duration::from_secs(second)),
        instances: instances
            .map(|i| (i.instance_id.clone(), Arc::new(i.clone())))
            .collect(),
        ..Snapshot::default()
    }
}

fn fleet() -> FleetKey {
    FleetKey::new(API, "client")
}

fn with<T>(book: &Book, list: &Snapshot, ask: impl FnOnce(&Scene<'_>) -> T) -> T {
    let fleet = fleet();
    let now = list.requested_at;
    ask(&Scene {
        book,
        fleet: &fleet,
        list,
        is_complete: is_complete(book, &fleet, list, now, SETTLE),
        wall: wall(),
    })
}

fn me() -> ObjectKey {
    ObjectKey::new("ns", "main")
}

/// What is found in the last list, after all of them.
fn found(book: &Book, lists: &[&[Instance]], records: &[LateInstance]) -> Vec<String> {
    let mut watch = Watch::default();
    let mut found = Vec::new();
    for (second, instances) in (10..).zip(lists) {
        let list = list(second, instances);
        found = with(book, &list, |scene| {
            watch.note(scene);
            watch.found(scene, &me(), records)
        });
    }
    found.into_iter().map(|late| late.id).collect()
}

fn plain(id: &str) -> Instance {
    instance(id, |_| {})
}

#[test]
fn only_what_comes_up_after_the_start_was_given_up_is_found() {
    let book = given_up([voided(1, &[])]);
    let (before, late) = (plain("i-before"), plain("i-late"));
    assert_eq!(found(&book, &[&[], from_ref(&late)], &[]), ["i-late"]);
    let first = found(&book, &[from_ref(&late), from_ref(&late)], &[]);
    assert!(first.is_empty(), "a new process has not seen it come up");
    // It is no longer certain which of the two the start has made.
    let lists: [&[Instance]; 2] = [from_ref(&before), &[before.clone(), late.clone()]];
    assert!(found(&book, &lists, &[]).is_empty());
    // The start knows the other one.
    let knowing = given_up([voided(1, &["i-before"])]);
    assert_eq!(found(&knowing, &lists, &[]), ["i-late"]);
    // It comes up again in a list.
    let lists: [&[Instance]; 3] = [from_ref(&late), &[], from_ref(&late)];
    assert!(found(&book, &lists, &[]).is_empty());
}

#[test]
fn of_several_instances_that_one_start_may_have_made_none_is_found() {
    let book = given_up([voided(1, &[])]);
    let two = [plain("i-1"), plain("i-2")];
    assert!(found(&book, &[&[], &two], &[]).is_empty());
    let part = instance("i-2", |i| {
        i["instance_args"] = json!({ "model_id": "org--name" })
    });
    assert!(found(&book, &[&[], &[plain("i-1"), part]], &[]).is_empty());
    // A start makes one instance.
    let record = LateInstance {
        id: "i-0".to_owned(),
        start: id(1),
        of: ResourceName::default(),
        voided_at: wall(),
        end_time: Some(wall()),
    };
    assert!(found(&book, &[&[], &[plain("i-1")]], &[record]).is_empty());
}

#[test]
fn what_is_not_exactly_as_the_start_asked_for_is_not_found() {
    let book = given_up([voided(1, &[])]);
    let changes: [fn(&mut Value); 5] = [
        |i| i["instance_args"]["num_workers"] = json!(2),
        |i| i["instance_args"]["num_workers"] = Value::Null,
        |i| i["instance_args"]["hardware_type_id"] = Value::Null,
        |i| i["instance_status"]["started_at"] = json!("2026-01-02T11:59:59Z"),
        |i| i["instance_status"]["started_at"] = json!("lately"),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let found = found(&book, &[&[], &[instance("i", change)]], &[]);
        assert!(found.is_empty(), "change {n}");
    }
    let later = |i: &mut Value| i["instance_status"]["started_at"] = json!("2026-01-02T12:00:00Z");
    assert_eq!(found(&book, &[&[], &[instance("i", later)]], &[]), ["i"]);
    let unsure: [fn(&mut Value); 4] = [
        |start| start["anyModel"] = json!(true),
        |start| start["incompleteList"] = json!(true),
        |start| start["voidedAt"] = json!("2026-01-01T23:59:59Z"),
        |start| start["account"]["name"] = json!("other"),
    ];
    for (n, change) in unsure.into_iter().enumerate() {
        let mut start = voided(1, &[]);
        change(&mut start);
        let found = found(&given_up([start]), &[&[], &[plain("i")]], &[]);
        assert!(found.is_empty(), "start {n}");
    }
}

#[test]
fn what_a_start_that_is_open_or_a_resource_may_have_is_not_found() {
    let voided = || resource("a", json!({ "voidedStarts": [voided(1, &[])] }));
    let open = |args: Value| {
        let start = json!({ "id": id(9), "requestedAt": "2026-01-02T23:00:00Z", "args": args });
        resource("b", json!({ "account": home(), "start": start }))
    };
    let bound = resource("b", json!({ "account": home(), "instanceId": "i" }));
    for other in [
        open(wanted()),
        open(json!({ "modelId": "org--name", "numWorkers": 8 })),
        bound,
    ] {
        let before = book([voided(), other]);
        assert!(found(&before, &[&[], &[plain("i")]], &[]).is_empty());
        // Nor when that is over: it came up meanwhile.
        let mut watch = Watch::default();
        with(&before, &list(10, &[]), |scene| watch.note(scene));
        with(&before, &list(11, &[plain("i")]), |scene| watch.note(scene));
        let after = book([voided()]);
        let later = list(12, &[plain("i")]);
        let found = with(&after, &later, |scene| {
            watch.note(scene);
            watch.found(scene, &me(), &[])
        });
        assert_eq!(found, []);
    }
    let unlike = open(json!({ "modelId": "org--other" }));
    assert_eq!(
        found(&book([voided(), unlike]), &[&[], &[plain("i")]], &[]),
        ["i"]
    );
    // A start that is given up at the very list.
    let mut watch = Watch::default();
    with(&Book::default(), &list(10, &[]), |scene| watch.note(scene));
    let late = list(11, &[plain("i")]);
    let found = with(&book([voided()]), &late, |scene| {
        watch.note(scene);
        watch.found(scene, &me(), &[])
    });
    assert_eq!(found, []);
}

fn on_record() -> LateInstance {
    LateInstance {
        id: "i".to_owned(),
        start: id(1),
        of: ResourceName::default(),
        voided_at: "2026-01-02T12:05:00Z".parse().unwrap(),
        end_time: None,
    }
}

#[test]
fn it_is_stopped_seen_to_be_stopped_and_deleted() {
    let book = given_up([voided(1, &[])]);
    let mut calls = Calls::default();
    let next = |second, state: Option<&str>, calls: &Calls| {
        let shown =
            state.map(|state| instance("i", |i| i["instance_status"]["status"] = json!(state)));
        let list = list(second, shown.as_slice());
        with(&book, &list, |scene| act(&on_record(), scene, calls))
    };
    let at = |second| Moment::from_boot(Duration::from_secs(second));
    assert_eq!(next(10, Some("running"), &calls), Act::Stop);
    calls.end("i", at(11), 0.0);
    assert!(!calls.may_call("i", at(11)) && calls.may_call("i", at(12)));
    assert_eq!(next(11, Some("running"), &calls), Act::List(at(11)));
    assert_eq!(next(12, Some("running"), &calls), Act::Stop);
    assert_eq!(next(12, Some("stopped"), &calls), Act::Delete);
    assert_eq!(next(12, None, &calls), Act::End);
    calls.end("i", at(13), 0.0);
    assert_eq!(next(13, Some("stopped"), &calls), Act::List(at(13)));
    calls.confirm("i");
    assert_eq!(next(13, Some("stopped"), &calls), Act::End);
    let ended = next_records(
        &[on_record()],
        Vec::new(),
        &[("i".to_owned(), Act::End)],
        wall(),
    );
    assert_eq!(ended[0].end_time, Some(wall()));
    let rests = with(&book, &list(20, &[plain("i")]), |scene| {
        act(&ended[0], scene, &calls)
    });
    assert_eq!(rests, Act::Rest);
    assert_eq!(next_records(&ended, Vec::new(), &[], wall()), ended);
    let day_after = wall() + SignedDuration::from_hours(13);
    assert_eq!(next_records(&ended, Vec::new(), &[], day_after), []);
    assert_eq!(
        next_records(&[on_record()], Vec::new(), &[], day_after).len(),
        1
    );
}

#[test]
fn a_resource_that_takes_it_over_keeps_it_and_an_open_start_delays_it() {
    let (calls, shown) = (Calls::default(), list(10, &[plain("i")]));
    let act = |other: Value| {
        let book = book([resource("b", other)]);
        with(&book, &shown, |scene| act(&on_record(), scene, &calls))
    };
    let taken = act(json!({ "account": home(), "instanceId": "i" }));
    assert_eq!(taken, Act::Forget);
    let forgotten = [("i".to_owned(), taken)];
    assert_eq!(
        next_records(&[on_record()], Vec::new(), &forgotten, wall()),
        []
    );
    let start = json!({ "id": id(9), "requestedAt": "2026-01-02T23:00:00Z", "args": wanted() });
    assert_eq!(act(json!({ "account": home(), "start": start })), Act::Rest);
}
