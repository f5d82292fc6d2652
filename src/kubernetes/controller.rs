//! One shell for every controller: watch, filter, queue, reconcile, requeue, in each scope, with its span and its metrics.
//!
//! ```text
//!  watch ─► note (the store follows) ─► filter ─┐
//!                                                ├─► queue ─► reconcile ─► requeue
//!  Watches::add (lists, accounts, turns) ────────┘
//! ```
//! A new controller needs a [`Reconciler`] and a call of [`run`].

use std::{
    convert::Infallible,
    fmt::Debug,
    hash::{DefaultHasher, Hasher},
    sync::Arc,
    time::Duration,
};

use cortecs_rules::ledger::book::Scope;
use futures::{FutureExt, StreamExt, TryStreamExt, future, stream};
use kube::{
    Api, Client, Resource,
    core::NamespaceResourceScope,
    runtime::{
        Predicate, PredicateConfig, WatchStreamExt, applier,
        controller::{Action, Config, ReconcileRequest},
        predicates,
        reflector::{self, ObjectRef},
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tracing::Instrument;

use super::{
    client::KubeError,
    queue::{Queue, Watches},
};
use crate::serve::{
    metrics::{Metrics, ReconcileResult},
    signals::Shutdown,
    telemetry::reconcile_span,
};

/// When to look at an object again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// After this time, if nothing happens before.
    After(Duration),
    /// When the object changes or is added to its queue.
    OnChange,
}

/// What a controller does with its objects.
pub trait Reconciler: Send + Sync + 'static {
    type Object: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static;

    /// The controller's name in metrics, logs and traces.
    const NAME: &'static str;

    /// Feeds the hasher with what of an object matters besides its generation, its finalizers and its deletion: a change of
    /// nothing else, such as a write of the status by this process, is no reason for a look.
    fn relevant(object: &Self::Object, hasher: &mut DefaultHasher);

    /// Follows the watch of `scope`: called for each event, in order, before the object is looked at.
    fn note(&self, scope: &Scope, event: &Event<Self::Object>);

    /// The watch has failed and is repeated.
    fn watch_failed(&self) {}

    /// Looks at one object and does what is due.
    ///
    /// # Errors
    /// When Kubernetes does not do what it was asked: the object is looked at again after [`Reconciler::back_off`].
    fn reconcile(
        &self,
        object: Arc<Self::Object>,
    ) -> impl Future<Output = Result<Requeue, KubeError>> + Send;

    /// How long to wait after an error; longer with each.
    fn back_off(&self, object: &Self::Object) -> Duration;
}

/// What a controller runs with.
#[derive(Clone)]
pub struct Shell {
    pub client: Client,
    pub watches: Arc<Watches>,
    pub metrics: Metrics,
    /// How many objects are looked at at once, in each scope.
    pub concurrency: u16,
    pub shutdown: Shutdown,
}

/// Watches and reconciles until the shutdown is asked for; the reconciles under way are finished.
pub async fn run<R: Reconciler>(shell: &Shell, reconciler: Arc<R>) {
    let scopes = shell.watches.queues();
    future::join_all(scopes.map(|(scope, queue)| {
        let (scope, queue) = (scope.clone(), Arc::clone(queue));
        run_scope(shell, Arc::clone(&reconciler), scope, queue)
    }))
    .await;
}

async fn run_scope<R: Reconciler>(
    shell: &Shell,
    reconciler: Arc<R>,
    scope: Scope,
    queue: Arc<Queue>,
) {
    let (reader, writer) = reflector::store();
    let (noting, failing) = (Arc::clone(&reconciler), Arc::clone(&reconciler));
    let watches = Arc::clone(&shell.watches);
    let changed = watcher(api(&shell.client, &scope), watcher::Config::default())
        .default_backoff()
        .inspect_err(move |error| {
            tracing::warn!(controller = R::NAME, %error, "the watch failed and is repeated");
            failing.watch_failed();
        })
        .inspect_ok(move |event| {
            noting.note(&scope, event);
            if matches!(event, Event::InitDone) {
                watches.set_listed(&scope);
            }
        })
        .reflect(writer)
        .touched_objects()
        .predicate_filter(filter::<R>(), PredicateConfig::default())
        .filter_map(|object| future::ready(object.ok()))
        .map(|object| ObjectRef::from_obj(&object));
    let added = queue
        .stream()
        .map(|key| ObjectRef::new(&key.name).within(&key.namespace));
    // No further object is taken up after that; those at hand are finished.
    let asked = shell.shutdown.clone();
    let due = stream::select(changed, added)
        .take_until(async move { asked.requested().await })
        .map(|object| Ok::<_, Infallible>(ReconcileRequest::from(object)));
    let metrics = shell.metrics.clone();
    let synced = reader.clone();
    let work = applier(
        move |object, reconciler| look(metrics.clone(), object, reconciler).boxed(),
        |_, error: &Infallible, _| match *error {},
        reconciler,
        reader,
        due,
        Config::default().concurrency(shell.concurrency),
    )
    .for_each(|_| future::ready(()));
    tokio::select! {
        () = work => {}
        // Nothing was taken up, and the watch that would have to fill the store has ended.
        () = shell.shutdown.requested_before(synced.wait_until_ready()) => {}
    }
}

/// The objects of a scope.
pub fn api<K>(client: &Client, scope: &Scope) -> Api<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    match scope {
        None => Api::all(client.clone()),
        Some(namespace) => Api::namespaced(client.clone(), namespace),
    }
}

fn filter<R: Reconciler>() -> impl Predicate<R::Object> {
    let relevant = |object: &R::Object| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(object.meta().deletion_timestamp.is_some().into());
        R::relevant(object, &mut hasher);
        Some(hasher.finish())
    };
    predicates::generation
        .combine(predicates::finalizers)
        .combine(relevant)
}

/// One reconcile, in its span and counted.
async fn look<R: Reconciler>(
    metrics: Metrics,
    object: Arc<R::Object>,
    reconciler: Arc<R>,
) -> Result<Action, Infallible> {
    let span = reconcile_span(R::NAME, &*object);
    let guard = metrics.reconcile(R::NAME);
    let reconcile = reconciler.reconcile(Arc::clone(&object));
    let ended = reconcile.instrument(span.clone()).await;
    let (action, result) = match ended {
        Ok(Requeue::After(wait)) => (Action::requeue(wait), ReconcileResult::RequeueAfter),
        Ok(Requeue::OnChange) => (Action::await_change(), ReconcileResult::Success),
        Err(error) => {
            span.in_scope(|| tracing::warn!(%error, "reconcile failed and is repeated"));
            let wait = reconciler.back_off(&object);
            (Action::requeue(wait), ReconcileResult::Error)
        }
    };
    guard.finish(result);
    Ok(action)
}
