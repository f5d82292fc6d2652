//! The controller of instances: its watch, and its reconcile out of observe, decide and act.

use std::{
    hash::{DefaultHasher, Hash},
    sync::Arc,
    time::Duration,
};

use cortecs_clock as clock;
use cortecs_clock::{Backoff, Moment};
use cortecs_resources::{
    CortecsInstance, annotations, decode::Decoded, instance_status::CortecsInstanceStatus,
    key::ObjectKey,
};
use cortecs_rules::{
    facts::{
        account_entry::AccountState,
        args,
        home::{home_account, named_account},
    },
    instance::{
        decide,
        input::Input,
        record,
        step::{Decision, Step},
    },
    ledger::{book::Scope, readable},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{ResourceExt, runtime::watcher::Event};
use tokio::sync::{AcquireError, SemaphorePermit};
use tracing::Span;
use uuid::Uuid;

use super::{
    act::{self, Next},
    context::Context,
    observe::{Observation, is_managed_elsewhere, observe},
    quorum, removed,
};
use crate::{
    fleet::{poll::Fleet, turns::Turn},
    kubernetes::{
        client::KubeError,
        controller::{Reconciler, Requeue},
    },
};

/// Every resource is reconciled this often without an event, in case an event was missed.
const RESYNC_INTERVAL: Duration = Duration::from_secs(600);

/// How many reconciles may wait for the Cortecs API beside those that have a worker. A fleet makes few calls at once, so this
/// suffices for many slow fleets.
pub const MAX_WAITING_FOR_API: u16 = 256;

/// The pause before the next reconcile while this process may not act, or does not know all resources yet.
const NOT_READY_PAUSE: Duration = Duration::from_millis(500);

/// The pause before the next look whether the account has what a resource has cost.
const SETTLEMENT_PAUSE: Duration = Duration::from_secs(5);

impl Reconciler for Context {
    type Object = CortecsInstance;
    const NAME: &'static str = "cortecsinstance";

    /// Orders by annotation, and the loss of the status or of the annotation with the id.
    fn hash_relevant(resource: &CortecsInstance, hasher: &mut DefaultHasher) {
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

    /// Brings the book up to date.
    fn on_event(&self, scope: &Scope, event: &Event<Decoded<CortecsInstance>>) {
        let mut book = self.book.lock();
        let removed = match event {
            Event::Init => {
                book.begin_listing(scope.clone());
                Vec::new()
            }
            Event::InitApply(decoded) | Event::Apply(decoded) => {
                if matches!(event, Event::InitApply(_)) && book.knows_newer(&decoded.object) {
                    // A list that began before the last write is older, too: the versions are compared.
                    self.history.suspect();
                }
                Vec::from_iter(readable::apply(&mut book, decoded))
            }
            Event::InitDone => book.end_listing(scope),
            Event::Delete(decoded) => Vec::from_iter(book.deleted(&decoded.object)),
        };
        drop(book);
        removed::handle(self, &removed);
    }

    fn on_watch_error(&self) {
        self.history.suspect();
    }

    async fn reconcile(&self, resource: Arc<CortecsInstance>) -> Result<Requeue, KubeError> {
        let key = ObjectKey::of(&*resource);
        // A shutdown must not come between a call and the write that records its outcome, so this write does not wait for a
        // worker again.
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
        wait.unwrap_or(NOT_READY_PAUSE)
    }

    fn owing(&self) -> Vec<Arc<CortecsInstance>> {
        let book = self.book.lock();
        let owing = book
            .iter()
            .filter(|(_, entry)| entry.memory.accepted_id().is_some());
        owing
            .map(|(_, entry)| Arc::clone(&entry.resource))
            .collect()
    }

    fn hurry(&self, resource: &CortecsInstance) {
        let mut book = self.book.lock();
        book.remember(&ObjectKey::of(resource), |memory| {
            memory.write_retry_at = Moment::default();
        });
    }

    /// The instance of a start that was answered before is recorded.
    async fn left_alone(&self, decoded: &Decoded<CortecsInstance>) -> Result<(), KubeError> {
        if self.owes_a_write(&decoded.object) {
            self.reconcile(Arc::clone(&decoded.object)).await?;
        }
        Ok(())
    }

    fn conditions_to_write<'a>(&self, resource: &'a CortecsInstance) -> Option<&'a [Condition]> {
        let may_write = self.leadership.may_act()
            && !self.settings.only_stops
            && self.directory.synced()
            && !is_managed_elsewhere(self, resource);
        let status = resource.status.as_ref();
        may_write.then(|| status.map_or(&[][..], |status| &status.conditions))
    }

    /// The instance that a start was answered with, until it is recorded.
    fn owes_a_write(&self, resource: &CortecsInstance) -> bool {
        let book = self.book.lock();
        let entry = book.get(&ObjectKey::of(resource));
        entry.is_some_and(|entry| entry.memory.accepted_id().is_some())
    }
}

/// Adds the id of the resource's instance to the log lines of the reconcile.
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

/// A permit of [`Context::workers`].
type Worker<'a> = Result<SemaphorePermit<'a>, AcquireError>;

