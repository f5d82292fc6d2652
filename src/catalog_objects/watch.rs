//! The watch of one kind of the catalog.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use cortecs_resources::{
    CortecsHardwareType, CortecsModel,
    decode::{Decoded, Salvage},
};
use cortecs_rules::{catalog::kind::CatalogKind, ledger::book::Scope};
use kube::{Resource, core::ClusterResourceScope, runtime::watcher::Event};
use serde::Serialize;
use tokio::sync::Notify;

use crate::{
    kubernetes::{
        client::KubeError,
        controller::{Reconciler, Requeue},
    },
    mutex::lock,
};

/// A kind of the catalog, as a controller watches it.
pub(super) trait Watched:
    CatalogKind
    + Resource<DynamicType = (), Scope = ClusterResourceScope>
    + Salvage
    + Serialize
    + Send
    + Sync
    + 'static
{
    const CONTROLLER: &'static str;
}

impl Watched for CortecsModel {
    const CONTROLLER: &'static str = "cortecsmodel";
}

impl Watched for CortecsHardwareType {
    const CONTROLLER: &'static str = "cortecshardwaretype";
}

pub(super) type Objects<K> = BTreeMap<String, Arc<K>>;

/// The objects of one kind, and the notice of their changes.
pub(super) struct ObjectWatch<K> {
    known: Mutex<Known<K>>,
    /// Shared by the two kinds.
    changed: Arc<Notify>,
    failing: AtomicBool,
}

struct Known<K> {
    objects: Objects<K>,
    /// The objects in the list that the watch currently receives.
    listing: Objects<K>,
    listed: bool,
}

impl<K: Watched> ObjectWatch<K> {
    pub(super) fn new(changed: Arc<Notify>) -> Self {
        Self {
            known: Mutex::new(Known {
                objects: BTreeMap::new(),
                listing: BTreeMap::new(),
                listed: false,
            }),
            changed,
            failing: AtomicBool::new(false),
        }
    }

    /// All objects, once the first list is complete.
    pub(super) fn objects(&self) -> Option<Objects<K>> {
        let known = self.known();
        known.listed.then(|| known.objects.clone())
    }

    fn known(&self) -> MutexGuard<'_, Known<K>> {
        lock(&self.known)
    }
}

/// The object without what the operator does not need.
fn kept<K: Watched>(object: &K) -> (String, Arc<K>) {
    let mut object = object.clone();
    object.meta_mut().managed_fields = None;
    (object.name_any(), Arc::new(object))
}

impl<K: Watched> Reconciler for ObjectWatch<K> {
    type Object = K;
    const NAME: &'static str = K::CONTROLLER;

    /// The marks of the operator.
    fn hash_relevant(object: &K, hasher: &mut DefaultHasher) {
        object.labels().hash(hasher);
        object.annotations().hash(hasher);
    }

    fn on_event(&self, _: &Scope, event: &Event<Decoded<K>>) {
        let mut known = self.known();
        match event {
            Event::Init => known.listing = BTreeMap::new(),
            Event::InitApply(decoded) => known.listing.extend([kept(&*decoded.object)]),
            Event::InitDone => {
                known.objects = std::mem::take(&mut known.listing);
                known.listed = true;
                self.failing.store(false, Ordering::Relaxed);
                self.changed.notify_one();
            }
            Event::Apply(decoded) => known.objects.extend([kept(&*decoded.object)]),
            Event::Delete(decoded) => {
                known.objects.remove(&decoded.object.name_any());
                // An object that is gone is not reconciled.
                self.changed.notify_one();
            }
        }
    }

    /// The operator works without these objects, so it says only once that it cannot watch them.
    fn warns_of_watch_error(&self) -> bool {
        !self.failing.swap(true, Ordering::Relaxed)
    }

    /// Wakes the loop, which compares all objects with the catalog.
    async fn reconcile(&self, _: Arc<K>) -> Result<Requeue, KubeError> {
        self.changed.notify_one();
        Ok(Requeue::OnChange)
    }
}
