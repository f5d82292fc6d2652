//! The memory of this process of one resource, which no status records: the calls that it has made, and when it first saw an
//! intent or an instance.
//!
//! A new process knows none of this, and each decision is safe without it: an intent that is not remembered may have been
//! carried out, and an id that was never seen before may be missing from a list that lags.
//! Pure: the shell passes observations and outcomes in.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cortecs_api::types::Instance;
use cortecs_clock::Moment;
use cortecs_resources::{
    CortecsInstance, annotations,
    instance_status::{AccountIdentity, StartIntent},
    reason::Reason,
};
use kube::ResourceExt;
use uuid::Uuid;

use super::{
    held_up::HeldUp,
    lookup::Lookup,
    sealed_id::{SealedId, is_well_formed},
    snapshot::Snapshot,
};

/// The memory of one resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    pub start: Option<Attempt>,
    pub restart: Option<Attempt>,
    /// The intent of a start is being written: it may be there already, and no watch has brought it.
    pub writing_start: Option<Arc<WritingStart>>,
    /// The open start of another resource that holds up a start of this one.
    pub held_up: Option<HeldUp>,
    pub bound: Option<Bound>,
    pub failure: Option<Failure>,
    /// Starts and restarts in a row of which nothing came.
    pub fruitless: u32,
    /// A value of `cortecs.ai/requestedAt` that was not acted on yet, and when it was first seen.
    pub request: Option<(String, Moment)>,
    /// The result of the last check of the annotation with the id.
    pub sealed_id: SealedId,
    /// The annotation's value that was checked then.
    pub sealed_value: Option<String>,
    /// The instance that only the annotation names, while the status is empty. It is watched like a bound instance.
    pub named: Option<Named>,
    /// Someone else emptied the status. The book keeps the status from before, which is to be written back.
    pub status_lost: bool,
    /// This process is removing the finalizer: if the resource goes now, this process has released it.
    pub released: bool,
    /// When to try again to seal the id, after Kubernetes refused the write.
    pub seal_retry_at: Moment,
    /// Failed calls to Kubernetes in a row, and when to try again.
    pub write_failures: u32,
    pub write_retry_at: Moment,
}

/// The intent of a start that is being written.
#[derive(Clone, Debug, PartialEq)]
pub struct WritingStart {
    pub intent: StartIntent,
    pub account: AccountIdentity,
    /// When the write was decided on.
    pub since: Moment,
}

/// A call that was written ahead, and its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// The intent's id.
    pub id: Uuid,
    /// When this process first saw the intent.
    pub first_seen: Moment,
    pub outcome: Outcome,
    /// The failure of the call whose outcome is unknown, with the API's message if there was one.
    pub said: Option<String>,
    /// Good lists that began after [`Attempt::settled_at`].
    pub settled_lists: u32,
    /// The gets of this start, by instance id: of candidates, since a list may show deleted instances for a while, and of instances of
    /// other resources, since a list may be incomplete.
    pub lookups: BTreeMap<String, Lookup>,
    /// Whether the annotation `cortecs.ai/resolve-start` has differed from the intent's `oldOrder` at some time since `oldOrder` was
    /// set. Then its value is an order about this start.
    pub ordered: bool,
    /// `oldOrder` of the intent, as last seen.
    old_order: Option<String>,
    last_sequence: u64,
}

/// How far a call that was written ahead has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// This process wrote the intent and has not made the call.
    Written,
    /// The intent is being taken back. That may be recorded already, so the call must not be made any more.
    Dropped,
    /// The call is being made.
    InFlight,
    /// The API answered with this instance; that is not recorded yet.
    Accepted(Arc<Instance>),
    /// Nothing happened at the API.
    Refused(Failure),
    /// Something may have happened at the API. Only lists that were requested after this moment count.
    Unknown(Moment),
}

/// The memory of the bound instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    pub id: String,
    /// When this process first saw the id bound.
    pub first_seen: Moment,
    /// Consecutive good lists without it.
    pub absent_lists: u32,
    /// Since when gets find the instance although lists lack it.
    pub unlisted_since: Option<Moment>,
    /// A get of it failed with 400 or 404, after two lists lacked it.
    pub lookup_failed: bool,
    /// Gets in a row that failed with 400 or 404.
    pub lookup: Option<Lookup>,
    /// The latest answer that was about this instance alone, and when it was asked for.
    pub direct: Option<(Moment, Arc<Instance>)>,
    /// When the last stop or restart was answered: lists that began earlier do not show its effect.
    pub called: Option<Moment>,
    /// A stop was answered with 200, or refused with 400: a delete may follow.
    pub stop_answered: bool,
    /// The instance is proven to be stopped: the answer to the last stop, or to a get after it, says so, and no restart was made
    /// or open since. Lists do not prove it: a list that lags shows the instance as it was before a restart.
    pub stopped: bool,
    /// Stops in a row whose effect has not been seen, and refused deletes: for their backoff.
    pub stops: u32,
    pub refused_deletes: u32,
    /// This process has made a stop or a delete, whatever its outcome.
    pub removal_tried: bool,
    /// The API's message to the last stop that it refused.
    pub refusal: Option<String>,
    /// The API confirmed the delete.
    pub deleted: bool,
    last_sequence: u64,
}

