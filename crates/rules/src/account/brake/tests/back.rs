//! When so much is back that nothing needs to be on hold.

use super::*;
use crate::facts::{bound::Bound, memory::Named};

#[test]
fn a_return_needs_the_list_and_the_statuses() {
    let up = ["0", "1", "2", "3", "4"].map(|name| (name, "running"));
    let mut crowd = crowd(5);
    assert!(measure_book(&Book::of(&crowd), None, &list(100, &up)).returned());
    for resource in &mut crowd {
        resource["status"]["instanceStatus"]["status"] = json!("stopped");
    }
    let measure = measure_book(&Book::of(&crowd), None, &list(100, &up));
    assert!(
        !measure.returned(),
        "the statuses do not show it yet: {measure:?}"
    );
    crowd.truncate(1);
    let measure = measure_book(&Book::of(&crowd), None, &list(100, &[]));
    assert!(!measure.returned(), "the last one counts too: {measure:?}");
}

#[test]
fn what_people_stop_or_delete_meanwhile_is_no_return() {
    for order in ORDERS {
        for ordered in 1..=5 {
            let mut missing = crowd(5);
            for resource in &mut missing {
                slot(resource)["missingSince"] = json!("2026-01-02T00:00:00Z");
            }
            missing[..ordered].iter_mut().for_each(order);
            let measure = measure_book(&Book::of(&missing), None, &list(100, &[]));
            assert!(!measure.returned(), "{ordered}: {measure:?}");
            let few = measure_book(&Book::of(&missing), None, &list(100, &[("0", "running")]));
            assert!(!few.returned(), "{ordered}: {few:?}");
        }
        // In a stop of everything those that are to run count.
        let mut stopped = crowd(5);
        for resource in &mut stopped {
            resource["status"]["instanceStatus"]["status"] = json!("stopped");
        }
        let shown = ["0", "1", "2", "3", "4"].map(|name| (name, "stopped"));
        stopped[..4].iter_mut().for_each(order);
        let measure = measure_book(&Book::of(&stopped), None, &list(100, &shown));
        assert!(!measure.returned(), "{measure:?}");
        order(&mut stopped[4]);
        let measure = measure_book(&Book::of(&stopped), None, &list(100, &shown));
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
        let measure = measure_book(&Book::of(&all), None, &list(100, &shown));
        assert!(!measure.returned(), "{measure:?}");
    }
}

#[test]
fn what_is_ordered_and_listed_is_back() {
    let up = ["0", "1", "2", "3", "4"].map(|name| (name, "running"));
    for order in ORDERS {
        let mut crowd = crowd(5);
        crowd.iter_mut().for_each(order);
        let measure = measure_book(&Book::of(&crowd), None, &list(100, &up));
        assert!(measure.returned(), "{measure:?}");
        let measure = measure_book(&Book::of(&crowd), None, &list(100, &up[..2]));
        assert!(!measure.returned(), "{measure:?}");
    }
}

#[test]
fn where_nothing_is_left_nothing_is_held() {
    let nothing = |resources: &[Value]| measure_book(&Book::of(resources), None, &list(100, &[]));
    assert!(nothing(&[]).returned());
    let mut elsewhere = running("a");
    elsewhere["status"]["account"]["clientId"] = json!("another");
    assert!(nothing(&[elsewhere]).returned());
    let mut starting = running("a");
    starting["status"]["instanceId"] = Value::Null;
    assert!(!nothing(&[starting]).returned(), "a start is open");
    let mut emptied = running("a");
    emptied["status"] = Value::Null;
    let mut book = Book::of(&[emptied]);
    book.remember(&ObjectKey::new("ns", "a"), |memory| {
        memory.named = Some(Named {
            fleet: FleetKey::new(API, "client"),
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
    let stopped = measure_book(&Book::of(&crowd), None, &list(100, &shown));
    assert!(!stopped.trips() && stopped.returned(), "{stopped:?}");
    // An empty list may be a wrong one.
    let gone = measure_book(&Book::of(&crowd), None, &list(100, &[]));
    assert!(gone.trips() && !gone.returned(), "{gone:?}");
    // A resource that would be started again in any case counts.
    for resource in &mut crowd {
        resource["metadata"]["generation"] = json!(2);
    }
    let changed = measure_book(&Book::of(&crowd), None, &list(100, &shown));
    assert!(changed.trips() && !changed.returned(), "{changed:?}");
}