/// One step: observe, decide, act. `None`: the next step has to follow at once, in the same reconcile.
async fn step(
    context: &Context,
    key: &ObjectKey,
    worker: &mut Option<Worker<'_>>,
    turn: &mut Option<Turn>,
) -> Result<Option<Requeue>, KubeError> {
    if context.targets.as_ref().is_some_and(|t| !t.contains(key)) {
        return Ok(Some(Requeue::OnChange));
    }
    if !context.leadership.may_act()
        || !context.watches.all_listed()
        || context.history.is_restored()
    {
        return Ok(Some(Requeue::After(NOT_READY_PAUSE)));
    }
    let Some((resource, ordered)) = look_up(context, key) else {
        removed::set_idle(context, key);
        return Ok(Some(Requeue::OnChange));
    };
    if is_managed_elsewhere(context, &resource) {
        // The operator that manages the account reconciles this resource, and lists for it.
        removed::set_idle(context, key);
        return Ok(Some(Requeue::After(RESYNC_INTERVAL)));
    }
    if ordered {
        forget_answers(context, &resource);
    }
    if let Some(wait) = pause_of_writes(context, key) {
        return Ok(Some(Requeue::After(wait)));
    }
    let observed = observe(context, &resource).await;
    let mut decision = decide_on(context, key, &resource, &observed, turn);
    if decision
        .as_ref()
        .is_some_and(|d| d.step == Step::QuorumRead)
    {
        // The second decision uses the same list as the first: a newer list would need another quorum read, and lists may come
        // faster than quorum reads.
        quorum::read_all(context).await?;
        decision = decide_on(context, key, &resource, &observed, turn);
    }
    let Some(decision) = decision else {
        // The resource changed during the observation.
        return Ok(Some(Requeue::After(Duration::ZERO)));
    };
    update_fleet(context, key, &observed, &decision);
    let wait = decision
        .look_again
        .unwrap_or_else(|| RESYNC_INTERVAL.mul_f64(0.9 + 0.2 * fastrand::f64()));
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
            if !calls {
                let mut book = context.book.lock();
                book.remember(key, |memory| memory.write_failures = 0);
            }
            Ok(match next {
                Next::Now => Some(Requeue::After(Duration::ZERO)),
                Next::Record => None,
                Next::AsDecided => Some(Requeue::After(wait)),
                Next::Settlement => Some(Requeue::After(SETTLEMENT_PAUSE)),
                Next::OnChange => {
                    removed::set_idle(context, key);
                    Some(Requeue::OnChange)
                }
            })
        }
        Err(error) if error.is_conflict() => {
            act::refresh(context, key).await?;
            Ok(Some(Requeue::After(Duration::ZERO)))
        }
        Err(error) if error.is_not_found() => {
            removed::set_idle(context, key);
            Ok(Some(Requeue::OnChange))
        }
        Err(error) => Err(error),
    }
}

/// The resource, and whether a person has just ordered to try now.
fn look_up(context: &Context, key: &ObjectKey) -> Option<(Arc<CortecsInstance>, bool)> {
    let mut book = context.book.lock();
    let resource = Arc::clone(&book.get(key)?.resource);
    let ordered = book.remember(key, |memory| memory.takes_order(&resource));
    Some((resource, ordered == Some(true)))
}

/// What the API said of the resource's model and of free hardware is asked for anew.
fn forget_answers(context: &Context, resource: &CortecsInstance) {
    let account = home_account(resource)
        .or_else(|| named_account(resource, context.default_account.as_ref()));
    let entry = account.and_then(|key| context.directory.account(&key.namespace, &key.name));
    if let Some(AccountState::Usable(fleet)) = entry.map(|entry| entry.state.clone()) {
        let model = args::normalise_model_id(&resource.spec.model_id);
        context.catalog.forget(&fleet.api_url, &model);
        context.free_hardware.forget_all(&fleet.api_url);
    }
}

/// How long the writes about the resource pause after one that failed.
fn pause_of_writes(context: &Context, key: &ObjectKey) -> Option<Duration> {
    let retry_at = context.book.lock().get(key)?.memory.write_retry_at;
    let now = clock::moment();
    (now < retry_at).then(|| retry_at.since(now))
}

/// Decides under the lock of the book, so that no other reconcile decides about the same claims at the same time.
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
        let fleet = observed.fleet().map(Fleet::key);
        let sealed_id = observed.sealed_id.clone();
        memory.observe_sealed_id(sealed_id, fleet, resource, snapshot, now);
    });
    let memory = book.get(key)?.memory.clone();
    let decision = decide(&Input {
        key,
        resource,
        account: &observed.view(key),
        book: &book,
        memory: &memory,
        model: observed.model.as_ref(),
        capacity: &observed.capacity,
        settings: &context.settings,
        now,
        wall: clock::wall(),
        uuid: Uuid::new_v4(),
    });
    if !context.leadership.may_act() {
        return None;
    }
    record::announce(&mut book, key, &decision, now);
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

/// Tells the fleet which lists and which turn the resource waits for.
fn update_fleet(context: &Context, key: &ObjectKey, observed: &Observation, decision: &Decision) {
    let fleet = observed.fleet();
    let busy_in = fleet.filter(|_| decision.busy).map(|fleet| fleet.key());
    context.directory.set_busy(key, busy_in);
    if let Some(fleet) = fleet {
        if let Some(after) = decision.list_after {
            fleet.request_list_after(after);
        }
        if decision.declines_turn() {
            fleet.turns().decline(key);
        }
    }
}
