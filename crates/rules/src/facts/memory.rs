//! The memory of this process of one resource, which no status records: the calls that it has made, and when it first saw an
//! intent or an instance.
//!
//! A new process knows none of this, and each decision is safe without it: an intent that is not remembered may have been
//! carried out, and an id that was never seen before may be missing from a list that lags.
//! Pure: the shell passes observations and outcomes in.

use std::{sync::Arc, time::Duration};

use cortecs_clock::Moment;
use cortecs_resources::{
    CortecsInstance, annotations, identity::AccountIdentity, journal::StartIntent,
};
use kube::ResourceExt;

use super::{
    attempt::{Attempt, Outcome, observe_attempt},
    bound::{Bound, observe_bound},
    budget_wait::BudgetWait,
    failure::{Failure, FailureKind},
    fleet_key::FleetKey,
    held_up::HeldUp,
    sealed_id::{SealedId, is_well_formed, named_id},
    snapshot::Snapshot,
};

/// The memory of one resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    pub start: Option<Attempt>,
    pub restart: Option<Attempt>,
    /// The intent of a start is being written: it may be there already, and no watch has brought it.
    pub writing_start: Option<Arc<WritingStart>>,
    /// The intent of a restart is being written, as above.
    pub writing_restart: bool,
    /// A start or restart waits for the account's budget.
    pub budget_wait: Option<BudgetWait>,
    /// The open start of another resource that holds up a start of this one.
    pub held_up: Option<HeldUp>,
    pub bound: Option<Bound>,
    /// The instance that was bound last, if this process has deleted it: a list may be older than that.
    pub removed: Option<String>,
    pub failure: Option<Failure>,
    /// Starts and restarts in a row of which nothing came.
    pub fruitless: u32,
    /// The values of `cortecs.ai/requestedAt` and `cortecs.ai/restartedAt`, as last seen.
    pub orders: [Option<String>; 2],
    /// A value of `cortecs.ai/requestedAt` that was not acted on yet, and when it was first seen.
    pub request: Option<(String, Moment)>,
    /// The result of the last check of the annotation with the id.
    pub sealed_id: SealedId,
    /// The annotation's value then, and since when it has been that.
    pub sealed_value: Option<(String, Moment)>,
    /// The instance that only the annotation names, while the status is empty. It is watched like a bound instance.
    pub named: Option<Named>,
    /// The resource cannot be decoded as a whole. Nothing is decided about it.
    pub unreadable: bool,
    /// Someone else emptied the status. The book keeps the status from before, which is to be written back.
    pub status_lost: bool,
    /// The message of the last status that was to tell of the deletion. It is told once, whatever becomes of the write.
    pub parting: Option<String>,
    /// This process is removing the finalizer: if the resource goes now, this process has released it.
    pub released: bool,
    /// The last write of the sealed id, if it failed.
    pub seal_failure: Option<SealFailure>,
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

/// The sealed id could not be written.
#[derive(Clone, Debug, PartialEq)]
pub struct SealFailure {
    pub message: String,
    /// Failures in a row.
    pub count: u32,
    pub retry_at: Moment,
}

/// An instance that a sealed annotation names, and nothing else.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    pub fleet: FleetKey,
    pub bound: Bound,
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
            .take_if(|_| status.is_some_and(|s| s.slot().start.is_some()));
        self.writing_restart &= status.is_none_or(|s| s.slot().restart.is_none());
        observe_attempt(
            &mut self.start,
            status.and_then(|s| s.slot().start.as_ref()).map(|s| s.id),
            snapshot,
            settle,
            now,
        );
        observe_attempt(
            &mut self.restart,
            status.and_then(|s| s.slot().restart.as_ref()).map(|s| s.id),
            snapshot,
            settle,
            now,
        );
        // A good list that began later proves the credentials.
        self.failure.take_if(|failure| {
            failure.kind == FailureKind::Auth
                && snapshot.is_some_and(|s| s.requested_at > failure.failed_at)
        });
        if let (Some(attempt), Some(intent)) = (
            &mut self.start,
            status.and_then(|s| s.slot().start.as_ref()),
        ) {
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
        if let Some(bound) = self.bound.as_ref().filter(|bound| bound.deleted) {
            self.removed = Some(bound.id.clone());
        }
        self.bound = observe_bound(self.bound.take(), id, snapshot, now);
    }

    /// Whether a person orders to try now, by a new value of `cortecs.ai/requestedAt` or `cortecs.ai/restartedAt`. Then no failure of
    /// before is waited for any more.
    pub fn takes_order(&mut self, resource: &CortecsInstance) -> bool {
        let status = resource.status.as_ref();
        let handled = [
            status.and_then(|s| s.last_handled_request_at.clone()),
            status.and_then(|s| s.last_handled_restart_at.clone()),
        ];
        let orders = [annotations::REQUESTED_AT, annotations::RESTARTED_AT]
            .map(|name| annotations::value(resource, name).map(str::to_owned));
        let before = std::mem::replace(&mut self.orders, orders.clone());
        let mut each = orders.iter().zip(&handled).zip(&before);
        let is_new = each.any(|((order, handled), before)| {
            order.is_some() && order != handled && order != before
        });
        if is_new {
            self.failure = None;
            self.fruitless = 0;
            self.seal_failure = None;
            self.write_failures = 0;
            self.write_retry_at = Moment::default();
        }
        is_new
    }

    /// Takes note of what the annotation with the id proves. `fleet` is the one in which the instance is expected.
    pub fn observe_sealed_id(
        &mut self,
        sealed_id: SealedId,
        fleet: Option<&FleetKey>,
        resource: &CortecsInstance,
        snapshot: Option<&Snapshot>,
        now: Moment,
    ) {
        if matches!(sealed_id, SealedId::Proven(_)) {
            self.seal_failure = None;
        }
        let before = self.named.take().map(|named| named.bound);
        if let (SealedId::Proven(id), Some(fleet)) = (&sealed_id, fleet)
            && resource.records_nothing()
        {
            let bound = observe_bound(before, Some(id), snapshot, now);
            self.named = bound.map(|bound| Named {
                fleet: fleet.clone(),
                bound,
            });
        }
        self.sealed_id = sealed_id;
        let value = resource.annotations().get(annotations::INSTANCE_ID);
        let value = value.filter(|value| is_well_formed(value));
        // Another value about the same instance does not begin the wait anew.
        let before = self.sealed_value.take();
        self.sealed_value = value.map(|value| {
            let same = before.filter(|(old, _)| named_id(old) == named_id(value));
            (value.clone(), same.map_or(now, |(_, since)| since))
        });
    }

    /// Whether it is settled what this value of the annotation proves: it was checked, or the check has not been possible for the
    /// settle time, because the resource's account cannot be used. One tenant's trouble does not hold another one up for longer.
    pub fn has_checked(&self, value: &str, settle: Duration, now: Moment) -> bool {
        let seen = self.sealed_value.as_ref().filter(|(seen, _)| seen == value);
        seen.is_some_and(|(_, since)| {
            self.sealed_id != SealedId::Unchecked || now >= since.after(settle)
        })
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
