//! The book of claims.

use serde_json::{Value, json};

use super::*;
use crate::facts::{memory::WritingStart, stored::stored};

impl Book {
    /// A book of these resources, each in JSON.
    pub(crate) fn of(resources: &[Value]) -> Self {
        let mut book = Self::default();
        for resource in resources {
            book.apply(Arc::new(serde_json::from_value(resource.clone()).unwrap()));
        }
        book
    }
}

fn resource(name: &str, version: &str, status: serde_json::Value) -> Arc<CortecsInstance> {
    Arc::new(
        serde_json::from_value(json!({
            "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
            "metadata": { "namespace": "ns", "name": name, "uid": format!("uid-{name}"), "resourceVersion": version },
            "spec": { "modelId": "org/name" },
            "status": stored(status),
        }))
        .unwrap(),
    )
}

fn bound(name: &str, version: &str, id: &str) -> Arc<CortecsInstance> {
    let account =
        json!({ "namespace": "ns", "name": "a", "apiUrl": "https://api", "clientId": "c" });
    resource(
        name,
        version,
        json!({ "instanceId": id, "account": account }),
    )
}

fn key(name: &str) -> ObjectKey {
    ObjectKey::new("ns", name)
}

#[test]
fn an_older_version_changes_nothing() {
    let mut book = Book::default();
    book.apply(bound("a", "100", "i-1"));
    book.apply(bound("a", "99", "i-0"));
    assert!(book.is_claimed_by_other("https://api", "i-1", &key("b")));
    assert!(!book.is_claimed_by_other("https://api", "i-0", &key("b")));
}

#[test]
fn claims_follow_the_resource_and_are_kept_apart_by_api() {
    let mut book = Book::default();
    book.apply(bound("a", "1", "i-1"));
    assert!(!book.is_claimed_by_other("https://api", "i-1", &key("a")));
    assert!(!book.is_claimed_by_other("https://other", "i-1", &key("b")));
    book.apply(bound("a", "2", "i-2"));
    assert!(!book.is_claimed_by_other("https://api", "i-1", &key("b")));
    book.reserve(&key("a"), "https://api", "i-3");
    assert!(book.is_claimed_by_other("https://api", "i-3", &key("b")));
    book.release(&key("a"));
    assert!(!book.is_claimed_by_other("https://api", "i-3", &key("b")));
    assert!(book.deleted(&bound("a", "3", "i-2")).is_some());
    assert_eq!(book.claimants("https://api", "i-2").count(), 0);
}

fn names(went: impl IntoIterator<Item = Entry>) -> Vec<String> {
    let uids = went.into_iter().filter_map(|e| e.resource.uid());
    let mut uids: Vec<String> = uids.collect();
    uids.sort();
    uids
}

#[test]
fn however_it_is_learned_what_went_is_given_back_once_with_what_it_had() {
    let three = || {
        let mut book = Book::default();
        for (name, version) in [("a", "1"), ("b", "2"), ("c", "30")] {
            book.apply(bound(name, version, &format!("i-{name}")));
        }
        book.remember(&key("a"), |memory| memory.released = true);
        book
    };
    let ends_with_a = |went: Vec<Entry>, book: &mut Book| {
        assert_eq!(names(went.clone()), ["uid-a"]);
        assert_eq!(went[0].bound_id(), Some("i-a"));
        assert!(went[0].memory.released);
        assert!(!book.is_claimed("https://api", "i-a") && book.is_claimed("https://api", "i-b"));
        // The watch says it once more.
        assert!(book.deleted(&bound("a", "31", "i-a")).is_none());
    };
    let mut book = three();
    let went = Vec::from_iter(book.deleted(&bound("a", "31", "i-a")));
    ends_with_a(went, &mut book);

    let mut book = three();
    book.begin_listing(None);
    book.apply(bound("b", "2", "i-b"));
    book.apply(bound("c", "30", "i-c"));
    ends_with_a(book.end_listing(&None), &mut book);

    let mut book = three();
    book.begin_quorum_read();
    // What is newer than the read has not gone.
    let went = book.quorum_read(&None, vec![bound("b", "2", "i-b")], "20");
    ends_with_a(went, &mut book);
}

