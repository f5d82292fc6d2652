//! Carries out one step of a decision, and records its outcome.

use std::{sync::Arc, time::Duration};

use cortecs_clock as clock;
use cortecs_resources::{
    CortecsInstance, INSTANCE_FINALIZER,
    conditions::{READY, find_condition, is_true},
    instance_status::CortecsInstanceStatus,
    key::ObjectKey,
    reason::Reason,
};
use cortecs_rules::{
    instance::{
        events::{derive_events, has_expired, status_restored},
        record, record_write,
        step::{Decision, Purpose, Step, Write},
    },
    ledger::readable,
};
use uuid::Uuid;

use super::{
    call::Caller,
    context::Context,
    effect::Effect,
    quorum, removed,
    seal::seal,
    settle, write,
    written::{fail, fail_saying, had, record_written},
};
use crate::{
    fleet::poll::Fleet,
    kubernetes::{
        client::{KubeError, KubeErrorKind},
        metadata,
    },
    serve::metrics::StartOutcome,
};

/// When the next step follows.
pub enum Next {
    /// At once: the step has changed the resource or the memory.
    Now,
    /// In the same reconcile: the next step records the outcome of a call.
    Record,
    /// When the decision says.
    AsDecided,
    /// When the account of the resource has what it has cost.
    Settlement,
    /// When the resource changes: it is gone, or is about to be removed.
    OnChange,
}

/// Carries out the step.
///
/// # Errors
/// If a call to Kubernetes fails. Failures of the Cortecs API are recorded instead.
pub async fn act(
    context: &Context,
    key: &ObjectKey,
    resource: &CortecsInstance,
    fleet: Option<&Fleet>,
    decision: Decision,
) -> Result<Next, KubeError> {
    if context.settings.only_stops && !decision.step.only_stops() {
        tracing::error!(step = ?decision.step, "this process only makes overdue stops, so the step is not taken");
        return Ok(Next::AsDecided);
    }
    match decision.step {
        Step::Rest => Ok(Next::AsDecided),
        // The reconcile makes the quorum read between two decisions.
        Step::QuorumRead => Ok(Next::Now),
        Step::Call(call) => {
            let next = match call.is_recorded() {
                true => Next::Record,
                false => Next::Now,
            };
            if let Some(fleet) = fleet {
                let account = account_label(resource).unwrap_or_default();
                let caller = Caller {
                    context,
                    fleet,
                    key,
                    generation: resource.metadata.generation.unwrap_or_default(),
                    account: &account,
                };
                caller.make(call).await;
            }
            Ok(next)
        }
        Step::Write(Write::AddFinalizer) => {
            let result =
                metadata::add_finalizer(&write::api(context, key), resource, INSTANCE_FINALIZER)
                    .await;
            context.effect_happened("add the finalizer").await;
            let result = result.and_then(|written| {
                let written = record_written(context, written);
                had(Effect::Finalizer, &written, "add the finalizer")
            });
            taken_or_refused(context, resource, result, Next::Now).await
        }
        Step::Write(Write::RemoveFinalizer) => {
            if !settle::is_settled(context, resource, &decision.status) {
                return Ok(Next::Settlement);
            }
            context.effect_happened("settle the cost").await;
            let result =
                metadata::remove_finalizer(&write::api(context, key), resource, INSTANCE_FINALIZER)
                    .await;
            context.effect_happened("remove the finalizer").await;
            taken_or_refused(context, resource, result.map(drop), Next::OnChange).await
        }
        Step::Write(Write::DeleteResource) => delete(context, key, resource).await,
        Step::Write(Write::Status(purpose)) => {
            let next = match purpose {
                Purpose::Report => Next::AsDecided,
                // A shutdown must not come between the write of an intent and its call.
                Purpose::StartIntent(_) | Purpose::RestartIntent(_) => Next::Record,
                Purpose::DropStart
                | Purpose::DropRestart
                | Purpose::Bind { .. }
                | Purpose::Dismiss
                | Purpose::VoidStart
                | Purpose::VoidRestart
                | Purpose::Unbind
                | Purpose::Restore => Next::Now,
            };
            write_status(context, key, resource, decision.status, purpose).await?;
            Ok(next)
        }
        Step::Write(Write::RecordAccepted { intent, instance }) => {
            let status = decision.status;
            let result = write::record_accepted(context, key, &status, intent, &instance).await;
            context.effect_happened("record the instance").await;
            match result {
                Ok(written) => {
                    let now = clock::moment();
                    let written = Arc::new(written);
                    {
                        let mut book = context.book.lock();
                        book.wrote(Arc::clone(&written));
                        book.remember(key, |memory| record::recorded(memory, &instance, now));
                    }
                    let bound = Effect::Bound(&instance.instance_id);
                    had(bound, &written, "record the started instance")?;
                    publish_changes(context, resource, &written).await;
                    Ok(Next::Now)
                }
                Err(error) => {
                    if error.kind() == KubeErrorKind::Invalid {
                        // Either the status lacks the intent by now, or the write is refused.
                        refresh(context, key).await?;
                        if !has_start(context, key, intent) {
                            return Ok(Next::Now);
                        }
                    }
                    Err(error)
                }
            }
        }
        Step::Write(Write::Overtake { start_of, intent }) => {
            tracing::warn!(%start_of, "an open start that does not come to an end is overtaken");
            let result = write::overtake(context, &start_of, intent).await;
            context.effect_happened("overtake a start").await;
            let what = "overtake an open start";
            let result = result.map(|written| (Effect::Overtaken(intent), what, written));
            told(context, resource, &start_of, intent, result).await
        }
        Step::Write(Write::LetGo {
            start_of,
            intent,
            digest,
        }) => {
            let result = write::let_go(context, &start_of, intent, &digest).await;
            context.effect_happened("tell a start").await;
            let what = "tell an open start of an instance";
            let result = result.map(|written| (Effect::LetGo(intent, &digest), what, written));
            told(context, resource, &start_of, intent, result).await
        }
        Step::Write(Write::Seal { instance_id }) => {
            let tried = seal(context, key, resource, fleet, &instance_id).await?;
            Ok(if tried { Next::Now } else { Next::AsDecided })
        }
    }
}

