//! Carries out one step of a decision, and records what came of it.

use std::{sync::Arc, time::Duration};

use cortecs_clock as clock;
use cortecs_resources::{
    CortecsInstance,
    conditions::{READY, find_condition, is_true},
    instance_status::CortecsInstanceStatus,
    key::ObjectKey,
    reason::Reason,
};
use cortecs_rules::{
    facts::sealed_id,
    instance::{
        events::{derive_events, status_restored},
        record,
        step::{Decision, Purpose, Step, Write},
    },
};
use secrecy::ExposeSecret;

use super::{call::Caller, context::Context, quorum, removed, write};
use crate::{
    fleet::poll::Fleet,
    kubernetes::client::{KubeError, KubeErrorKind},
    serve::metrics::StartOutcome,
};

/// When to look again after a step.
pub enum Next {
    /// At once: the step has changed something.
    Now,
    /// At once and before anything else: a call was made, and the next step records its outcome.
    Record,
    /// As the decision says.
    AsDecided,
    /// When the resource changes: it is gone, or as good as gone.
    OnChange,
}

/// Carries out the step.
///
/// # Errors
/// When Kubernetes does not do what it was asked. Failures of the Cortecs API are remembered instead.
pub async fn act(
    context: &Context,
    key: &ObjectKey,
    resource: &CortecsInstance,
    fleet: Option<&Fleet>,
    decision: Decision,
) -> Result<Next, KubeError> {
    match decision.step {
        Step::Rest => Ok(Next::AsDecided),
        // Read by the reconcile itself, between two decisions.
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
            let result = write::add_finalizer(context, key, resource).await;
            context.effect_happened("add the finalizer").await;
            wrote(context, result?);
            Ok(Next::Now)
        }
        Step::Write(Write::RemoveFinalizer) => {
            let result = write::remove_finalizer(context, key, resource).await;
            context.effect_happened("remove the finalizer").await;
            result?;
            Ok(Next::OnChange)
        }
        Step::Write(Write::Status(purpose)) => {
            let next = match purpose {
                Purpose::Report => Next::AsDecided,
                // What was written ahead is carried out, even by a process that was asked to stop meanwhile.
                Purpose::StartIntent(_) | Purpose::RestartIntent(_) => Next::Record,
                Purpose::DropStart
                | Purpose::DropRestart
                | Purpose::Bind { .. }
                | Purpose::Dismiss
                | Purpose::VoidStart
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
                    tell(context, resource, &written).await;
                    Ok(Next::Now)
                }
                Err(error) => {
                    if error.kind() == KubeErrorKind::Invalid {
                        // The intent is no longer there, most likely.
                        refresh(context, key).await?;
                    }
                    Err(error)
                }
            }
        }
        Step::Write(Write::Seal { instance_id }) => {
            seal(context, key, resource, fleet, &instance_id).await
        }
    }
}

/// Writes the annotation that names the bound instance. A failure holds nothing up: it is tried again later.
async fn seal(
    context: &Context,
    key: &ObjectKey,
    resource: &CortecsInstance,
    fleet: Option<&Fleet>,
    instance_id: &str,
) -> Result<Next, KubeError> {
    let credentials = fleet.map(|fleet| fleet.client().credentials());
    let secret = credentials.and_then(|c| sealed_id::Key::derive(c.client_secret.expose_secret()));
    let Some(secret) = secret else {
        return Ok(Next::AsDecided);
    };
    let value = secret.seal(&key.namespace, &key.name, instance_id);
    let result = write::annotate_id(context, key, resource, &value).await;
    context.effect_happened("seal the id").await;
    match result {
        Ok(written) => wrote(context, written),
        Err(error) if error.is_conflict() || error.is_not_found() => return Err(error),
        Err(error) => {
            tracing::warn!(%error, "the instance's id is not annotated yet");
            let now = clock::moment();
            let mut book = context.book.lock();
            book.remember(key, |memory| record::seal_failed(memory, now));
        }
    }
    Ok(Next::Now)
}

/// The account in which the resource's instance or open start lives, as metrics name it.
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
    let result = write::replace_status(context, key, resource, status).await;
    context.effect_happened("write the status").await;
    let written = match result {
        Ok(written) => written,
        Err(error) => {
            if !error.outcome_unknown() {
                context.book.lock().release(key);
            }
            return Err(error);
        }
    };
    let written = Arc::new(written);
    // What is given up has no account any more.
    let account = account_label(&written).or_else(|| account_label(resource));
    let account = account.unwrap_or_default();
    let now = clock::moment();
    {
        let mut book = context.book.lock();
        book.wrote(Arc::clone(&written));
        book.remember(key, |memory| record::wrote(memory, &purpose, now));
    }
    tell(context, resource, &written).await;
    match purpose {
        Purpose::Restore => {
            tracing::warn!("the status had been emptied and is put back");
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

fn wrote(context: &Context, resource: CortecsInstance) {
    context.book.lock().wrote(Arc::new(resource));
}

/// Takes over the resource as it is now, after a write that met a newer version.
///
/// # Errors
/// When it cannot be read.
pub async fn refresh(context: &Context, key: &ObjectKey) -> Result<(), KubeError> {
    match quorum::read(context, key).await {
        Ok(resource) => {
            let went = context.book.lock().refresh(Arc::new(resource));
            removed::follow(context, went.as_slice());
        }
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Events and metrics of a change of the status.
async fn tell(context: &Context, old: &CortecsInstance, new: &CortecsInstance) {
    let Some(status) = &new.status else { return };
    let before = old.status.as_ref();
    if is_true(&status.conditions, READY)
        && find_condition(&status.conditions, READY).and_then(Reason::of) == Some(Reason::Running)
        && !before.is_some_and(|b| is_true(&b.conditions, READY))
        && let Some(started) = status.last_start_time
        && let Ok(waited) = Duration::try_from(clock::wall().duration_since(started))
    {
        context.metrics.start_duration(waited);
    }
    let tellings = derive_events(before, status);
    if !tellings.is_empty() {
        context.events.publish(new, tellings).await;
    }
}