#[test]
fn what_another_object_of_the_same_name_replaces_went() {
    let other = |version| {
        let mut other = Arc::unwrap_or_clone(resource("a", version, json!({})));
        other.metadata.uid = Some("uid-other".into());
        Arc::new(other)
    };
    for learn in [
        |book: &mut Book, other| Vec::from_iter(book.apply(other)),
        |book: &mut Book, other| Vec::from_iter(book.refresh(other)),
        |book: &mut Book, other| book.quorum_read(&None, vec![other], "20"),
    ] {
        let mut book = Book::default();
        assert_eq!(names(book.apply(bound("a", "1", "i-1"))), [""; 0]);
        assert_eq!(names(book.apply(bound("a", "2", "i-1"))), [""; 0]);
        assert_eq!(names(learn(&mut book, other("3"))), ["uid-a"]);
        assert!(!book.is_claimed("https://api", "i-1"));
        assert_eq!(names(learn(&mut book, other("3"))), [""; 0]);
    }
}

#[test]
fn a_write_that_lands_after_the_deletion_brings_nothing_back() {
    let mut book = Book::default();
    book.apply(bound("a", "1", "i-1"));
    book.deleted(&bound("a", "1", "i-1"));
    book.wrote(bound("a", "2", "i-1"));
    assert!(book.get(&key("a")).is_none());
}

#[test]
fn what_a_new_listing_lacks_is_gone() {
    let mut book = Book::default();
    book.apply(bound("a", "1", "i-1"));
    book.apply(bound("b", "2", "i-2"));
    book.begin_listing(None);
    book.apply(bound("b", "2", "i-2"));
    book.end_listing(&None);
    assert!(book.get(&key("a")).is_none() && book.get(&key("b")).is_some());
}

#[test]
fn a_quorum_read_keeps_what_is_newer_than_itself() {
    let mut book = Book::default();
    book.apply(bound("old", "1", "i-1"));
    book.apply(bound("new", "30", "i-2"));
    book.quorum_read(&None, vec![], "20");
    let began = Moment::from_boot(std::time::Duration::from_secs(5));
    book.read_by_quorum(began);
    assert!(book.get(&key("old")).is_none() && book.get(&key("new")).is_some());
    assert_eq!(book.quorum_read_at(), Some(began));
}

#[test]
fn a_quorum_read_brings_nothing_back_that_went_meanwhile() {
    let mut book = Book::default();
    book.apply(bound("a", "1", "i-1"));
    book.begin_quorum_read();
    book.deleted(&bound("a", "3", "i-1"));
    book.quorum_read(
        &None,
        vec![bound("a", "1", "i-1"), bound("b", "2", "i-2")],
        "2",
    );
    book.read_by_quorum(Moment::default());
    assert!(book.get(&key("a")).is_none() && book.get(&key("b")).is_some());
}

#[test]
fn versions_are_compared_as_numbers() {
    assert_eq!(compare_decimal("9", "10"), Ordering::Less);
    assert_eq!(compare_decimal("010", "10"), Ordering::Equal);
    assert_eq!(
        compare_decimal("18446744073709551617", "18446744073709551616"),
        Ordering::Greater
    );
}

fn emptied(name: &str, version: &str) -> Arc<CortecsInstance> {
    let status = json!({ "observedGeneration": -1 });
    resource(name, version, status)
}