/// What follows after a change of the resource's metadata. If Kubernetes refuses it, the status says so, and it is tried again later.
async fn taken_or_refused(
    context: &Context,
    resource: &CortecsInstance,
    result: Result<(), KubeError>,
    next: Next,
) -> Result<Next, KubeError> {
    match result {
        Ok(()) => Ok(next),
        Err(error) if error.is_refused() => {
            tracing::warn!(%error, "Kubernetes refuses a change of the resource");
            fail(context, resource, &error).await;
            Ok(Next::Now)
        }
        Err(error) => Err(error),
    }
}

/// Takes note of a write to the open start of another resource. Where that fails, this resource says so and tries again later.
async fn told(
    context: &Context,
    resource: &CortecsInstance,
    start_of: &ObjectKey,
    intent: Uuid,
    result: Result<(Effect<'_>, &'static str, CortecsInstance), KubeError>,
) -> Result<Next, KubeError> {
    let result = result.and_then(|(effect, what, written)| {
        let written = record_written(context, written);
        had(effect, &written, what)
    });
    let Err(error) = result else {
        return Ok(Next::Now);
    };
    if error.kind() == KubeErrorKind::Invalid || error.is_not_found() {
        // That start has most likely come to an end.
        refresh(context, start_of).await?;
        if !has_start(context, start_of, intent) {
            return Ok(Next::Now);
        }
    }
    tracing::warn!(%start_of, %error, "an open start cannot be told");
    let message = format!(
        "CortecsInstance {start_of}, whose start is open, cannot be changed, and has to be first: {error}"
    );
    fail_saying(context, resource, &error, message).await;
    Ok(Next::Now)
}

/// Whether this start of the resource is open.
fn has_start(context: &Context, key: &ObjectKey, intent: Uuid) -> bool {
    let book = context.book.lock();
    let status = book
        .get(key)
        .and_then(|entry| entry.resource.status.as_ref());
    let start = status.and_then(|status| status.slot().start.as_ref());
    start.is_some_and(|start| start.id == intent)
}

