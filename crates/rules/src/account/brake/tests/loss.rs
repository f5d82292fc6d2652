//! Which resources are expected to run, and which instances count as lost.

use super::*;
use crate::facts::bound::Bound;

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
        let measure = measure_book(&Book::of(&crowd(expected)), None, &list(100, &shown));
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
        let measure = measure_book(&Book::of(&crowd(3)), None, &list(100, &shown));
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
        changed(|r| slot(r)["restart"] = json!({
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
            slot(resource)["missingSince"] = json!("2026-01-02T00:00:00.9Z");
            order(resource);
        }
        Book::of(&crowd)
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
    let (book, shown) = (Book::of(&crowd(5)), list(100, &up));
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
        slot(r)["lastStartTime"] = json!("2026-01-02T23:59:00Z");
        slot(r)["reachedGeneration"] = Value::Null;
    };
    assert_eq!(changed(young).expected, 0);
    // Once a list has shown them, the next one that does not is.
    let mut crowd = crowd(5);
    crowd.iter_mut().for_each(young);
    let book = Book::of(&crowd);
    let shown = ["0", "1", "2", "3", "4"].map(|name| (name, "pending"));
    assert!(measure_book(&book, Some(&list(90, &shown)), &list(100, &[])).trips());
    // And so is what was seen to run before a crash.
    assert!(changed(|r| slot(r)["lastStartTime"] = json!("2026-01-02T23:59:00Z")).trips());
}

#[test]
fn stops_and_restarts_of_this_process_are_no_loss() {
    let called = |change: fn(&mut Bound)| {
        let mut book = Book::of(&crowd(5));
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
