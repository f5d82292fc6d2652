//! The book, shared by everything that claims instances or asks who does.

use std::sync::{Arc, Mutex, MutexGuard};

use cortecs_rules::ledger::book::Book;

use crate::mutex::lock;
/// The book, shared by everything that claims or asks for claims. Never held across an await.
#[derive(Clone, Debug, Default)]
pub struct SharedBook(Arc<Mutex<Book>>);

impl SharedBook {
    pub fn lock(&self) -> MutexGuard<'_, Book> {
        lock(&self.0)
    }
}