/// Deletes the resource because it has expired. Where Kubernetes refuses that, the resource says so and tries again later.
async fn delete(
    context: &Context,
    key: &ObjectKey,
    resource: &CortecsInstance,
) -> Result<Next, KubeError> {
    let result = metadata::delete(&write::api(context, key), resource).await;
    context.effect_happened("delete the resource").await;
    match result {
        Ok(()) => {
            tracing::info!("the resource has expired and is deleted");
            context.events.publish(resource, vec![has_expired()]).await;
            Ok(Next::OnChange)
        }
        Err(error) if error.is_conflict() || error.is_not_found() => Err(error),
        Err(error) => {
            tracing::warn!(%error, "the resource has expired and cannot be deleted");
            fail(context, resource, &error).await;
            Ok(Next::Now)
        }
    }
}

/// The label in metrics of the account that the resource's instance or open start belongs to.
fn account_label(resource: &CortecsInstance) -> Option<String> {
    let home = resource.status.as_ref()?.account.as_ref()?;
    Some(format!("{}/{}", home.namespace, home.name))
}

async fn write_status(
    context: &Context,
    key: &ObjectKey,
    resource: &CortecsInstance,
    status: CortecsInstanceStatus,
    purpose: Purpose,
) -> Result<(), KubeError> {
    let wanted = status.clone();
    let result = write::replace_status(context, key, resource, status).await;
    context.effect_happened("write the status").await;
    let written = match result {
        Ok(written) => written,
        Err(error) => {
            if !error.outcome_unknown() {
                let mut book = context.book.lock();
                book.release(key);
                book.remember(key, record_write::not_written);
            }
            return Err(error);
        }
    };
    let written = Arc::new(written);
    if let Err(error) = had(Effect::Recorded(&wanted), &written, "write the status") {
        {
            let mut book = context.book.lock();
            book.wrote(written);
            book.release(key);
            book.remember(key, record_write::not_written);
        }
        if !matches!(purpose, Purpose::StartIntent(_) | Purpose::RestartIntent(_)) {
            return Err(error);
        }
        // The call is not made. What is written in between would end the pause of failed writes.
        tracing::warn!(%error, "a call cannot be written ahead");
        fail(context, resource, &error).await;
        return Ok(());
    }
    // The written status lacks the account if it gives up a start or an instance.
    let account = account_label(&written).or_else(|| account_label(resource));
    let account = account.unwrap_or_default();
    let now = clock::moment();
    let generation = written.metadata.generation.unwrap_or_default();
    {
        let mut book = context.book.lock();
        book.wrote(Arc::clone(&written));
        book.remember(key, |memory| {
            record_write::wrote(memory, &purpose, now, generation)
        });
    }
    publish_changes(context, resource, &written).await;
    match purpose {
        Purpose::Restore => {
            tracing::warn!("the status was empty and is restored");
            context
                .events
                .publish(&*written, vec![status_restored()])
                .await;
        }
        Purpose::Bind { resolved: true, .. } => {
            context.metrics.start(&account, StartOutcome::Resolved);
        }
        Purpose::VoidStart => context.metrics.start(&account, StartOutcome::Void),
        _ => {}
    }
    Ok(())
}

/// Reads the current version of the resource into the book, after a conflict.
///
/// # Errors
/// If the read fails.
pub async fn refresh(context: &Context, key: &ObjectKey) -> Result<(), KubeError> {
    match quorum::read(context, key).await {
        Ok(decoded) => {
            let removed = readable::refresh(&mut context.book.lock(), &decoded);
            removed::handle(context, removed.as_slice());
        }
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Publishes the events and metrics of a change of the status.
async fn publish_changes(context: &Context, old: &CortecsInstance, new: &CortecsInstance) {
    let Some(status) = &new.status else { return };
    let before = old.status.as_ref();
    if is_true(&status.conditions, READY)
        && find_condition(&status.conditions, READY).and_then(Reason::of) == Some(Reason::Running)
        // The first time since the instance was asked to run: whatever was once reached is no start any more.
        && before.is_none_or(|b| b.slot().reached_generation.is_none())
        && let Some(started) = status.slot().last_start_time
        && let Ok(waited) = Duration::try_from(clock::wall().duration_since(started))
    {
        context.metrics.start_duration(waited);
    }
    let events = derive_events(before, status);
    if !events.is_empty() {
        context.events.publish(new, events).await;
    }
}
