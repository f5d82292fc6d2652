//! What an account's own order has stopped is no mass change.

use super::*;
use crate::{account::stop_all::open, facts::stop_order::StopOrder};

const ALL: [&str; 5] = ["0", "1", "2", "3", "4"];

/// An order that ended then, or goes on.
fn ordered(ended: Option<&str>) -> Past {
    let ended = ended.map(|ended| ended.parse().unwrap());
    Past {
        stop: Some(StopOrder { ended }),
        ..Past::default()
    }
}

#[test]
fn an_ordered_stop_of_everything_is_no_mass_change_and_what_is_not_listed_is() {
    let book = Book::of(&crowd(5));
    let stopped = list(100, &ALL.map(|name| (name, "stopped")));
    let unordered = measure_book(&book, None, &stopped);
    assert!(unordered.trips());
    assert_eq!(unordered.unnoted, 0);
    // The instances have run since before both orders.
    for past in [ordered(None), ordered(Some("2026-01-02T12:00:00Z"))] {
        let measure = measure_after(&past, &book, None, &stopped);
        assert!(!measure.trips(), "{measure:?}");
        assert_eq!((measure.unnoted, measure.expected), (5, 0));
        assert!(!measure.returned(), "an earlier hold goes on: {measure:?}");
        let cut = list(100, &[("0", "stopped"), ("1", "stopped")]);
        let measure = measure_after(&past, &book, None, &cut);
        assert!(measure.trips(), "a stop removes nothing: {measure:?}");
    }
    let long_ago = ordered(Some("2026-01-01T12:00:00Z"));
    let measure = measure_after(&long_ago, &book, None, &stopped);
    assert!(measure.trips(), "they were started after it: {measure:?}");
    assert_eq!(measure.unnoted, 0);
}

#[test]
fn what_is_to_be_restarted_is_missing_for_the_return_whatever_the_drift_policy() {
    let mut crowd = crowd(5);
    for resource in &mut crowd {
        resource["spec"]["driftPolicy"] = json!("Accept");
    }
    let stopped = list(100, &ALL.map(|name| (name, "stopped")));
    let measure = measure_after(&ordered(None), &Book::of(&crowd), None, &stopped);
    assert!(!measure.returned() && !measure.trips(), "{measure:?}");
    // Taken note of: the operator restarts them.
    for resource in &mut crowd {
        resource["status"]["instanceStatus"]["status"] = json!("stopped");
        slot(resource)["reachedGeneration"] = Value::Null;
    }
    let measure = measure_after(&ordered(None), &Book::of(&crowd), None, &stopped);
    assert_eq!((measure.unnoted, measure.expected, measure.down), (0, 0, 5));
}

#[test]
fn starts_and_restarts_that_are_open_are_found() {
    let mut restarting = running("a");
    slot(&mut restarting)["restart"] =
        json!({ "id": uuid::Uuid::from_u128(1), "requestedAt": "2026-01-02T00:00:00Z" });
    let mut starting = running("b");
    starting["status"]["instanceId"] = Value::Null;
    slot(&mut starting)["start"] = json!({
        "id": uuid::Uuid::from_u128(2), "requestedAt": "2026-01-02T00:00:00Z", "args": args(1),
    });
    let mut elsewhere = starting.clone();
    elsewhere["metadata"]["name"] = json!("c");
    elsewhere["status"]["account"]["clientId"] = json!("another");
    let all = [restarting, starting, elsewhere, running("d")];
    let open = |all: &[Value]| open(&Book::of(all), &fleet()).one.map(|key| key.name);
    assert_eq!(open(&all), Some("a".to_owned()));
    assert_eq!(open(&all[1..]), Some("b".to_owned()));
    assert_eq!(open(&all[2..]), None);

    let mut claimed = running("e");
    claimed["status"]["conditions"] = json!([{
        "type": "Ready", "status": "False", "reason": "InstanceClaimed", "message": "", "lastTransitionTime": "2026-01-02T00:00:00Z",
    }]);
    let stopped = list(100, &[("e", "stopped")]);
    let of =
        |resource: Value| measure_after(&ordered(None), &Book::of(&[resource]), None, &stopped);
    assert_eq!((of(running("e")).unnoted, of(claimed).unnoted), (1, 0));
}
