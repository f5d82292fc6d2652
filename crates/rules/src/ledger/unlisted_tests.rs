//! Lists that lack instances.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::facts::{bound::Bound, stored::stored};

const API: &str = "https://api";
const SETTLE: Duration = Duration::from_secs(100);

fn at(second: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(second))
}

/// A book with a resource whose instance `i-1` was first seen bound at second 1000.
fn book(client_id: &str, change: impl FnOnce(&mut Bound)) -> Book {
    let account =
        json!({ "namespace": "ns", "name": "main", "apiUrl": API, "clientId": client_id });
    let mut book = Book::of(&[json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": { "namespace": "ns", "name": "a", "uid": "uid-a", "resourceVersion": "1" },
        "spec": { "modelId": "org/name" },
        "status": stored(json!({ "instanceId": "i-1", "account": account })),
    })]);
    let mut bound = Bound::new("i-1".to_owned(), at(1000));
    change(&mut bound);
    book.remember(&ObjectKey::new("ns", "a"), |memory| {
        memory.bound = Some(bound)
    });
    book
}

fn fleet() -> FleetKey {
    FleetKey::new(API, "client")
}

/// Whether gets have found what an empty list lacks; `None` if nothing is missing.
fn missing_at(book: &Book, second: u64) -> Option<bool> {
    let (fleet, list) = (fleet(), empty());
    let mut missing = missing(book, &fleet, &list, at(second), SETTLE);
    let found = missing.next().map(|missing| {
        assert_eq!(missing.instance_id, "i-1");
        missing.is_found
    });
    assert!(missing.next().is_none());
    found
}

fn empty() -> Snapshot {
    Snapshot {
        sequence: 1,
        requested_at: at(2000),
        received_at: at(2000),
        instances: BTreeMap::new(),
    }
}

/// An instance may be too new for a list for half the settle time.
#[test]
fn what_is_new_or_being_removed_is_not_missing() {
    let plain = book("client", |_| {});
    assert_eq!(missing_at(&plain, 1049), None);
    assert_eq!(missing_at(&plain, 1050), Some(false));
    let found = book("client", |bound| bound.unlisted_since = Some(at(1200)));
    assert_eq!(missing_at(&found, 1200), Some(true));
    let changes: [fn(&mut Bound); 2] = [
        |bound| bound.removal_tried = true,
        |bound| bound.deleted = true,
    ];
    for change in changes {
        assert_eq!(missing_at(&book("client", change), 2000), None);
    }
    assert_eq!(missing_at(&book("another", |_| {}), 2000), None);
}

#[test]
fn what_gets_find_is_counted_when_lists_lack_it_for_the_settle_time() {
    let counted = |book: &Book, second| count(book, &fleet(), at(second), SETTLE);
    let found = book("client", |bound| bound.unlisted_since = Some(at(1200)));
    assert_eq!((counted(&found, 1299), counted(&found, 1300)), (0, 1));
    let elsewhere = book("another", |bound| bound.unlisted_since = Some(at(1200)));
    assert_eq!(counted(&elsewhere, 2000), 0);
    assert_eq!(counted(&book("client", |_| {}), 2000), 0);
}
