//! The book takes note of resources together with whether they could be decoded.

use std::sync::Arc;

use cortecs_resources::{CortecsInstance, decode::Decoded, key::ObjectKey};
use kube::ResourceExt;

use super::{book::Book, entry::Entry};

/// Where a status has the open start.
const START: &str = "status.journal.slots.current.start";

/// As [`Book::apply`].
pub fn apply(book: &mut Book, decoded: &Decoded<CortecsInstance>) -> Option<Entry> {
    let gone = book.apply(kept(book, decoded));
    mark(book, decoded);
    gone
}

/// As [`Book::refresh`].
pub fn refresh(book: &mut Book, decoded: &Decoded<CortecsInstance>) -> Option<Entry> {
    let gone = book.refresh(kept(book, decoded));
    mark(book, decoded);
    gone
}

/// The resource as the book takes it: an open start that cannot be decoded any more is still open.
pub fn kept(book: &Book, decoded: &Decoded<CortecsInstance>) -> Arc<CortecsInstance> {
    let resource = &decoded.object;
    let problem = decoded.problem.as_ref();
    let known = book.get(&ObjectKey::of(decoded));
    let known = known.filter(|entry| entry.resource.uid() == resource.uid());
    let before = known.and_then(|entry| entry.resource.status.as_ref());
    let status = resource.status.as_ref();
    let is_lost = problem.is_some_and(|problem| problem.lacks(START))
        && status.is_none_or(|status| status.slot().start.is_none());
    match before {
        Some(before) if is_lost && before.slot().start.is_some() => {
            let mut resource = (**resource).clone();
            let status = resource.status.get_or_insert_default();
            status.slot_mut().start.clone_from(&before.slot().start);
            if status.account.is_none() {
                status.account.clone_from(&before.account);
            }
            Arc::new(resource)
        }
        _ => Arc::clone(resource),
    }
}

/// Marks the resource in the version that the book has, if this is that version.
pub fn mark(book: &mut Book, decoded: &Decoded<CortecsInstance>) {
    let key = ObjectKey::of(decoded);
    let version = decoded.resource_version();
    let is_newest = book
        .get(&key)
        .is_some_and(|entry| entry.resource.resource_version() == version);
    if is_newest {
        let unreadable = decoded.problem.is_some();
        book.remember(&key, |memory| memory.unreadable = unreadable);
    }
}

#[cfg(test)]
mod tests {
    use cortecs_resources::decode::decode;
    use serde_json::{Value, json};

    use super::*;

    fn version(number: u32, start: Value) -> Decoded<CortecsInstance> {
        let object = json!({
            "metadata": {"name": "phi", "namespace": "ns", "uid": "u", "resourceVersion": number.to_string()},
            "spec": {"modelId": "org/name"},
            "status": {
                "account": {"namespace": "ns", "name": "main", "apiUrl": "https://x", "clientId": "c"},
                "journal": {"slots": {"current": {"start": start}}},
            },
        });
        decode(object).unwrap()
    }

    fn start(id: Value) -> Value {
        json!({
            "id": id, "requestedAt": "2026-01-01T00:00:00Z", "knownInstances": [],
            "args": {"modelId": "org--name"},
        })
    }

    #[test]
    fn an_open_start_that_cannot_be_decoded_any_more_is_still_open() {
        let mut book = Book::default();
        let key = ObjectKey::new("ns", "phi");
        let id = json!("00000000-0000-0000-0000-000000000001");
        apply(&mut book, &version(1, start(id)));
        let is_open = |book: &Book| {
            let entry = book.get(&key).unwrap();
            let status = entry.resource.status.as_ref().unwrap();
            (status.slot().start.is_some(), entry.memory.unreadable)
        };
        assert_eq!(is_open(&book), (true, false));
        let odd = version(2, start(json!(5)));
        assert!(odd.object.status.as_ref().unwrap().slot().start.is_none());
        apply(&mut book, &odd);
        assert_eq!(is_open(&book), (true, true));
        // A start that has ended has ended.
        apply(&mut book, &version(3, Value::Null));
        assert_eq!(is_open(&book), (false, false));
    }
}
