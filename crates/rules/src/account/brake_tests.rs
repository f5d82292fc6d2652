use std::sync::Arc;

use cortecs_clock::Moment;
use cortecs_resources::key::ObjectKey;
use serde_json::{Value, json};

use super::*;
use crate::{
    facts::memory::{Bound, Named},
    ledger::book::Book,
};

const SETTLE: Duration = Duration::from_secs(180);
const API: &str = "https://api.example/v1";

fn fleet() -> FleetKey {
    FleetKey::new(API, "client")
}

fn now() -> Timestamp {
    "2026-01-03T00:00:00Z".parse().unwrap()
}

fn at(second: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(second))
}

fn args(workers: i64) -> Value {
    json!({ "modelId": "org--name", "numWorkers": workers, "billingInterval": "per_minute" })
}

/// A resource whose instance `i-NAME` has run for long.
fn running(name: &str) -> Value {
    json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": {
            "namespace": "ns", "name": name, "uid": format!("uid-{name}"), "resourceVersion": "5", "generation": 1,
        },
        "spec": { "modelId": "org/name" },
        "status": {
            "account": { "namespace": "ns", "name": "main", "apiUrl": API, "clientId": "client" },
            "instanceId": format!("i-{name}"), "instanceStatus": { "status": "running" },
            "instanceArgs": args(1), "requestedArgs": args(1),
            "lastStartTime": "2026-01-02T00:00:00Z", "reachedGeneration": 1,
        },
    })
}

fn crowd(n: usize) -> Vec<Value> {
    (0..n).map(|n| running(&n.to_string())).collect()
}

fn book(resources: &[Value]) -> Book {
    let mut book = Book::default();
    for resource in resources {
        book.apply(Arc::new(serde_json::from_value(resource.clone()).unwrap()));
    }
    book
}

/// A list requested at this second: ids without their prefix, and states.
fn list(second: u64, instances: &[(&str, &str)]) -> Snapshot {
    let instances = instances.iter().map(|(name, state)| {
        let id = format!("i-{name}");
        let instance = json!({
            "instance_id": id, "instance_args": { "model_id": "org--name" }, "instance_status": { "status": state },
        });
        (id, Arc::new(serde_json::from_value(instance).unwrap()))
    });
    Snapshot {
        sequence: second,
        requested_at: at(second),
        received_at: at(second),
        instances: instances.collect(),
    }
}

fn measure_book(book: &Book, old: Option<&Snapshot>, new: &Snapshot) -> Measure {
    measure_after(&Past::default(), book, old, new)
}

fn measure_after(past: &Past, book: &Book, old: Option<&Snapshot>, new: &Snapshot) -> Measure {
    let fleet = fleet();
    let lists = Lists {
        fleet: &fleet,
        old,
        new,
        past,
    };
    measure(book.iter().map(|(_, entry)| entry), lists, SETTLE, now())
}

fn against_nothing(resources: &[Value]) -> Measure {
    measure_book(&book(resources), None, &list(100, &[]))
}

/// Each of five resources changed alike.
fn changed(change: impl Fn(&mut Value)) -> Measure {
    let mut crowd = crowd(5);
    crowd.iter_mut().for_each(change);
    against_nothing(&crowd)
}

/// Stopped, suspended, deleted.
const ORDERS: [fn(&mut Value); 3] = [
    |r| r["spec"]["state"] = json!("Stopped"),
    |r| r["spec"]["suspend"] = json!(true),
    |r| r["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z"),
];

#[test]
fn it_trips_at_three_and_more_than_half() {
    for (expected, listed, trips) in [
        (5, 0, true),
        (5, 2, true),
        (5, 3, false),
        (3, 0, true),
        (2, 0, false),
        (6, 3, false),
        (7, 3, true),
        (100, 49, true),
        (100, 50, false),
    ] {
        let names: Vec<String> = (0..listed).map(|n| n.to_string()).collect();
        let shown: Vec<_> = names.iter().map(|n| (n.as_str(), "running")).collect();
        let measure = measure_book(&book(&crowd(expected)), None, &list(100, &shown));
        assert_eq!(
            measure.trips(),
            trips,
            "{listed} of {expected}: {measure:?}"
        );
        assert_eq!(
            measure.returned(),
            2 * listed > expected,
            "{listed} of {expected}: {measure:?}"
        );
    }
}