/// An instance that a sealed annotation names, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    pub api_url: String,
    pub bound: Bound,
}

/// A call that failed, and when to try again.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub kind: FailureKind,
    /// The condition's reason.
    pub reason: Reason,
    /// The call, the cause, and the message of the API.
    pub message: String,
    /// The generation of the spec that was tried.
    pub generation: i64,
    pub failed_at: Moment,
    pub retry_at: Moment,
    /// Failures in a row, for the backoff.
    pub count: u32,
}

/// The kind of a failure: how it can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The failure goes away by itself.
    Transient,
    /// The credentials are wrong.
    Auth,
    /// The same call would fail again until something changes.
    Terminal,
}

impl Memory {
    /// Takes note of the resource and the fleet's latest good list.
    pub fn observe(
        &mut self,
        resource: &CortecsInstance,
        snapshot: Option<&Snapshot>,
        settle: Duration,
        now: Moment,
    ) {
        let status = resource.status.as_ref();
        // The intent is there by now, and counts as what it is.
        self.writing_start
            .take_if(|_| status.is_some_and(|s| s.start.is_some()));
        observe_attempt(
            &mut self.start,
            status.and_then(|s| s.start.as_ref()).map(|s| s.id),
            snapshot,
            settle,
            now,
        );
        observe_attempt(
            &mut self.restart,
            status.and_then(|s| s.restart.as_ref()).map(|s| s.id),
            snapshot,
            settle,
            now,
        );
        // A good list that began later proves the credentials.
        self.failure.take_if(|failure| {
            failure.kind == FailureKind::Auth
                && snapshot.is_some_and(|s| s.requested_at > failure.failed_at)
        });
        if let (Some(attempt), Some(intent)) =
            (&mut self.start, status.and_then(|s| s.start.as_ref()))
        {
            let order = resource.annotations().get(annotations::RESOLVE_START);
            if attempt.old_order != intent.old_order {
                attempt.old_order.clone_from(&intent.old_order);
                attempt.ordered = false;
            }
            attempt.ordered |= order != intent.old_order.as_ref();
        }
        let request = resource.annotations().get(annotations::REQUESTED_AT);
        if self.request.as_ref().map(|(value, _)| value) != request {
            self.request = request.map(|value| (value.clone(), now));
        }
        let id = status.and_then(|s| s.instance_id.as_deref());
        self.bound = observe_bound(self.bound.take(), id, snapshot, now);
    }

    /// Takes note of what the annotation with the id proves. `api_url` is the API at which the instance is expected.
    pub fn observe_sealed_id(
        &mut self,
        sealed_id: SealedId,
        api_url: Option<&str>,
        resource: &CortecsInstance,
        snapshot: Option<&Snapshot>,
        now: Moment,
    ) {
        let before = self.named.take().map(|named| named.bound);
        if let (SealedId::Proven(id), Some(api_url)) = (&sealed_id, api_url)
            && resource.records_nothing()
        {
            let bound = observe_bound(before, Some(id), snapshot, now);
            self.named = bound.map(|bound| Named {
                api_url: api_url.to_owned(),
                bound,
            });
        }
        self.sealed_id = sealed_id;
        let value = resource.annotations().get(annotations::INSTANCE_ID);
        self.sealed_value = value.filter(|value| is_well_formed(value)).cloned();
    }

    /// The memory of an instance that is bound, or that the annotation names.
    pub fn of_instance(&mut self, id: &str) -> Option<&mut Bound> {
        let named = self.named.as_mut().map(|named| &mut named.bound);
        [self.bound.as_mut(), named]
            .into_iter()
            .flatten()
            .find(|bound| bound.id == id)
    }

    /// The failure after which the resource still backs off.
    pub fn backing_off(&self, generation: i64, now: Moment) -> Option<&Failure> {
        self.failure.as_ref().filter(|failure| {
            now < failure.retry_at
                && !(failure.kind == FailureKind::Terminal && failure.generation != generation)
        })
    }

