//! The write of the annotation that names the bound instance.

use cortecs_clock as clock;
use cortecs_resources::{CortecsInstance, key::ObjectKey};
use cortecs_rules::{facts::sealed_id, instance::record_write};
use secrecy::ExposeSecret;

use super::{
    context::Context,
    effect::Effect,
    write,
    written::{had, record_written},
};
use crate::{
    fleet::poll::Fleet,
    kubernetes::{client::KubeError, controller::Reconciler, refusals},
};

/// Writes the annotation that names the bound instance. A failure is logged, and the write is repeated later. Whether the write could be
/// tried: without credentials it cannot.
pub(super) async fn seal(
    context: &Context,
    key: &ObjectKey,
    resource: &CortecsInstance,
    fleet: Option<&Fleet>,
    instance_id: &str,
) -> Result<bool, KubeError> {
    let credentials = fleet.map(|fleet| fleet.client().credentials());
    let secret = credentials.and_then(|c| sealed_id::Key::derive(c.client_secret.expose_secret()));
    let Some(secret) = secret else {
        return Ok(false);
    };
    let value = secret.seal(&key.namespace, &key.name, instance_id);
    let result = write::annotate_id(context, key, resource, &value).await;
    context.effect_happened("seal the id").await;
    let error = match result {
        Ok(written) => {
            let written = record_written(context, written);
            match had(Effect::Sealed(&value), &written, "seal the instance's id") {
                Ok(()) => return Ok(true),
                Err(error) => error,
            }
        }
        Err(error) if error.is_conflict() || error.is_not_found() => return Err(error),
        Err(error) => error,
    };
    tracing::warn!(%error, "the annotation with the instance's id cannot be written now");
    let Context {
        metrics, events, ..
    } = context;
    refusals::tell(metrics, events, Context::NAME, resource, &error).await;
    let now = clock::moment();
    let mut book = context.book.lock();
    book.remember(key, |memory| {
        record_write::seal_failed(memory, error.to_string(), now);
    });
    Ok(true)
}
