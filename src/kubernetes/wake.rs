//! A set of objects that a controller should look at: what is put in twice before it is taken out is looked at once.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use cortecs_resources::key::ObjectKey;
use futures::{Stream, stream};
use tokio::sync::Notify;

/// Objects to be looked at. Bounded by the number of objects that there are.
#[derive(Debug, Default)]
pub struct WakeSet {
    waiting: Mutex<BTreeSet<ObjectKey>>,
    notify: Notify,
}

impl WakeSet {
    /// Asks for a look at `key`. Never blocks.
    pub fn wake(&self, key: ObjectKey) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key);
        self.notify.notify_one();
    }

    fn take(&self) -> Option<ObjectKey> {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_first()
    }

    /// The objects as they are asked for, for one consumer.
    pub fn stream(self: Arc<Self>) -> impl Stream<Item = ObjectKey> + Send {
        stream::unfold(self, |set| async move {
            loop {
                if let Some(key) = set.take() {
                    return Some((key, set));
                }
                set.notify.notified().await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn what_is_asked_for_twice_is_looked_at_once() {
        let set = Arc::new(WakeSet::default());
        for name in ["b", "a", "b"] {
            set.wake(ObjectKey::new("ns", name));
        }
        let taken: Vec<ObjectKey> = Arc::clone(&set).stream().take(2).collect().await;
        assert_eq!(
            taken,
            [ObjectKey::new("ns", "a"), ObjectKey::new("ns", "b")]
        );
        set.wake(ObjectKey::new("ns", "c"));
        let next = set.stream().take(1).collect::<Vec<_>>().await;
        assert_eq!(next, [ObjectKey::new("ns", "c")]);
    }
}