    /// The instance that the open start was answered with: the resource's own, though not recorded yet.
    pub fn accepted_id(&self) -> Option<&str> {
        match &self.start.as_ref()?.outcome {
            Outcome::Accepted(instance) => Some(&instance.instance_id),
            _ => None,
        }
    }
}

impl Attempt {
    /// When the call must have had its effect, and lists must show it: the settle time after the call has ended, or after this
    /// process has found an intent whose call may have been made before.
    pub fn settled_at(&self, settle: Duration) -> Moment {
        let ended = match &self.outcome {
            Outcome::Unknown(since) => *since,
            _ => self.first_seen,
        };
        ended.max(self.first_seen).after(settle)
    }

    /// An intent that this process has just written.
    pub fn written(id: Uuid, now: Moment) -> Self {
        Self {
            outcome: Outcome::Written,
            ..Self::found(id, now)
        }
    }

    /// An intent that this process finds: the process that wrote it may have made the call.
    fn found(id: Uuid, now: Moment) -> Self {
        Self {
            id,
            first_seen: now,
            outcome: Outcome::Unknown(now),
            said: None,
            settled_lists: 0,
            lookups: BTreeMap::new(),
            ordered: false,
            old_order: None,
            last_sequence: 0,
        }
    }
}

impl Bound {
    /// A bound instance that was not seen before.
    pub fn new(id: String, now: Moment) -> Self {
        Self {
            id,
            first_seen: now,
            absent_lists: 0,
            unlisted_since: None,
            lookup_failed: false,
            lookup: None,
            direct: None,
            called: None,
            stop_answered: false,
            stopped: false,
            stops: 0,
            refused_deletes: 0,
            removal_tried: false,
            refusal: None,
            deleted: false,
            last_sequence: 0,
        }
    }

    fn observe(&mut self, snapshot: &Snapshot) {
        if snapshot.sequence == self.last_sequence {
            return;
        }
        self.last_sequence = snapshot.sequence;
        if snapshot.instances.contains_key(&self.id) {
            self.absent_lists = 0;
            self.unlisted_since = None;
            self.lookup_failed = false;
        } else if snapshot.requested_at >= self.first_seen {
            self.absent_lists = self.absent_lists.saturating_add(1);
        }
    }

    /// The instance as last seen, and when that was asked for: by the list, or by a later answer about it alone.
    pub fn latest<'a>(&'a self, snapshot: Option<&'a Snapshot>) -> Option<(Moment, &'a Instance)> {
        let listed = snapshot.and_then(|s| Some((s.requested_at, &**s.instances.get(&self.id)?)));
        let direct = self
            .direct
            .as_ref()
            .map(|(asked, instance)| (*asked, &**instance));
        match (direct, listed) {
            (Some(direct), Some(listed)) if direct.0 < listed.0 => Some(listed),
            (Some(direct), _) if self.absent_lists == 0 || self.unlisted_since.is_some() => {
                Some(direct)
            }
            (_, listed) => listed,
        }
    }
}

fn observe_bound(
    before: Option<Bound>,
    id: Option<&str>,
    snapshot: Option<&Snapshot>,
    now: Moment,
) -> Option<Bound> {
    let id = id?;
    let mut bound = before
        .filter(|bound| bound.id == id)
        .unwrap_or_else(|| Bound::new(id.to_owned(), now));
    if let Some(snapshot) = snapshot {
        bound.observe(snapshot);
    }
    Some(bound)
}

fn observe_attempt(
    attempt: &mut Option<Attempt>,
    open: Option<Uuid>,
    snapshot: Option<&Snapshot>,
    settle: Duration,
    now: Moment,
) {
    let Some(id) = open else {
        *attempt = None;
        return;
    };
    if attempt.as_ref().is_none_or(|attempt| attempt.id != id) {
        *attempt = Some(Attempt::found(id, now));
    }
    if let Some(attempt) = attempt.as_mut()
        && attempt.outcome == Outcome::InFlight
    {
        // A resource has one reconcile at a time, so no reconcile waits for this call any more: the call was cut off.
        attempt.outcome = Outcome::Unknown(now);
    }
    if let (Some(attempt), Some(snapshot)) = (attempt.as_mut(), snapshot)
        && snapshot.sequence != attempt.last_sequence
    {
        attempt.last_sequence = snapshot.sequence;
        if snapshot.requested_at >= attempt.settled_at(settle) {
            attempt.settled_lists = attempt.settled_lists.saturating_add(1);
        }
    }
}
