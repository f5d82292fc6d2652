//! The controller of instances: what it watches, and the reconcile that puts observe, decide and act together.

use std::{
    hash::{DefaultHasher, Hash},
    sync::Arc,
    time::Duration,
};

use cortecs_clock as clock;
use cortecs_clock::Backoff;
use cortecs_resources::{
    CortecsInstance, annotations, instance_status::CortecsInstanceStatus, key::ObjectKey,
};
use cortecs_rules::{
    instance::{
        decide,
        input::Input,
        record,
        step::{Decision, Step},
    },
    ledger::book::Scope,
};
use kube::{ResourceExt, runtime::watcher::Event};
use tokio::sync::{AcquireError, SemaphorePermit};
use tracing::Span;
use uuid::Uuid;

use super::{
    act::{self, Next},
    context::Context,
    observe::{Observation, is_elsewhere, observe},
    quorum, removed,
};
use crate::{
    fleet::{poll::Fleet, turns::Turn},
    kubernetes::{
        client::KubeError,
        controller::{Reconciler, Requeue},
    },
};

/// Every resource is looked at this often, whatever happens: a net below the watches and the lists. It reads memory only.
const NET: Duration = Duration::from_secs(600);

/// How many resources may wait for the API beside those that are worked on. Each fleet has few calls under way at once, so this
/// is room for many slow ones.
pub const CALLS: u16 = 256;

/// How soon to look again while this process may not act, or does not know all resources yet.
const NOT_YET: Duration = Duration::from_millis(500);

impl Reconciler for Context {
    type Object = CortecsInstance;
    const NAME: &'static str = "cortecsinstance";

    /// Orders by annotation, and a loss: of the annotation with the id, or of the status.
    fn relevant(resource: &CortecsInstance, hasher: &mut DefaultHasher) {
        for name in [
            annotations::RESTARTED_AT,
            annotations::REQUESTED_AT,
            annotations::RESOLVE_START,
            annotations::INSTANCE_ID,
        ] {
            resource.annotations().get(name).hash(hasher);
        }
        let status = resource.status.as_ref();
        status
            .is_none_or(CortecsInstanceStatus::records_nothing)
            .hash(hasher);
    }

    /// The book follows the watch.
    fn note(&self, scope: &Scope, event: &Event<CortecsInstance>) {
        let mut book = self.book.lock();
        let went = match event {
            Event::Init => {
                book.begin_listing(scope.clone());
                Vec::new()
            }
            Event::InitApply(resource) | Event::Apply(resource) => {
                if matches!(event, Event::InitApply(_)) && book.knows_newer(resource) {
                    // A list that began before the last write shows that too: it is looked into.
                    self.history.doubt();
                }
                Vec::from_iter(book.apply(Arc::new(resource.clone())))
            }
            Event::InitDone => book.end_listing(scope),
            Event::Delete(resource) => Vec::from_iter(book.deleted(resource)),
        };
        drop(book);
        removed::follow(self, &went);
    }

    fn watch_failed(&self) {
        self.history.doubt();
    }

    async fn reconcile(&self, resource: Arc<CortecsInstance>) -> Result<Requeue, KubeError> {
        let key = ObjectKey::of(&*resource);
        // A call and the write that records it are one: a process that is asked to stop finishes both.
        // So what follows a call does not queue for a worker again: it is little, and the calls are few.
        let mut worker = Some(self.workers.acquire().await);
        let mut turn = None;
        let mut named = None;
        loop {
            name_instance(self, &key, &mut named);
            if let Some(requeue) = step(self, &key, &mut worker, &mut turn).await? {
                return Ok(requeue);
            }
        }
    }

    fn back_off(&self, resource: &CortecsInstance) -> Duration {
        let key = ObjectKey::of(resource);
        let wait = self.book.lock().remember(&key, |memory| {
            let mut backoff = Backoff::after(memory.write_failures);
            let wait = backoff.next(fastrand::f64(), None);
            memory.write_failures = backoff.failures();
            memory.write_retry_at = clock::moment().after(wait);
            wait
        });
        wait.unwrap_or(NOT_YET)
    }
}

/// From here on the reconcile's lines name the bound instance, once there is one.
fn name_instance(context: &Context, key: &ObjectKey, named: &mut Option<String>) {
    let book = context.book.lock();
    let Some(entry) = book.get(key) else { return };
    let status = entry.resource.status.as_ref();
    let bound = status.and_then(|status| status.instance_id.as_deref());
    let id = bound.or_else(|| entry.memory.accepted_id());
    if let Some(id) = id.filter(|id| named.as_deref() != Some(id)) {
        Span::current().record("instanceId", id);
        *named = Some(id.to_owned());
    }
}

/// A place among those who work on a resource.
type Worker<'a> = Result<SemaphorePermit<'a>, AcquireError>;

