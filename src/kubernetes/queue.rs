//! The queues of a controller: the objects to reconcile.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use cortecs_resources::key::ObjectKey;
use cortecs_rules::ledger::book::Scope;
use futures::{Stream, stream};
use tokio::sync::Notify;

use super::scope::WatchedNamespaces;
use crate::mutex::lock;

/// Objects to reconcile. An object that is added twice before it is taken is reconciled once, so the queue is never longer than
/// the number of objects.
#[derive(Debug, Default)]
pub struct Queue {
    waiting: Mutex<BTreeSet<ObjectKey>>,
    notify: Notify,
}

impl Queue {
    /// Adds `key`. Never blocks.
    pub fn add(&self, key: ObjectKey) {
        lock(&self.waiting).insert(key);
        self.notify.notify_one();
    }

    fn take(&self) -> Option<ObjectKey> {
        lock(&self.waiting).pop_first()
    }

    /// The objects of the queue, for one consumer.
    pub fn stream(self: Arc<Self>) -> impl Stream<Item = ObjectKey> + Send {
        stream::unfold(self, |queue| async move {
            loop {
                if let Some(key) = queue.take() {
                    return Some((key, queue));
                }
                queue.notify.notified().await;
            }
        })
    }
}

/// The watches of one controller: each has its queue, and knows whether its first list is complete.
#[derive(Debug)]
pub struct Watches(BTreeMap<Scope, Watch>);

#[derive(Debug, Default)]
struct Watch {
    queue: Arc<Queue>,
    listed: AtomicBool,
}

impl Watches {
    /// One watch for each watched namespace, or one for all.
    pub fn new(namespaces: &WatchedNamespaces) -> Self {
        let scopes = namespaces.scopes().into_iter();
        Self(scopes.map(|scope| (scope, Watch::default())).collect())
    }

    /// The watched scopes.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.0.keys()
    }

    /// The watched scopes, each with its queue.
    pub fn queues(&self) -> impl Iterator<Item = (&Scope, &Arc<Queue>)> {
        self.0.iter().map(|(scope, watch)| (scope, &watch.queue))
    }

    /// Adds `key` to the queue of its namespace; does nothing if the namespace is not watched. Never blocks.
    pub fn add(&self, key: ObjectKey) {
        let own = self.0.get(&Some(key.namespace.clone()));
        if let Some(watch) = own.or_else(|| self.0.get(&None)) {
            watch.queue.add(key);
        }
    }

    /// Notes that the first list of `scope` is complete and that [`Reconciler::on_event`] has seen it.
    ///
    /// [`Reconciler::on_event`]: super::controller::Reconciler::on_event
    pub(super) fn set_listed(&self, scope: &Scope) {
        if let Some(watch) = self.0.get(scope) {
            watch.listed.store(true, Ordering::Release);
        }
    }

    /// Whether the first list of each watch is complete.
    pub fn all_listed(&self) -> bool {
        let mut watches = self.0.values();
        watches.all(|watch| watch.listed.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn an_object_that_is_added_twice_is_reconciled_once() {
        let queue = Arc::new(Queue::default());
        for name in ["b", "a", "b"] {
            queue.add(ObjectKey::new("ns", name));
        }
        let taken: Vec<ObjectKey> = Arc::clone(&queue).stream().take(2).collect().await;
        assert_eq!(
            taken,
            [ObjectKey::new("ns", "a"), ObjectKey::new("ns", "b")]
        );
        queue.add(ObjectKey::new("ns", "c"));
        let next = queue.stream().take(1).collect::<Vec<_>>().await;
        assert_eq!(next, [ObjectKey::new("ns", "c")]);
    }

    #[test]
    fn an_object_goes_to_the_queue_of_its_namespace() {
        let watches = Watches::new(&"a,b".parse().unwrap());
        watches.add(ObjectKey::new("b", "x"));
        watches.add(ObjectKey::new("c", "y"));
        let taken: Vec<_> = watches
            .queues()
            .map(|(scope, queue)| (scope.as_deref(), queue.take()))
            .collect();
        let key = ObjectKey::new("b", "x");
        assert_eq!(taken, [(Some("a"), None), (Some("b"), Some(key))]);
    }

    #[test]
    fn all_are_listed_when_each_watch_is() {
        let watches = Watches::new(&"a,b".parse().unwrap());
        watches.set_listed(&Some("a".to_owned()));
        assert!(!watches.all_listed());
        watches.set_listed(&Some("b".to_owned()));
        assert!(watches.all_listed());
    }
}
