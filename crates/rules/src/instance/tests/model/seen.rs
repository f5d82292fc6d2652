//! States that need no second look.
//!
//! What may still go wrong only ever makes more possible, and no property depends on it. So of two states that differ in
//! nothing else, the one in which less may happen shows nothing that the other does not.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use super::config::Budgets;

/// What was looked at: by canonical form, what may still have happened.
#[derive(Default)]
pub struct Seen(Mutex<HashMap<u128, Vec<Budgets>>>);

impl Seen {
    /// Whether this is to be looked at; from now on it was.
    pub fn is_new(&self, core: u128, left: Budgets) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.entry(core).or_default();
        if known.iter().any(|known| known.covers(&left)) {
            return false;
        }
        known.retain(|known| !left.covers(known));
        known.push(left);
        true
    }

    /// How many states differ in more than in what may still go wrong.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// States, by canonical form, from which the goal is reached.
#[derive(Default)]
pub struct Goals(Mutex<HashSet<u128>>);

impl Goals {
    pub fn is_near(&self, core: u128) -> bool {
        let near = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        near.contains(&core)
    }

    pub fn note(&self, way: Vec<u128>) {
        let mut near = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        near.extend(way);
    }
}