#[test]
fn a_status_that_someone_else_empties_is_kept() {
    let mut book = Book::default();
    book.apply(bound("a", "1", "i-1"));
    for version in ["2", "3"] {
        book.apply(emptied("a", version));
        let entry = book.get(&key("a")).unwrap();
        assert!(entry.memory.status_lost);
        assert_eq!(entry.bound_id(), Some("i-1"));
        let known = entry.resource.metadata.resource_version.as_deref();
        assert_eq!(
            known,
            Some(version),
            "it is written back under this version"
        );
    }
    assert!(book.is_claimed_by_other("https://api", "i-1", &key("b")));
    book.apply(bound("a", "4", "i-1"));
    assert!(!book.get(&key("a")).unwrap().memory.status_lost);
}

#[test]
fn another_object_of_the_same_name_inherits_no_status() {
    let mut book = Book::default();
    book.apply(bound("a", "1", "i-1"));
    let mut other = Arc::unwrap_or_clone(emptied("a", "2"));
    other.metadata.uid = Some("uid-other".into());
    book.apply(Arc::new(other));
    let entry = book.get(&key("a")).unwrap();
    assert!(!entry.memory.status_lost && entry.bound_id().is_none());
}

/// A resource that is removed by force while a start is open leaves an instance that looks new to that start.
#[test]
fn what_a_resource_had_that_went_while_a_start_was_open_is_remembered_until_none_is() {
    let account =
        json!({ "namespace": "ns", "name": "a", "apiUrl": "https://api", "clientId": "c" });
    let start = json!({ "id": uuid::Uuid::nil(), "requestedAt": "2026-01-01T00:00:00Z", "args": { "modelId": "m" } });
    let mut book = Book::default();
    let quiet = bound("early", "1", "i-early");
    book.apply(Arc::clone(&quiet));
    book.deleted(&quiet);
    assert!(
        !book.was_let_go("https://api", "i-early"),
        "no start was open"
    );

    let starting = resource(
        "starting",
        "2",
        json!({ "account": account, "start": start }),
    );
    book.apply(Arc::clone(&starting));
    let forced = bound("forced", "3", "i-forced");
    book.apply(Arc::clone(&forced));
    book.deleted(&forced);
    assert!(book.was_let_go("https://api", "i-forced"));
    assert!(!book.was_let_go("https://elsewhere", "i-forced"));
    book.deleted(&starting);
    book.apply(Arc::clone(&quiet));
    book.deleted(&quiet);
    assert!(!book.was_let_go("https://api", "i-forced"));
}

