use std::{slice::from_ref, sync::Arc};

use cortecs_resources::CortecsInstance;
use serde_json::{Value, json};

use super::*;
use crate::facts::{
    attempt::{Attempt, Outcome},
    known::digest,
    stored::stored,
};

const API: &str = "https://api.example/v1";
const SETTLE: Duration = Duration::from_secs(180);

fn at(second: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(second))
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

fn resource(name: &str, version: &str, status: Value) -> CortecsInstance {
    serde_json::from_value(json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": { "namespace": "ns", "name": name, "uid": name, "resourceVersion": version },
        "spec": { "modelId": "org/name" },
        "status": stored(status),
    }))
    .unwrap()
}

fn intent(n: u128, args: Value) -> Value {
    json!({ "id": id(n), "requestedAt": "2026-01-02T12:00:00Z", "args": args })
}

/// A start is made, by this process or an earlier one, and given up.
fn give_up(book: &mut Book, is_own: bool, start: Value) {
    let open = json!({ "account": home(), "start": intent(1, wanted()) });
    book.apply(Arc::new(resource("a", "1", open)));
    let mut attempt = Attempt::written(id(1), at(1));
    attempt.outcome = Outcome::Unknown(at(2));
    attempt.is_own = is_own;
    book.remember(&ObjectKey::new("ns", "a"), |memory| {
        memory.start = Some(attempt)
    });
    let void = json!({ "voidedStarts": [start] });
    book.apply(Arc::new(resource("a", "2", void)));
}

fn given_up(start: Value) -> Book {
    let mut book = Book::default();
    give_up(&mut book, true, start);
    book
}

/// A book in which the start was given up, and another resource has this status.
fn beside(other: Value) -> Book {
    let mut book = given_up(voided(1, &[]));
    book.apply(Arc::new(resource("b", "3", other)));
    book
}

fn instance(id: &str, change: impl Fn(&mut Value)) -> Instance {
    let mut instance = json!({
        "instance_id": id,
        "instance_args": {
            "model_id": "org--name", "hardware_type_id": "L4", "context_length": 100, "billing_interval": "per_minute", "num_workers": 1,
        },
        "instance_status": { "status": "running", "started_at": "2026-01-02T12:00:01Z" },
    });
    change(&mut instance);
    serde_json::from_value(instance).unwrap()
}

fn plain(id: &str) -> Instance {
    instance(id, |_| {})
}

fn stopped(id: &str) -> Instance {
    instance(id, |i| i["instance_status"]["status"] = json!("stopped"))
}

fn list(second: u64, instances: &[Instance]) -> Snapshot {
    let instances = instances.iter();
    Snapshot {
        requested_at: at(second),
        instances: instances
            .map(|i| (i.instance_id.clone(), Arc::new(i.clone())))
            .collect(),
        ..Snapshot::default()
    }
}

