//! Whether Kubernetes was restored to an earlier state while this process ran. What the process remembers is then of a
//! future that never was: it ends, and a new one begins with what it reads.
//!
//! Only reads past every cache can prove it: they return an older version of an object, or of the whole list, than this
//! process knew before it asked. What a watch or a cache delivers may be old for good reasons.

use std::time::Duration;

use kube::{Api, ResourceExt, api::ListParams};
use tokio::sync::{Notify, watch};

use super::{context::Context, write};
use crate::{
    account::{book::is_older, key::ObjectKey},
    resources::CortecsInstance,
    runtime::kube_client::{KubeError, bounded},
};

/// How often the version of the list is compared without a reason to doubt.
const INTERVAL: Duration = Duration::from_secs(60);
/// The least distance between two comparisons.
const PAUSE: Duration = Duration::from_secs(2);

/// What is known of the past.
#[derive(Debug, Default)]
pub struct History {
    broken: watch::Sender<Option<String>>,
    doubt: Notify,
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

/// Compares now and then, and when there is doubt until it is dispelled; never completes.
pub async fn watch_over(context: &Context) {
    let history = &context.history;
    let mut doubted = false;
    loop {
        if !doubted {
            let doubt = history.doubt.notified();
            doubted = tokio::time::timeout(INTERVAL, doubt).await.is_ok();
        }
        // The list's version alone may have caught up since: the resources' have not.
        let looked = match doubted {
            true => write::read_by_quorum(context).await,
            false => compare_lists(context).await,
        };
        match looked {
            Ok(()) => doubted = false,
            Err(error) => tracing::debug!(%error, "cannot compare versions now"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn compare_lists(context: &Context) -> Result<(), KubeError> {
    for (scope, _) in context.wakes.scopes() {
        let api: Api<CortecsInstance> = match scope {
            None => Api::all(context.client.clone()),
            Some(namespace) => Api::namespaced(context.client.clone(), namespace),
        };
        let known = context.book.lock().newest().to_owned();
        let params = ListParams::default().limit(1);
        let what = "compare versions";
        let list = bounded(what, async { api.list_metadata(&params).await }).await?;
        let read = list.metadata.resource_version.unwrap_or_default();
        context
            .history
            .compare("the list of instances", &known, &read);
    }
    Ok(())
}

/// Compares a resource that was read by name with the version of it that was known before.
pub fn compare_one(context: &Context, known: Option<&CortecsInstance>, read: &CortecsInstance) {
    let Some(known) = known.filter(|known| known.uid() == read.uid()) else {
        return;
    };
    let versions = (known.resource_version(), read.resource_version());
    if let (Some(known), Some(now)) = versions {
        let what = ObjectKey::of(read).to_string();
        context.history.compare(&what, &known, &now);
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