/// The watch may bring the intent before the write of it is answered: it is no start of unknown outcome.
#[test]
fn an_intent_that_is_being_written_is_not_called_until_another_version_tells() {
    let account =
        json!({ "namespace": "ns", "name": "a", "apiUrl": "https://api", "clientId": "c" });
    let start = json!({ "id": uuid::Uuid::nil(), "requestedAt": "2026-01-01T00:00:00Z", "args": { "modelId": "m" } });
    for (intent, version, being_written) in [(Some(&start), "2", true), (None, "3", false)] {
        let mut book = Book::default();
        book.apply(resource("a", "1", json!({})));
        let writing = WritingStart {
            intent: serde_json::from_value(start.clone()).unwrap(),
            account: serde_json::from_value(account.clone()).unwrap(),
            since: Moment::default(),
        };
        book.remember(&key("a"), |memory| {
            memory.writing_start = Some(Arc::new(writing));
        });
        let status = json!({ "account": account, "start": intent });
        book.apply(resource("a", version, status));
        assert_eq!(book.is_start_being_written(&key("b")), being_written);
        let me = key("b");
        let progress = book
            .open_starts("https://api", &me)
            .map(|open| open.progress);
        let expected = Vec::from_iter(intent.map(|_| Progress::NotCalled));
        assert_eq!(progress.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_newer_version_of_the_same_object_is_known() {
    let mut book = Book::default();
    book.apply(bound("a", "10", "i-1"));
    assert!(book.knows_newer(&bound("a", "9", "i-1")));
    assert!(!book.knows_newer(&bound("a", "10", "i-1")));
    assert!(!book.knows_newer(&bound("a", "11", "i-1")));
    assert!(!book.knows_newer(&bound("b", "1", "i-1")));
    let mut other = Arc::unwrap_or_clone(bound("a", "9", "i-1"));
    other.metadata.uid = Some("uid-other".into());
    assert!(!book.knows_newer(&other));
}

#[test]
fn a_write_is_known_at_once() {
    let mut book = Book::default();
    book.apply(bound("a", "1", "i-1"));
    book.wrote(bound("a", "2", "i-2"));
    assert!(book.is_claimed("https://api", "i-2") && !book.is_claimed("https://api", "i-1"));
    let mut other = Arc::unwrap_or_clone(bound("a", "3", "i-3"));
    other.metadata.uid = Some("uid-other".into());
    book.wrote(Arc::new(other));
    assert!(!book.is_claimed("https://api", "i-3"), "it is gone");
}

#[test]
fn the_newest_version_is_known_whatever_went() {
    let mut book = Book::default();
    assert_eq!(book.newest(), "");
    for (version, newest) in [("9", "9"), ("10", "10"), ("8", "10")] {
        book.apply(bound(version, version, "i-1"));
        assert_eq!(book.newest(), newest);
    }
    book.deleted(&bound("10", "10", "i-1"));
    assert_eq!(book.newest(), "10");
    assert!(is_older("9", "10") && !is_older("10", "10") && !is_older("10", "9"));
}

#[test]
fn each_resource_is_given_in_the_version_that_is_known() {
    let mut book = Book::default();
    book.apply(bound("a", "1", "i-1"));
    book.apply(bound("a", "2", "i-2"));
    book.apply(bound("b", "3", "i-3"));
    let resources = book.resources();
    let version = |name: &str| resources[&key(name)].metadata.resource_version.clone();
    assert_eq!(resources.len(), 2);
    assert_eq!(
        (version("a"), version("b")),
        (Some("2".into()), Some("3".into()))
    );
}

/// A watch of one namespace says nothing about resources in another one.
#[test]
fn a_listing_covers_its_namespace_only() {
    let mut elsewhere = Arc::unwrap_or_clone(bound("b", "1", "i-2"));
    elsewhere.metadata.namespace = Some("elsewhere".into());
    let scope = Some("ns".to_owned());
    let learn: [fn(&mut Book, &Scope) -> Vec<Entry>; 2] = [
        |book, scope| {
            book.begin_listing(scope.clone());
            book.end_listing(scope)
        },
        |book, scope| book.quorum_read(scope, Vec::new(), "20"),
    ];
    for learn in learn {
        let mut book = Book::default();
        book.apply(bound("a", "1", "i-1"));
        book.apply(Arc::new(elsewhere.clone()));
        assert_eq!(names(learn(&mut book, &scope)), ["uid-a"]);
        assert_eq!(names(learn(&mut book, &None)), ["uid-b"]);
    }
}

#[test]
fn a_quorum_read_that_fails_leaves_nothing_to_remember() {
    let mut book = Book::default();
    book.begin_quorum_read();
    book.abandon_quorum_read();
    assert!(book.gone_meanwhile.is_none());
}

/// After a crash nobody knows of a reservation.
#[test]
fn only_what_a_status_records_is_recorded() {
    let mut book = Book::default();
    book.apply(bound("a", "1", "i-1"));
    book.reserve(&key("a"), "https://api", "i-2");
    let is_recorded = |api_url, id, me| book.is_recorded_for_other(api_url, id, &key(me));
    assert!(is_recorded("https://api", "i-1", "b"));
    assert!(!is_recorded("https://api", "i-1", "a"));
    assert!(!is_recorded("https://other", "i-1", "b"));
    assert!(!is_recorded("https://api", "i-2", "b"));
    assert!(book.is_claimed("https://api", "i-2"));
    assert!(!book.is_claimed("https://other", "i-2"));
}