#[test]
fn stopped_counts_as_lost_and_any_other_state_as_there() {
    for (state, lost) in [
        ("stopped", 3),
        ("pending", 0),
        ("running", 0),
        ("exploded", 0),
    ] {
        let shown = ["0", "1", "2"].map(|name| (name, state));
        let measure = measure_book(&book(&crowd(3)), None, &list(100, &shown));
        assert_eq!((measure.expected, measure.lost), (3, lost), "{state}");
    }
}

#[test]
fn what_is_ordered_here_is_no_loss() {
    assert!(changed(|_| {}).trips());
    for order in ORDERS {
        assert_eq!(changed(order).expected, 0);
    }
    assert_eq!(changed(|r| r["spec"]["numWorkers"] = json!(2)).expected, 0);
    assert_eq!(
        changed(|r| r["metadata"]["annotations"] = json!({ "cortecs.ai/restartedAt": "now" }))
            .expected,
        0
    );
    assert_eq!(
        changed(|r| r["status"]["restart"] = json!({
            "id": uuid::Uuid::from_u128(1), "requestedAt": "2026-01-02T00:00:00Z",
        }))
        .expected,
        0
    );
}

#[test]
fn what_is_not_replaced_or_restarted_yet_counts() {
    let on_delete =
        json!({ "modelId": "org/name", "numWorkers": 2, "updateStrategy": { "type": "OnDelete" } });
    assert!(changed(|r| r["spec"] = on_delete.clone()).trips());
    assert!(
        changed(|r| {
            r["metadata"]["annotations"] = json!({ "cortecs.ai/restartedAt": "then" });
            r["status"]["lastHandledRestartAt"] = json!("then");
        })
        .trips()
    );
}

#[test]
fn only_what_is_recorded_as_running_here_is_expected() {
    assert_eq!(
        changed(|r| r["status"]["instanceStatus"]["status"] = json!("stopped")).expected,
        0
    );
    assert_eq!(
        changed(|r| r["status"]["account"]["clientId"] = json!("another")),
        Measure::default()
    );
    assert_eq!(
        changed(|r| r["status"]["instanceId"] = Value::Null).expected,
        0
    );
}

#[test]
fn what_is_marked_as_missing_trips_again_unless_its_hold_is_recorded_to_have_ended() {
    let marked = |order: fn(&mut Value)| {
        let mut crowd = crowd(5);
        for resource in &mut crowd {
            resource["status"]["missingSince"] = json!("2026-01-02T00:00:00.9Z");
            order(resource);
        }
        book(&crowd)
    };
    let ended = |at: &str| Past {
        released: Some(at.parse().unwrap()),
        ..Past::default()
    };
    for order in [|_: &mut Value| {}, ORDERS[0], ORDERS[1], ORDERS[2]] {
        let book = marked(order);
        let empty = list(100, &[]);
        let trips = |past: &Past| measure_after(past, &book, None, &empty).trips();
        assert!(trips(&Past::default()), "the record of the hold is gone");
        assert!(trips(&ended("2026-01-01T00:00:00Z")), "that was another");
        assert!(!trips(&ended("2026-01-02T00:00:00Z")));
        assert!(!trips(&ended("2026-01-02T00:00:01Z")));
        let up = ["0", "1", "2"].map(|name| (name, "running"));
        assert!(!measure_book(&book, None, &list(100, &up)).trips());
    }
}

