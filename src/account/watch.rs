//! The watch of accounts in one scope: it keeps the directory up to date and decides what wakes a reconcile.

use std::{
    collections::{BTreeSet, hash_map::DefaultHasher},
    convert::Infallible,
    hash::{Hash, Hasher},
    sync::Arc,
};

use cortecs_resources::{CortecsAccount, annotations, key::ObjectKey};
use futures::{Stream, StreamExt, stream};
use kube::{
    Api, ResourceExt,
    runtime::{
        Predicate, PredicateConfig, WatchStreamExt, applier,
        controller::{self, Action, ReconcileRequest},
        predicates,
        reflector::{self, ObjectRef},
        watcher::{self, Event},
    },
};

use super::context::Shared;
use crate::{
    kubernetes::{client::KubeError, wake::WakeSet},
    serve::signals::Shutdown,
};

/// Watches and reconciles the accounts of `scope`, a namespace or all, until `shutdown`.
pub(crate) async fn run(
    shared: &Arc<Shared>,
    scope: Option<&str>,
    wakes: &Arc<WakeSet>,
    shutdown: &Shutdown,
) {
    let kube = shared.context.kube.clone();
    let api: Api<CortecsAccount> = match scope {
        Some(namespace) => Api::namespaced(kube, namespace),
        None => Api::all(kube),
    };
    let (store, writer) = reflector::store();
    let mut listing = Listing::new(Arc::clone(shared), scope);
    let changed = kube::runtime::watcher(api, watcher::Config::default())
        .default_backoff()
        .inspect(move |event| match event {
            Ok(event) => listing.take_in(event),
            Err(error) => tracing::warn!(%error, "watch of accounts failed; trying again"),
        })
        .reflect(writer)
        .touched_objects()
        .predicate_filter(what_matters(), PredicateConfig::default())
        .filter_map(|event| std::future::ready(event.ok()))
        .map(|account| ObjectRef::from_obj(&account));
    let woken = Arc::clone(wakes)
        .stream()
        .map(|key| ObjectRef::new(&key.name).within(&key.namespace));
    let queue = until(shutdown, stream::select(changed, woken))
        .map(|account| Ok::<_, Infallible>(ReconcileRequest::from(account)));
    let synced = store.clone();
    let work = applier(
        |account, shared: Arc<Shared>| Box::pin(shared.reconcile(account)),
        |account: Arc<CortecsAccount>, _: &KubeError, shared: Arc<Shared>| -> Action {
            shared.after_error(&account)
        },
        Arc::clone(shared),
        store,
        queue,
        controller::Config::default().concurrency(shared.context.concurrency),
    )
    .for_each(|_| std::future::ready(()));
    tokio::select! {
        () = work => {}
        // Nothing was taken up, and the watch that would have to fill the store has ended.
        () = shutdown.requested_before(synced.wait_until_ready()) => {}
    }
}

fn until<S: Stream>(shutdown: &Shutdown, items: S) -> impl Stream<Item = S::Item> + use<S> {
    let shutdown = shutdown.clone();
    items.take_until(async move { shutdown.requested().await })
}

/// The spec, the finalizers, the deletion, the order to resume, and who manages it: what else was written into the status, above
/// all by us, wakes nobody.
fn what_matters() -> impl Predicate<CortecsAccount> {
    let orders = |account: &CortecsAccount| {
        let mut hasher = DefaultHasher::new();
        account
            .metadata
            .deletion_timestamp
            .is_some()
            .hash(&mut hasher);
        annotations::value(account, annotations::RESUME).hash(&mut hasher);
        annotations::value(account, annotations::OPERATOR).hash(&mut hasher);
        // Who claims it first gets it: what another operator wrote matters, and so does that it was us.
        let claim = account.status.as_ref().and_then(|s| s.managed_by.as_ref());
        claim.map(|c| (&c.namespace, &c.lease)).hash(&mut hasher);
        Some(hasher.finish())
    };
    predicates::generation
        .combine(predicates::finalizers)
        .combine(orders)
}

/// Brings the events of one watch into the directory.
struct Listing {
    shared: Arc<Shared>,
    scope: Option<String>,
    present: BTreeSet<ObjectKey>,
    first: bool,
}

impl Listing {
    fn new(shared: Arc<Shared>, scope: Option<&str>) -> Self {
        Self {
            shared,
            scope: scope.map(str::to_owned),
            present: BTreeSet::new(),
            first: true,
        }
    }

    fn take_in(&mut self, event: &Event<CortecsAccount>) {
        match event {
            Event::Init => self.present.clear(),
            Event::InitApply(account) => {
                self.present.insert(ObjectKey::of(account));
                self.upsert(account);
            }
            Event::InitDone => {
                let directory = &self.shared.context.directory;
                let gone = directory.listed(self.scope.as_deref(), &self.present, self.first);
                self.first = false;
                self.present.clear();
                for key in &gone {
                    self.shared.forget(key);
                }
            }
            Event::Apply(account) => self.upsert(account),
            Event::Delete(account) => {
                let key = ObjectKey::of(account);
                if self.shared.context.directory.remove(&key) {
                    self.shared.forget(&key);
                }
            }
        }
    }

    fn upsert(&self, account: &CortecsAccount) {
        if account.namespace().is_some() && self.shared.context.directory.upsert(account) {
            self.shared.tell(&ObjectKey::of(account));
        }
        if self.shared.context.directory.has_lost_hold(account) {
            self.shared.wake(ObjectKey::of(account));
        }
    }
}
