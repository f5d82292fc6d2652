//! Notes of what a write to Kubernetes has come to.

use std::sync::Arc;

use cortecs_clock as clock;
use cortecs_resources::{CortecsInstance, key::ObjectKey};
use cortecs_rules::instance::record_write::{self, NotTaken};

use super::{context::Context, effect::Effect};
use crate::kubernetes::{client::KubeError, controller::Reconciler, refusals};

/// Makes the write an error if the object that it returned lacks its effect: at once it would have none again.
pub(super) fn had(
    effect: Effect<'_>,
    written: &CortecsInstance,
    what: &'static str,
) -> Result<(), KubeError> {
    match effect.missing_in(written) {
        None => Ok(()),
        Some(field) => Err(KubeError::no_effect(what, field)),
    }
}

/// Records that what the resource needs next cannot be written. Its status says so until the next try.
pub(super) async fn fail(context: &Context, resource: &CortecsInstance, error: &KubeError) {
    fail_saying(context, resource, error, error.to_string()).await;
}

/// The same with another message.
pub(super) async fn fail_saying(
    context: &Context,
    resource: &CortecsInstance,
    error: &KubeError,
    message: String,
) {
    let Context {
        metrics, events, ..
    } = context;
    refusals::tell(metrics, events, Context::NAME, resource, error).await;
    let (key, now) = (ObjectKey::of(resource), clock::moment());
    let generation = resource.metadata.generation.unwrap_or_default();
    let random = fastrand::f64();
    let not_taken = NotTaken {
        is_refused: error.is_refused(),
        message,
        generation,
    };
    context.book.lock().remember(&key, |memory| {
        record_write::not_taken(memory, not_taken, now, random);
    });
}

/// Notes in the book what was written.
pub(super) fn record_written(context: &Context, resource: CortecsInstance) -> Arc<CortecsInstance> {
    let resource = Arc::new(resource);
    context.book.lock().wrote(Arc::clone(&resource));
    resource
}
