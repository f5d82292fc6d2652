//! Detects that Kubernetes was restored to an earlier state while this process ran. The memory of the process then no longer
//! fits the cluster: the process ends, and a new one reads everything anew.
//!
//! Only a quorum read can prove it: it returns an older version of an object, or of the list, than this process knew before the
//! read. A watch or a cache may deliver old versions at any time.

use cortecs_rules::ledger::versions::is_older;
use tokio::sync::{Notify, watch};

/// Compares versions of objects and lists.
#[derive(Debug, Default)]
pub struct History {
    /// The message once a restore is proven.
    restored: watch::Sender<Option<String>>,
    pub(super) suspicion: Notify,
}

impl History {
    /// Asks for a comparison soon: a version seems too old.
    pub fn suspect(&self) {
        self.suspicion.notify_one();
    }

    /// Whether a restore is proven: this process must not act any more.
    pub fn is_restored(&self) -> bool {
        self.restored.borrow().is_some()
    }

    /// Completes with a message when a restore is proven.
    pub async fn restored(&self) -> String {
        let mut restored = self.restored.subscribe();
        match restored.wait_for(Option::is_some).await {
            Ok(message) => message.clone().unwrap_or_default(),
            // An error is impossible: self keeps the sender.
            Err(_) => std::future::pending().await,
        }
    }

    /// Compares the version of a quorum read with the version that was known before the read. `what` names the object.
    pub fn compare(&self, what: &str, known: &str, read: &str) {
        if !read.is_empty() && is_older(read, known) {
            let message = format!(
                "Kubernetes was restored to an earlier state ({what} is at version {read} and was at {known} before): \
                 the memory of this process no longer fits the cluster, so the process ends and has to be started anew"
            );
            self.restored.send_if_modified(|restored| {
                let first = restored.is_none();
                restored.get_or_insert(message);
                first
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_older_version_proves_a_restore() {
        let history = History::default();
        for (known, read) in [("9", "9"), ("9", "10"), ("", "1"), ("9", "")] {
            history.compare("x", known, read);
        }
        assert!(!history.is_restored());
        history.compare("the list", "10", "9");
        history.compare("another", "10", "8");
        let message = history.restored.borrow().clone().unwrap();
        assert!(message.contains("the list is at version 9"), "{message}");
    }
}