#[test]
fn what_was_down_when_a_person_resumed_does_not_trip_again() {
    let up = ["0", "1"].map(|name| (name, "running"));
    let (book, shown) = (book(&crowd(5)), list(100, &up));
    let down = down(book.iter().map(|(_, entry)| entry), &fleet(), &shown);
    assert_eq!(down.iter().collect::<Vec<_>>(), ["i-2", "i-3", "i-4"]);
    assert!(measure_book(&book, None, &shown).trips());
    let past = Past {
        excused: Arc::new(down),
        ..Past::default()
    };
    assert!(!measure_after(&past, &book, None, &shown).trips());
}

#[test]
fn what_nobody_could_record_lasts_until_it_is_back() {
    let lost = tripped();
    let shown_since = Measure {
        wanted: 5,
        down: 4,
        ..Measure::default()
    };
    let back = Measure {
        down: 0,
        ..shown_since
    };
    for (measure, held, remembered, unrecorded) in [
        (lost, false, false, true),
        (lost, true, false, false),
        (shown_since, false, false, false),
        (shown_since, false, true, true),
        (shown_since, true, true, false),
        (back, false, true, false),
    ] {
        let case = format!("{measure:?}, held {held}, remembered {remembered}");
        assert_eq!(
            is_unrecorded(measure, held, remembered),
            unrecorded,
            "{case}"
        );
    }
}

#[test]
fn a_list_that_lags_behind_a_start_is_no_loss() {
    let young = |r: &mut Value| {
        r["status"]["lastStartTime"] = json!("2026-01-02T23:59:00Z");
        r["status"]["reachedGeneration"] = Value::Null;
    };
    assert_eq!(changed(young).expected, 0);
    // Once a list has shown them, the next one that does not is.
    let mut crowd = crowd(5);
    crowd.iter_mut().for_each(young);
    let book = book(&crowd);
    let shown = ["0", "1", "2", "3", "4"].map(|name| (name, "pending"));
    assert!(measure_book(&book, Some(&list(90, &shown)), &list(100, &[])).trips());
    // And so is what was seen to run before a crash.
    assert!(changed(|r| r["status"]["lastStartTime"] = json!("2026-01-02T23:59:00Z")).trips());
}

#[test]
fn stops_and_restarts_of_this_process_are_no_loss() {
    let called = |change: fn(&mut Bound)| {
        let mut book = book(&crowd(5));
        for name in ["0", "1", "2", "3", "4"] {
            book.remember(&ObjectKey::new("ns", name), |memory| {
                let mut bound = Bound::new(format!("i-{name}"), at(50));
                change(&mut bound);
                memory.bound = Some(bound);
            });
        }
        measure_book(&book, None, &list(100, &[])).expected
    };
    assert_eq!(called(|_| {}), 5);
    assert_eq!(called(|b| b.stops = 1), 0);
    assert_eq!(called(|b| b.stop_answered = true), 0);
    assert_eq!(called(|b| b.deleted = true), 0);
    assert_eq!(
        called(|b| b.called = Some(at(100))),
        0,
        "the list may be older"
    );
    assert_eq!(
        called(|b| b.called = Some(at(99))),
        5,
        "restarted a while ago"
    );
}

#[test]
fn a_return_needs_the_list_and_the_statuses() {
    let up = ["0", "1", "2", "3", "4"].map(|name| (name, "running"));
    let mut crowd = crowd(5);
    assert!(measure_book(&book(&crowd), None, &list(100, &up)).returned());
    for resource in &mut crowd {
        resource["status"]["instanceStatus"]["status"] = json!("stopped");
    }
    let measure = measure_book(&book(&crowd), None, &list(100, &up));
    assert!(
        !measure.returned(),
        "the statuses do not show it yet: {measure:?}"
    );
    crowd.truncate(1);
    let measure = measure_book(&book(&crowd), None, &list(100, &[]));
    assert!(!measure.returned(), "the last one counts too: {measure:?}");
}

