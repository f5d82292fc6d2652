//! The book takes note of resources together with whether they could be decoded.

use std::sync::Arc;

use cortecs_resources::{CortecsInstance, decode::Decoded, key::ObjectKey};
use cortecs_rules::ledger::{book::Book, entry::Entry};
use kube::ResourceExt;

/// As [`Book::apply`].
pub(super) fn apply(book: &mut Book, decoded: &Decoded<CortecsInstance>) -> Option<Entry> {
    let gone = book.apply(Arc::clone(&decoded.object));
    mark(book, decoded);
    gone
}

/// As [`Book::refresh`].
pub(super) fn refresh(book: &mut Book, decoded: &Decoded<CortecsInstance>) -> Option<Entry> {
    let gone = book.refresh(Arc::clone(&decoded.object));
    mark(book, decoded);
    gone
}

/// Marks the resource in the version that the book has, if this is that version.
pub(super) fn mark(book: &mut Book, decoded: &Decoded<CortecsInstance>) {
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
