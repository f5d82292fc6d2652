//! The book, shared by all parts that read or change claims.

use std::sync::{Arc, Mutex, MutexGuard};

use cortecs_rules::ledger::book::Book;

use crate::mutex::lock;
/// The book behind a lock. No lock may be kept across an await.
#[derive(Clone, Debug, Default)]
pub struct SharedBook(Arc<Mutex<Book>>);

impl SharedBook {
    pub fn lock(&self) -> MutexGuard<'_, Book> {
        lock(&self.0)
    }
}