/// Observe, decide, act: one step. `None`: the next one belongs to it.
async fn step(
    context: &Context,
    key: &ObjectKey,
    worker: &mut Option<Worker<'_>>,
    turn: &mut Option<Turn>,
) -> Result<Option<Requeue>, KubeError> {
    if !context.leadership.may_act() || !context.watches.all_listed() || context.history.is_broken()
    {
        return Ok(Some(Requeue::After(NOT_YET)));
    }
    let entry = context
        .book
        .lock()
        .get(key)
        .map(|entry| (Arc::clone(&entry.resource), entry.memory.write_retry_at));
    let Some((resource, retry_at)) = entry else {
        removed::forget(context, key);
        return Ok(Some(Requeue::OnChange));
    };
    if is_elsewhere(context, &resource) {
        // Whoever manages the account looks after it.
        return Ok(Some(Requeue::After(NET)));
    }
    let now = clock::moment();
    if now < retry_at {
        return Ok(Some(Requeue::After(retry_at.since(now))));
    }
    let observed = observe(context, &resource).await;
    let mut decision = decide_on(context, key, &resource, &observed, turn);
    if decision
        .as_ref()
        .is_some_and(|d| d.step == Step::QuorumRead)
    {
        // It confirms the list that was decided on, so it is that list that is decided on again: a newer one would need
        // another read, and lists may come faster than reads.
        quorum::read_by_quorum(context).await?;
        decision = decide_on(context, key, &resource, &observed, turn);
    }
    let Some(decision) = decision else {
        // It changed while its account was looked at.
        return Ok(Some(Requeue::After(Duration::ZERO)));
    };
    follow_lists(context, key, &observed, &decision);
    let wait = decision
        .look_again
        .unwrap_or_else(|| NET.mul_f64(0.9 + 0.2 * fastrand::f64()));
    if decision.step != Step::Rest {
        tracing::debug!(step = ?decision.step, "next step");
    }
    let calls = decision.step.is_call();
    if calls {
        *worker = None;
    }
    let acted = act::act(context, key, &resource, observed.fleet(), decision).await;
    if calls {
        *turn = None;
    }
    match acted {
        Ok(next) => {
            context
                .book
                .lock()
                .remember(key, |memory| memory.write_failures = 0);
            Ok(match next {
                Next::Now => Some(Requeue::After(Duration::ZERO)),
                Next::Record => None,
                Next::AsDecided => Some(Requeue::After(wait)),
                Next::OnChange => {
                    removed::forget(context, key);
                    Some(Requeue::OnChange)
                }
            })
        }
        Err(error) if error.is_conflict() => {
            act::refresh(context, key).await?;
            Ok(Some(Requeue::After(Duration::ZERO)))
        }
        Err(error) if error.is_not_found() => {
            removed::forget(context, key);
            Ok(Some(Requeue::OnChange))
        }
        Err(error) => Err(error),
    }
}

/// Decides under the book's lock, so that nobody decides on the same claims meanwhile.
fn decide_on(
    context: &Context,
    key: &ObjectKey,
    resource: &Arc<CortecsInstance>,
    observed: &Observation,
    turn: &mut Option<Turn>,
) -> Option<Decision> {
    let now = clock::moment();
    let mut book = context.book.lock();
    if !book
        .get(key)
        .is_some_and(|entry| Arc::ptr_eq(&entry.resource, resource))
    {
        return None;
    }
    let snapshot = observed.snapshot();
    book.remember(key, |memory| {
        memory.observe(resource, snapshot, context.settings.settle, now);
        let api_url = observed.fleet().map(|fleet| fleet.key().api_url.as_str());
        let sealed_id = observed.sealed_id.clone();
        memory.observe_sealed_id(sealed_id, api_url, resource, snapshot, now);
    });
    let memory = book.get(key)?.memory.clone();
    let decision = decide(&Input {
        key,
        resource,
        account: &observed.view(key),
        book: &book,
        memory: &memory,
        model: observed.model.as_ref(),
        settings: &context.settings,
        now,
        wall: clock::wall(),
        uuid: Uuid::new_v4(),
    });
    if !context.leadership.may_act() {
        return None;
    }
    record::announce(&mut book, key, &decision);
    if let Some(turns) = observed.fleet().map(Fleet::turns) {
        if let Some(rank) = decision.queue {
            turns.queue(key, rank);
        }
        if decision.step.takes_turn() && turn.is_none() {
            *turn = Some(turns.take(key));
        }
    }
    Some(decision)
}

/// Tells the fleet what the resource waits for.
fn follow_lists(context: &Context, key: &ObjectKey, observed: &Observation, decision: &Decision) {
    let fleet = observed.fleet();
    let busy_in = fleet.filter(|_| decision.busy).map(|fleet| fleet.key());
    context.directory.set_busy(key, busy_in);
    if let Some(fleet) = fleet {
        if decision.list {
            fleet.request_list_after(clock::moment());
        }
        if decision.declines_turn() {
            fleet.turns().decline(key);
        }
    }
}
