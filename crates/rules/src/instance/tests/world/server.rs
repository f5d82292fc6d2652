//! The API server: versions, optimistic concurrency, and deletion once the finalizers are gone.

use std::{collections::BTreeMap, sync::Arc};

use crate::instance::tests::*;

#[derive(Clone, Debug, Default)]
pub(in crate::instance::tests) struct Server {
    pub objects: BTreeMap<ObjectKey, Arc<CortecsInstance>>,
    pub version: u64,
}

impl Server {
    /// Stores an object under a new version; whether it is still there: a deleted one goes with its last finalizer.
    pub fn store(&mut self, mut object: CortecsInstance) -> (Arc<CortecsInstance>, bool) {
        self.version += 1;
        object.metadata.resource_version = Some(self.version.to_string());
        let key = ObjectKey::of(&object);
        let object = Arc::new(object);
        let finalizers = object.metadata.finalizers.as_deref().unwrap_or_default();
        let stays = object.metadata.deletion_timestamp.is_none() || !finalizers.is_empty();
        if stays {
            self.objects.insert(key, Arc::clone(&object));
        } else {
            self.objects.remove(&key);
        }
        (object, stays)
    }

    /// Removes an object, whatever finalizers it has.
    pub fn remove(&mut self, key: &ObjectKey) {
        self.version += 1;
        self.objects.remove(key);
    }

    /// Whether this is the very version that is there.
    pub fn is_current(&self, object: &CortecsInstance) -> bool {
        self.objects
            .get(&ObjectKey::of(object))
            .is_some_and(|current| {
                current.metadata.resource_version == object.metadata.resource_version
                    && current.metadata.uid == object.metadata.uid
            })
    }
}
