//! A record of all versions of the resources of one kind in a bed's namespaces.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use cortecs_resources::decode::{Decoded, Salvage};
use futures::{StreamExt, pin_mut};
use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio::sync::watch;

use super::read::Read;

/// Namespace and name of a resource.
pub(crate) type Key = (String, String);

/// A record of what watches have shown. Clones share the record.
pub(crate) struct Record<R> {
    seen: Arc<Mutex<Seen<R>>>,
    changes: watch::Receiver<u64>,
}

impl<R> Clone for Record<R> {
    fn clone(&self) -> Self {
        Self {
            seen: Arc::clone(&self.seen),
            changes: self.changes.clone(),
        }
    }
}

struct Seen<R> {
    versions: BTreeMap<Key, Vec<Arc<R>>>,
    present: BTreeMap<Key, Arc<R>>,
    /// The newest resourceVersion of each resource, also that of its deletion.
    newest: BTreeMap<Key, u64>,
    wrong: Vec<String>,
}

impl<R> Record<R>
where
    R: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Read
        + Salvage
        + Send
        + Sync
        + 'static,
{
    /// Watches the namespaces as long as the test runs.
    pub(crate) fn start(client: &Client, namespaces: &[String]) -> Self {
        let seen = Arc::new(Mutex::new(Seen {
            versions: BTreeMap::new(),
            present: BTreeMap::new(),
            newest: BTreeMap::new(),
            wrong: Vec::new(),
        }));
        let (changed, changes) = watch::channel(0);
        let changed = Arc::new(changed);
        for namespace in namespaces {
            let api: Api<Decoded<R>> = Api::namespaced(client.clone(), namespace);
            let (seen, changed) = (Arc::clone(&seen), Arc::clone(&changed));
            tokio::spawn(async move {
                let events = watcher(api, watcher::Config::default()).default_backoff();
                pin_mut!(events);
                while let Some(event) = events.next().await {
                    match event {
                        Ok(watcher::Event::Apply(decoded) | watcher::Event::InitApply(decoded)) => {
                            lock(&seen).apply(Arc::unwrap_or_clone(decoded.object));
                        }
                        Ok(watcher::Event::Delete(decoded)) => lock(&seen).delete(&*decoded.object),
                        _ => {}
                    }
                    changed.send_modify(|count| *count += 1);
                }
            });
        }
        Self { seen, changes }
    }

    /// The latest version of the resource; `None` if it does not exist.
    pub(crate) fn latest(&self, key: &Key) -> Option<Arc<R>> {
        lock(&self.seen).present.get(key).cloned()
    }

    /// The latest versions of all resources that exist.
    pub(crate) fn all(&self) -> Vec<Arc<R>> {
        lock(&self.seen).present.values().cloned().collect()
    }

    /// All versions of the resource, oldest first.
    pub(crate) fn versions(&self, key: &Key) -> Vec<Arc<R>> {
        lock(&self.seen)
            .versions
            .get(key)
            .cloned()
            .unwrap_or_default()
    }

    pub(crate) fn history(&self) -> BTreeMap<Key, Vec<Arc<R>>> {
        lock(&self.seen).versions.clone()
    }

    /// The resourceVersion of the last change or the deletion of each resource.
    pub(crate) fn newest(&self) -> BTreeMap<Key, u64> {
        lock(&self.seen).newest.clone()
    }

    /// The rules that any version has broken.
    pub(crate) fn wrong(&self) -> Vec<String> {
        lock(&self.seen).wrong.clone()
    }

    /// Waits until `look` has an answer, and looks again after each change.
    pub(crate) async fn wait<T>(
        &self,
        deadline: Duration,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> Option<T> {
        let mut changes = self.changes.clone();
        let looking = async {
            loop {
                changes.mark_unchanged();
                if let Some(answer) = look(self) {
                    return answer;
                }
                changes.changed().await.expect("the watch goes on");
            }
        };
        tokio::time::timeout(deadline, looking).await.ok()
    }

    /// Waits until the watch has shown what was written.
    pub(crate) async fn caught_up_with(&self, written: &R) {
        let (key, version) = (key_of(written), version_of(written));
        let seen = self
            .wait(super::SOON, |record| {
                let newest = lock(&record.seen).newest.get(&key).copied();
                newest.filter(|newest| *newest >= version)
            })
            .await;
        seen.expect("the watch shows what was written");
    }
}

impl<R: Resource<DynamicType = ()> + Read> Seen<R> {
    fn apply(&mut self, resource: R) {
        let key = key_of(&resource);
        self.newest.insert(key.clone(), version_of(&resource));
        for wrong in resource.violations() {
            self.wrong.push(format!("{}/{}: {wrong}", key.0, key.1));
        }
        let resource = Arc::new(resource);
        self.versions
            .entry(key.clone())
            .or_default()
            .push(Arc::clone(&resource));
        self.present.insert(key, resource);
    }

    fn delete(&mut self, resource: &R) {
        let key = key_of(resource);
        self.present.remove(&key);
        self.newest.insert(key, version_of(resource));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key_of(resource: &impl ResourceExt) -> Key {
    (
        resource.namespace().unwrap_or_default(),
        resource.name_any(),
    )
}

pub(crate) fn version_of(resource: &impl ResourceExt) -> u64 {
    let version = resource.resource_version().unwrap_or_default();
    version.parse().expect("resource versions are numbers")
}