#[test]
fn what_people_stop_or_delete_meanwhile_is_no_return() {
    for order in ORDERS {
        for ordered in 1..=5 {
            let mut missing = crowd(5);
            for resource in &mut missing {
                resource["status"]["missingSince"] = json!("2026-01-02T00:00:00Z");
            }
            missing[..ordered].iter_mut().for_each(order);
            let measure = measure_book(&book(&missing), None, &list(100, &[]));
            assert!(!measure.returned(), "{ordered}: {measure:?}");
            let few = measure_book(&book(&missing), None, &list(100, &[("0", "running")]));
            assert!(!few.returned(), "{ordered}: {few:?}");
        }
        // In a stop of everything those that are to run count.
        let mut stopped = crowd(5);
        for resource in &mut stopped {
            resource["status"]["instanceStatus"]["status"] = json!("stopped");
        }
        let shown = ["0", "1", "2", "3", "4"].map(|name| (name, "stopped"));
        stopped[..4].iter_mut().for_each(order);
        let measure = measure_book(&book(&stopped), None, &list(100, &shown));
        assert!(!measure.returned(), "{measure:?}");
        order(&mut stopped[4]);
        let measure = measure_book(&book(&stopped), None, &list(100, &shown));
        assert!(measure.returned(), "all as ordered: {measure:?}");
    }
}

#[test]
fn what_was_stopped_long_before_is_no_return() {
    let mut all = crowd(8);
    for resource in &mut all[..5] {
        ORDERS[0](resource);
        resource["status"]["instanceStatus"]["status"] = json!("stopped");
    }
    // Listed as ever, while those that ran are not, and are given up by people.
    let shown = ["0", "1", "2", "3", "4"].map(|name| (name, "stopped"));
    for order in ORDERS {
        all[5..].iter_mut().for_each(order);
        let measure = measure_book(&book(&all), None, &list(100, &shown));
        assert!(!measure.returned(), "{measure:?}");
    }
}

#[test]
fn what_is_ordered_and_listed_is_back() {
    let up = ["0", "1", "2", "3", "4"].map(|name| (name, "running"));
    for order in ORDERS {
        let mut crowd = crowd(5);
        crowd.iter_mut().for_each(order);
        let measure = measure_book(&book(&crowd), None, &list(100, &up));
        assert!(measure.returned(), "{measure:?}");
        let measure = measure_book(&book(&crowd), None, &list(100, &up[..2]));
        assert!(!measure.returned(), "{measure:?}");
    }
}

#[test]
fn where_nothing_is_left_nothing_is_held() {
    let nothing = |resources: &[Value]| measure_book(&book(resources), None, &list(100, &[]));
    assert!(nothing(&[]).returned());
    let mut elsewhere = running("a");
    elsewhere["status"]["account"]["clientId"] = json!("another");
    assert!(nothing(&[elsewhere]).returned());
    let mut starting = running("a");
    starting["status"]["instanceId"] = Value::Null;
    assert!(!nothing(&[starting]).returned(), "a start is open");
    let mut emptied = running("a");
    emptied["status"] = Value::Null;
    let mut book = book(&[emptied]);
    book.remember(&ObjectKey::new("ns", "a"), |memory| {
        memory.named = Some(Named {
            api_url: API.to_owned(),
            bound: Bound::new("i-a".to_owned(), at(50)),
        });
    });
    let restored = measure_book(&book, None, &list(100, &[]));
    assert!(!restored.returned(), "its annotation names one");
}

#[test]
fn what_others_stop_as_they_may_neither_trips_nor_holds() {
    let accept = json!({ "modelId": "org/name", "driftPolicy": "Accept" });
    let shown = ["0", "1", "2", "3", "4"].map(|name| (name, "stopped"));
    let mut crowd = crowd(5);
    crowd.iter_mut().for_each(|r| r["spec"] = accept.clone());
    let stopped = measure_book(&book(&crowd), None, &list(100, &shown));
    assert!(!stopped.trips() && stopped.returned(), "{stopped:?}");
    // An empty list may be a wrong one.
    let gone = measure_book(&book(&crowd), None, &list(100, &[]));
    assert!(gone.trips() && !gone.returned(), "{gone:?}");
    // What would be started again all the same counts.
    for resource in &mut crowd {
        resource["metadata"]["generation"] = json!(2);
    }
    let changed = measure_book(&book(&crowd), None, &list(100, &shown));
    assert!(changed.trips() && !changed.returned(), "{changed:?}");
}

