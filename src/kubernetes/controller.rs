//! The loop of every controller, for each watched scope: watch, filter, queue, reconcile, requeue, with traces and metrics.
//!
//! ```text
//!  watch ─► on_event ─► store ─► filter ───┐
//!                                           ├─► queue ─► reconcile ─► requeue
//!  Watches::add (lists, accounts, turns) ───┘
//! ```
//! A new controller needs a [`Reconciler`] and a call of [`run`]. Its kind may be namespaced or cluster-scoped.

use std::{
    convert::Infallible,
    hash::{DefaultHasher, Hasher},
    sync::Arc,
    time::Duration,
};

use cortecs_clock as clock;
use cortecs_resources::decode::{Decoded, Salvage, Unreadable};
use cortecs_rules::ledger::book::Scope;
use futures::{FutureExt, StreamExt, TryStreamExt, future, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Client, Resource,
    runtime::{
        Predicate, PredicateConfig, WatchStreamExt, applier,
        controller::{Action, Config, ReconcileRequest},
        predicates,
        reflector::{self, ObjectRef},
        watcher::{self, Event, watcher},
    },
};
use tracing::Instrument;

use super::{
    client::KubeError,
    events::Events,
    queue::{Queue, Watches},
    refusals,
    scope::{ObjectScope, api},
    text,
    unreadable::{self, Unreadables},
};
use crate::serve::{
    metrics::{Metrics, ReconcileResult},
    signals::Shutdown,
    telemetry::reconcile_span,
};

/// The pause after an error of a controller that keeps no count of its errors.
const RETRY_PAUSE: Duration = Duration::from_secs(10);

/// How often to try to tell an object that cannot be decoded so, if it could not be told before.
const UNREADABLE_PAUSE: Duration = Duration::from_secs(60);

/// How long a shutdown waits for writes that fail, and the longest pause between them.
const OWED_FOR: Duration = Duration::from_secs(30);
const OWED_PAUSE: Duration = Duration::from_secs(1);

/// When to reconcile an object again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// After this time, or earlier when the object changes.
    After(Duration),
    /// When the object changes or is added to its queue.
    OnChange,
}

/// The part of a controller that depends on the kind of its objects.
pub trait Reconciler: Send + Sync + 'static {
    type Object: Salvage + Resource<Scope: ObjectScope> + Send + Sync + 'static;

    /// The controller's name in metrics, logs and traces.
    const NAME: &'static str;

    /// Hashes the fields whose change triggers a reconcile. A change of the generation, the finalizers or the deletion timestamp
    /// always does; a write of the status by this process must not. By default there are no such fields.
    fn hash_relevant(_object: &Self::Object, _hasher: &mut DefaultHasher) {}

    /// Handles an event of the watch of `scope`: called for each event, in order, before the object is reconciled.
    fn on_event(&self, _scope: &Scope, _event: &Event<Decoded<Self::Object>>) {}

    /// Handles a failure of the watch, which is repeated.
    fn on_watch_error(&self) {}

    /// Whether the log has a warning of a failure of the watch that happened now. By default each failure is a warning.
    fn warns_of_watch_error(&self) -> bool {
        true
    }

    /// Reconciles one object.
    ///
    /// # Errors
    /// If a call to Kubernetes fails: the object is requeued after [`Reconciler::back_off`].
    fn reconcile(
        &self,
        object: Arc<Self::Object>,
    ) -> impl Future<Output = Result<Requeue, KubeError>> + Send;

    /// Handles what is left to be done about an object that cannot be decoded. By default nothing is.
    fn left_alone(
        &self,
        _decoded: &Decoded<Self::Object>,
    ) -> impl Future<Output = Result<(), KubeError>> + Send {
        future::ready(Ok(()))
    }

    /// The objects that [`Reconciler::owes_a_write`] holds of. By default there are none.
    fn owing(&self) -> Vec<Arc<Self::Object>> {
        Vec::new()
    }

    /// Ends the pauses of the writes about the object that have failed: the process ends.
    fn hurry(&self, _object: &Self::Object) {}

    /// The conditions of an object that cannot be decoded, if this process may write into its status. By default it may not.
    fn conditions_to_write<'a>(&self, _object: &'a Self::Object) -> Option<&'a [Condition]> {
        None
    }

    /// The pause before the next reconcile after an error; by default always the same.
    fn back_off(&self, _object: &Self::Object) -> Duration {
        RETRY_PAUSE
    }

    /// Whether only this process knows something about the object that is yet to be written, so that a shutdown waits for it. By
    /// default there is nothing.
    fn owes_a_write(&self, _object: &Self::Object) -> bool {
        false
    }
}

