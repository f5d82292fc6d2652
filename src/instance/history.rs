//! Whether Kubernetes was restored to an earlier state while this process ran. What the process remembers is then of a
//! future that never was: it ends, and a new one begins with what it reads.
//!
//! Only reads past every cache can prove it: they return an older version of an object, or of the whole list, than this
//! process knew before it asked. What a watch or a cache delivers may be old for good reasons.

use cortecs_rules::ledger::versions::is_older;
use tokio::sync::{Notify, watch};

/// What is known of the past.
#[derive(Debug, Default)]
pub struct History {
    broken: watch::Sender<Option<String>>,
    pub(super) doubt: Notify,
}

impl History {
    /// Something looks older than it should: it is looked into soon.
    pub fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// Whether what is remembered holds no more: nothing may be done from it.
    pub fn is_broken(&self) -> bool {
        self.broken.borrow().is_some()
    }

    /// Completes when it is proven that Kubernetes was restored; why.
    pub async fn broken(&self) -> String {
        let mut broken = self.broken.subscribe();
        match broken.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // The sender lives in self.
            Err(_) => std::future::pending().await,
        }
    }

    /// Takes note of a version that was read past every cache. `known` is what this process knew before it asked.
    pub fn compare(&self, what: &str, known: &str, read: &str) {
        if !read.is_empty() && is_older(read, known) {
            let why = format!(
                "Kubernetes was restored to an earlier state ({what} is at version {read} and was at {known} before): \
                 what this process remembers no longer holds, and a new one has to begin"
            );
            self.broken.send_if_modified(|broken| {
                let first = broken.is_none();
                broken.get_or_insert(why);
                first
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_older_version_breaks_it() {
        let history = History::default();
        for (known, read) in [("9", "9"), ("9", "10"), ("", "1"), ("9", "")] {
            history.compare("x", known, read);
        }
        assert!(!history.is_broken());
        history.compare("the list", "10", "9");
        history.compare("another", "10", "8");
        let why = history.broken.borrow().clone().unwrap();
        assert!(why.contains("the list is at version 9"), "{why}");
    }
}