fn tripped() -> Measure {
    Measure {
        expected: 5,
        lost: 4,
        ..Measure::default()
    }
}

fn hold() -> Hold {
    next_hold(
        Situation {
            trip: Some((&fleet(), tripped())),
            ..calm()
        },
        now(),
    )
    .0
    .unwrap()
}

fn calm() -> Situation<'static> {
    Situation {
        hold: None,
        last_handled_resume: None,
        resume: None,
        trip: None,
        returned: false,
    }
}

#[test]
fn a_hold_begins_once_and_says_what_it_is_about() {
    let begun = hold();
    assert_eq!((begun.lost, begun.expected, begun.since), (4, 5, now()));
    assert!(holds(&begun, &fleet()) && !holds(&begun, &FleetKey::new(API, "other")));
    let later = now() + SETTLE;
    let again = Situation {
        hold: Some(&begun),
        trip: Some((&fleet(), tripped())),
        ..calm()
    };
    assert_eq!(next_hold(again, later).0, Some(begun.clone()));
    let other = FleetKey::new(API, "other");
    let elsewhere = Situation {
        hold: Some(&begun),
        trip: Some((&other, tripped())),
        ..calm()
    };
    assert_eq!(next_hold(elsewhere, later).0.unwrap().client_id, "other");
}

#[test]
fn it_ends_by_a_return_or_a_new_order() {
    let held = hold();
    let situation = Situation {
        hold: Some(&held),
        ..calm()
    };
    assert_eq!(next_hold(situation, now()), (Some(held.clone()), None));
    let returned = Situation {
        returned: true,
        ..situation
    };
    assert_eq!(next_hold(returned, now()), (None, None));
    let resumed = Situation {
        resume: Some("1"),
        ..situation
    };
    assert_eq!(next_hold(resumed, now()), (None, Some("1".into())));
}

#[test]
fn an_order_from_before_the_hold_releases_nothing() {
    let before = Situation {
        resume: Some("1"),
        ..calm()
    };
    assert_eq!(next_hold(before, now()), (None, Some("1".into())));
    let trip = Situation {
        trip: Some((&fleet(), tripped())),
        ..before
    };
    let (held, handled) = next_hold(trip, now());
    assert_eq!(handled.as_deref(), Some("1"));
    let after = Situation {
        hold: held.as_ref(),
        last_handled_resume: handled.as_deref(),
        resume: Some("1"),
        ..calm()
    };
    assert_eq!(next_hold(after, now()), (held.clone(), handled.clone()));
    let removed = Situation {
        resume: None,
        ..after
    };
    assert_eq!(
        next_hold(removed, now()),
        (held.clone(), handled.clone()),
        "and given anew it is still old"
    );
    let anew = Situation {
        resume: Some("2"),
        ..after
    };
    assert_eq!(next_hold(anew, now()), (None, Some("2".into())));
}

#[test]
fn a_mass_change_is_made_known_only_under_a_hold_that_nobody_is_ending() {
    let back = Measure {
        wanted: 5,
        ..Measure::default()
    };
    let lost = Measure {
        expected: 5,
        lost: 5,
        wanted: 5,
        down: 5,
        ..Measure::default()
    };
    // After the statuses have taken it over nothing is lost any more, and nothing is back either.
    let taken_over = Measure {
        expected: 0,
        lost: 0,
        ..lost
    };
    for (measure, held, releasing, known) in [
        (back, false, false, true),
        (lost, false, false, false),
        (taken_over, false, false, true),
        (lost, true, false, true),
        (taken_over, true, false, true),
        (taken_over, true, true, false),
        (lost, true, true, false),
        (back, true, true, true),
    ] {
        let case = format!("{measure:?}, held {held}, releasing {releasing}");
        assert_eq!(may_be_known(measure, held, releasing), known, "{case}");
    }
}