/// The client, queues and limits of a controller.
#[derive(Clone)]
pub struct ControllerOptions {
    pub client: Client,
    pub watches: Arc<Watches>,
    pub metrics: Metrics,
    pub events: Events,
    /// How many objects of each scope are reconciled at once.
    pub concurrency: u16,
    pub shutdown: Shutdown,
}

/// Watches and reconciles until the shutdown is requested, and finishes the reconciles that have begun.
pub async fn run<R: Reconciler>(options: &ControllerOptions, reconciler: Arc<R>) {
    let unreadables = Unreadables::new(R::NAME, options.metrics.clone());
    let scopes = options.watches.queues();
    future::join_all(scopes.map(|(scope, queue)| {
        let (scope, queue) = (scope.clone(), Arc::clone(queue));
        let (reconciler, unreadables) = (Arc::clone(&reconciler), unreadables.clone());
        run_scope(options, reconciler, scope, queue, unreadables)
    }))
    .await;
    // What failed before the shutdown was to be tried again later.
    let owing = reconciler.owing().into_iter().map(|object| {
        let decoded = Decoded {
            object,
            problem: None,
        };
        let reconciler = Arc::clone(&reconciler);
        reconcile_and_write(options.clone(), Arc::new(decoded), reconciler)
    });
    future::join_all(owing).await;
}

async fn run_scope<R: Reconciler>(
    options: &ControllerOptions,
    reconciler: Arc<R>,
    scope: Scope,
    queue: Arc<Queue>,
    unreadables: Unreadables,
) {
    let (reader, writer) = reflector::store();
    let (on_event, on_error) = (Arc::clone(&reconciler), Arc::clone(&reconciler));
    let watches = Arc::clone(&options.watches);
    let objects: Api<Decoded<R::Object>> = api(&options.client, &scope);
    let changed = watcher(objects, watcher::Config::default())
        .default_backoff()
        .inspect_err(move |error| {
            if on_error.warns_of_watch_error() {
                let error = text::cut(&text::with_causes(error));
                tracing::warn!(
                    controller = R::NAME,
                    error,
                    "the watch failed and is repeated"
                );
            } else {
                tracing::debug!(controller = R::NAME, %error, "the watch failed and is repeated");
            }
            on_error.on_watch_error();
        })
        .inspect_ok(move |event| {
            unreadables.note(&scope, event);
            on_event.on_event(&scope, event);
            if matches!(event, Event::InitDone) {
                watches.set_listed(&scope);
            }
        })
        .reflect(writer)
        .touched_objects()
        .predicate_filter(filter::<R>(), PredicateConfig::default())
        .filter_map(|object| future::ready(object.ok()))
        .map(|object| ObjectRef::from_obj(&object));
    let added = queue.stream().map(|key| {
        let object = ObjectRef::new(&key.name);
        match key.namespace.as_str() {
            "" => object,
            namespace => object.within(namespace),
        }
    });
    // After the shutdown is requested no reconcile begins; the reconciles that have begun are finished.
    let shutdown = options.shutdown.clone();
    let due = stream::select(changed, added)
        .take_until(async move { shutdown.requested().await })
        .map(|object| Ok::<_, Infallible>(ReconcileRequest::from(object)));
    let shared = options.clone();
    let synced = reader.clone();
    let work = applier(
        move |object, reconciler| reconcile_and_write(shared.clone(), object, reconciler).boxed(),
        |_, error: &Infallible, _| match *error {},
        reconciler,
        reader,
        due,
        Config::default().concurrency(options.concurrency),
    )
    .for_each(|_| future::ready(()));
    tokio::select! {
        () = work => {}
        // Without a first list the applier waits for the store for ever, and the watch that would fill the store has ended.
        () = options.shutdown.requested_before(synced.wait_until_ready()) => {}
    }
}