fn with<T>(book: &Book, list: &Snapshot, ask: impl FnOnce(&Scene<'_>) -> T) -> T {
    ask(&Scene {
        book,
        fleet: &FleetKey::new(API, "client"),
        list,
        is_trusted: true,
        settle: SETTLE,
        wall: "2026-01-03T00:00:00Z".parse().unwrap(),
    })
}

fn me() -> ObjectKey {
    ObjectKey::new("ns", "main")
}

/// A process that has listed for longer than the settle time, nothing being there.
fn watching(book: &Book) -> Late {
    let mut late = Late::default();
    for second in [10, 190, 200] {
        see(&mut late, book, second, &[]);
    }
    late
}

fn see(late: &mut Late, book: &Book, second: u64, instances: &[Instance]) -> Vec<(String, Act)> {
    let list = list(second, instances);
    with(book, &list, |scene| {
        let mut watch = Arc::clone(&late.watch);
        Arc::make_mut(&mut watch).note(scene);
        late.noted(watch);
        acts(late, scene)
    })
}

fn acts(late: &Late, scene: &Scene<'_>) -> Vec<(String, Act)> {
    let orders = late.orders(scene, &me()).into_iter();
    orders.map(|order| (order.id, order.act)).collect()
}

fn stop(id: &str) -> Vec<(String, Act)> {
    vec![(id.to_owned(), Act::Call(Call::Stop))]
}

/// What is done when the instance comes up.
fn then(book: &Book, instance: Instance) -> Vec<(String, Act)> {
    see(&mut watching(book), book, 201, &[instance])
}

#[test]
fn what_comes_up_after_this_process_gave_its_start_up_is_stopped() {
    let book = given_up(voided(1, &[]));
    assert_eq!(then(&book, plain("i")), stop("i"));
    let mut restored = Book::default();
    give_up(&mut restored, false, voided(1, &[]));
    let by_another = then(&restored, plain("i"));
    assert_eq!(by_another, [], "an earlier process made the start");
    let mut found = Book::default();
    let void = json!({ "voidedStarts": [voided(1, &[])] });
    found.apply(Arc::new(resource("a", "2", void)));
    let in_a_journal = then(&found, plain("i"));
    assert_eq!(in_a_journal, [], "it was void when the process began");
}

#[test]
fn what_came_up_early_or_in_a_list_that_proves_nothing_is_left_alone() {
    let book = given_up(voided(1, &[]));
    let mut late = Late::default();
    see(&mut late, &book, 10, &[]);
    let young = see(&mut late, &book, 189, &[plain("i")]);
    assert_eq!(young, [], "the process is younger than the settle time");
    assert_eq!(see(&mut late, &book, 300, &[plain("i")]), []);

    let mut late = watching(&book);
    let shown = list(201, &[plain("i")]);
    with(&book, &shown, |scene| {
        let withheld = Scene {
            is_trusted: false,
            ..*scene
        };
        let mut watch = Arc::clone(&late.watch);
        Arc::make_mut(&mut watch).note(&withheld);
        late.noted(watch);
        assert_eq!(acts(&late, &withheld), []);
    });
    let later = see(&mut late, &book, 300, &[plain("i")]);
    assert_eq!(later, [], "a withheld list has shown it first");

    // A list lacks an instance, however new that is.
    let lacking = beside(json!({ "account": home(), "instanceId": "other" }));
    assert_eq!(then(&lacking, plain("i")), []);
    // The start is given up at the very list.
    let mut late = watching(&Book::default());
    assert_eq!(see(&mut late, &book, 201, &[plain("i")]), []);
    assert_eq!(see(&mut late, &book, 300, &[plain("i")]), []);
}

#[test]
fn during_a_hold_nothing_is_done() {
    let book = given_up(voided(1, &[]));
    let mut late = watching(&book);
    assert_eq!(see(&mut late, &book, 201, &[plain("i")]), stop("i"));
    with(&book, &list(201, &[plain("i")]), |scene| {
        let held = Scene {
            is_trusted: false,
            ..*scene
        };
        assert_eq!(acts(&late, &held), []);
    });
}

#[test]
fn of_several_instances_that_one_start_may_have_made_none_is_touched() {
    let book = given_up(voided(1, &[]));
    let two = [plain("i-1"), plain("i-2")];
    assert_eq!(see(&mut watching(&book), &book, 201, &two), []);
    // Also where a person has removed the first one.
    let mut late = watching(&book);
    see(&mut late, &book, 201, &two[..1]);
    see(&mut late, &book, 202, &[]);
    assert_eq!(see(&mut late, &book, 203, &two[1..]), []);
    // One was there before, and the start knows it or does not.
    for (known, expected) in [(&["i-0"][..], stop("i")), (&[], vec![])] {
        let book = given_up(voided(1, known));
        let mut late = Late::default();
        for second in [10, 200] {
            see(&mut late, &book, second, &[plain("i-0")]);
        }
        let found = see(&mut late, &book, 201, &[plain("i-0"), plain("i")]);
        assert_eq!(found, expected, "{known:?}");
    }
}

#[test]
fn what_is_not_exactly_as_the_start_asked_for_is_left_alone() {
    let book = given_up(voided(1, &[]));
    let changes: [fn(&mut Value); 6] = [
        |i| i["instance_args"]["num_workers"] = json!(2),
        |i| i["instance_args"]["num_workers"] = Value::Null,
        |i| i["instance_args"]["hardware_type_id"] = Value::Null,
        |i| i["instance_status"]["started_at"] = json!("2026-01-02T12:00:00Z"),
        |i| i["instance_status"]["started_at"] = json!("lately"),
        |i| i["instance_status"]["started_at"] = Value::Null,
    ];
    for (n, change) in changes.into_iter().enumerate() {
        assert_eq!(then(&book, instance("i", change)), [], "change {n}");
    }
    // An instance may say later when it was started.
    let mut late = watching(&book);
    let silent = instance("i", |i| i["instance_status"]["started_at"] = Value::Null);
    assert_eq!(see(&mut late, &book, 201, &[silent]), []);
    assert_eq!(see(&mut late, &book, 202, &[plain("i")]), stop("i"));
    let unsure: [fn(&mut Value); 3] = [
        |start| start["voidedAt"] = json!("2026-01-01T23:59:59Z"),
        |start| start["account"]["name"] = json!("other"),
        |start| start["account"]["clientId"] = json!("other"),
    ];
    for (n, change) in unsure.into_iter().enumerate() {
        let mut start = voided(1, &[]);
        change(&mut start);
        assert_eq!(then(&given_up(start), plain("i")), [], "start {n}");
    }
}

#[test]
fn what_a_resource_has_or_had_and_what_an_open_start_may_have_made_is_left_alone() {
    let open = |args| json!({ "account": home(), "start": intent(9, args) });
    let others = [
        open(wanted()),
        open(json!({ "modelId": "org--name", "numWorkers": 8 })),
        json!({ "account": home(), "instanceId": "i" }),
    ];
    for other in others {
        let book = beside(other.clone());
        assert_eq!(then(&book, plain("i")), [], "{other}");
    }
    let unlike = beside(open(json!({ "modelId": "org--other" })));
    assert_eq!(then(&unlike, plain("i")), stop("i"));

    // It was bound, and let go before any list showed it.
    let mut book = beside(json!({ "account": home(), "instanceId": "i" }));
    book.deleted(&resource("b", "3", json!({})));
    assert!(!book.is_claimed(API, "i"));
    assert_eq!(then(&book, plain("i")), []);
    // The annotation of a resource names it, with or without proof.
    let mut naming = resource("b", "3", json!({}));
    let sealed = format!("i.{}", "0".repeat(64));
    naming.metadata.annotations = Some([("cortecs.ai/instance-id".to_owned(), sealed)].into());
    let mut book = given_up(voided(1, &[]));
    book.apply(Arc::new(naming));
    assert_eq!(then(&book, plain("i")), []);

    // An open start that knows the instance has not made it.
    let mut book = given_up(voided(1, &[]));
    let mut late = watching(&book);
    see(&mut late, &book, 201, &[plain("i")]);
    let mut knowing = open(wanted());
    knowing["start"]["knownInstances"] = json!([digest(id(9), "i")]);
    book.apply(Arc::new(resource("b", "3", knowing)));
    assert_eq!(see(&mut late, &book, 202, &[plain("i")]), stop("i"));
    book.apply(Arc::new(resource("b", "4", open(wanted()))));
    assert_eq!(see(&mut late, &book, 203, &[plain("i")]), []);
}

/// One round: what is due in the list, and whether a call about it has to be told at once.
fn call(late: &mut Late, book: &Book, second: u64, shown: &Instance, worked: bool) -> bool {
    let list = list(second, from_ref(shown));
    let order = with(book, &list, |scene| late.orders(scene, &me()).remove(0));
    let Act::Call(call) = order.act else {
        panic!("{order:?}")
    };
    late.end(&order, call, worked, at(second), 0.0)
}

#[test]
fn it_is_stopped_seen_to_be_stopped_and_deleted_once() {
    let book = given_up(voided(1, &[]));
    let mut late = watching(&book);
    see(&mut late, &book, 201, &[plain("i")]);
    assert!(call(&mut late, &book, 201, &plain("i"), true));
    let wait = see(&mut late, &book, 201, &[plain("i")]);
    assert_eq!(wait, [("i".to_owned(), Act::List(at(201)))]);
    let due = see(&mut late, &book, 202, &[stopped("i")]);
    assert_eq!(due, [("i".to_owned(), Act::Call(Call::Delete))]);
    assert!(call(&mut late, &book, 203, &stopped("i"), true));
    assert_eq!(see(&mut late, &book, 204, &[]), []);
    // A start makes one instance.
    assert_eq!(see(&mut late, &book, 205, &[plain("j")]), []);
}

#[test]
fn a_call_whose_answer_is_lost_is_told_when_a_list_shows_its_effect() {
    let book = given_up(voided(1, &[]));
    let mut late = watching(&book);
    see(&mut late, &book, 201, &[plain("i")]);
    let tell = |late: &mut Late, second, shown: &[Instance], call| {
        let due = see(late, &book, second, shown);
        assert_eq!(due, [("i".to_owned(), Act::Tell(call))]);
        let list = list(second, shown);
        let order = with(&book, &list, |scene| late.orders(scene, &me()).remove(0));
        late.tell(&order, call);
    };
    assert!(!call(&mut late, &book, 201, &plain("i"), false));
    assert_eq!(see(&mut late, &book, 202, &[plain("i")]), stop("i"));
    tell(&mut late, 203, &[stopped("i")], Call::Stop);
    assert!(!call(&mut late, &book, 204, &stopped("i"), false));
    // Someone has run it again.
    assert_eq!(see(&mut late, &book, 205, &[plain("i")]), []);
    tell(&mut late, 206, &[], Call::Delete);
    assert_eq!(see(&mut late, &book, 207, &[]), []);
}