fn filter<R: Reconciler>() -> impl Predicate<Decoded<R::Object>> {
    let hash = |decoded: &Decoded<R::Object>| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(decoded.meta().deletion_timestamp.is_some().into());
        hasher.write_u8(decoded.problem.is_some().into());
        R::hash_relevant(&decoded.object, &mut hasher);
        Some(hasher.finish())
    };
    predicates::generation
        .combine(predicates::finalizers)
        .combine(hash)
}

/// Reconciles one object; during a shutdown, which ends all requeues, until what it owes is written.
async fn reconcile_and_write<R: Reconciler>(
    options: ControllerOptions,
    decoded: Arc<Decoded<R::Object>>,
    reconciler: Arc<R>,
) -> Result<Action, Infallible> {
    let mut until = None;
    let object = &decoded.object;
    loop {
        if options.shutdown.is_requested() {
            reconciler.hurry(object);
        }
        let requeue = reconcile_one(&options, &decoded, &*reconciler).await;
        let now = clock::moment();
        if !options.shutdown.is_requested()
            || !reconciler.owes_a_write(object)
            || now > *until.get_or_insert_with(|| now.after(OWED_FOR))
        {
            return Ok(match requeue {
                Requeue::After(wait) => Action::requeue(wait),
                Requeue::OnChange => Action::await_change(),
            });
        }
        let wait = match requeue {
            Requeue::After(wait) => wait.min(OWED_PAUSE),
            Requeue::OnChange => OWED_PAUSE,
        };
        tokio::time::sleep(wait).await;
    }
}

/// An object that cannot be decoded is told so, and nothing else is done about it.
async fn leave_alone<R: Reconciler>(
    options: &ControllerOptions,
    object: &Arc<R::Object>,
    problem: &Unreadable,
    reconciler: &R,
) -> Result<Requeue, KubeError> {
    if let Some(conditions) = reconciler.conditions_to_write(object) {
        match unreadable::tell(&options.client, &**object, conditions, problem).await {
            // The watch brings the version that is the newest.
            Err(error) if error.is_conflict() || error.is_not_found() => {}
            told => told?,
        }
    }
    Ok(Requeue::After(UNREADABLE_PAUSE))
}

/// Reconciles one object, with its trace and its metrics.
async fn reconcile_one<R: Reconciler>(
    options: &ControllerOptions,
    decoded: &Decoded<R::Object>,
    reconciler: &R,
) -> Requeue {
    let object = &decoded.object;
    let span = reconcile_span(R::NAME, &**object);
    let ControllerOptions {
        metrics, events, ..
    } = options;
    let guard = metrics.reconcile(R::NAME);
    let reconcile = async {
        match &decoded.problem {
            None => reconciler.reconcile(Arc::clone(object)).await,
            Some(problem) => {
                reconciler.left_alone(decoded).await?;
                leave_alone(options, object, problem, reconciler).await
            }
        }
    };
    let outcome = reconcile.instrument(span.clone()).await;
    let (requeue, result) = match outcome {
        Ok(requeue @ Requeue::After(_)) => (requeue, ReconcileResult::RequeueAfter),
        Ok(requeue @ Requeue::OnChange) => (requeue, ReconcileResult::Success),
        Err(error) => {
            span.in_scope(|| tracing::warn!(%error, "reconcile failed and is repeated"));
            refusals::tell(metrics, events, R::NAME, &**object, &error).await;
            let wait = reconciler.back_off(object);
            (Requeue::After(wait), ReconcileResult::Error)
        }
    };
    guard.finish(result);
    requeue
}
