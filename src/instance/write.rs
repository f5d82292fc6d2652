//! The writes to Kubernetes. Each except [`record_accepted`], [`overtake`] and [`let_go`] carries the resourceVersion that the decision was taken from.

use std::sync::Arc;

use cortecs_api::types::Instance;
use cortecs_resources::{
    CortecsInstance, annotations, decode::Decoded, instance_status::CortecsInstanceStatus,
    key::ObjectKey,
};
use cortecs_rules::facts::args;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::context::Context;
use crate::kubernetes::{
    client::{KubeError, bounded_write},
    metadata, scope,
};

/// Where a status has the open start.
const START: &str = "/status/journal/slots/current/start";

pub(super) fn api(context: &Context, key: &ObjectKey) -> Api<CortecsInstance> {
    Api::namespaced(context.client.clone(), &key.namespace)
}

/// Replaces the status.
///
/// # Errors
/// `Conflict` if the resource has changed since the decision: nothing was written.
pub async fn replace_status(
    context: &Context,
    key: &ObjectKey,
    resource: &CortecsInstance,
    status: CortecsInstanceStatus,
) -> Result<CortecsInstance, KubeError> {
    let mut wanted = resource.clone();
    wanted.metadata.managed_fields = None;
    wanted.status = Some(status);
    let call = async {
        api(context, key)
            .replace_status(&key.name, &PostParams::default(), &wanted)
            .await
    };
    bounded_write("write the status", call).await
}

/// Records the instance that an accepted start has created, if the status still has the intent of this start. The write does
/// not carry a resourceVersion, so a concurrent change of the resource does not make it fail.
///
/// # Errors
/// `Invalid` if the status no longer has the intent.
pub async fn record_accepted(
    context: &Context,
    key: &ObjectKey,
    status: &CortecsInstanceStatus,
    intent: Uuid,
    instance: &Instance,
) -> Result<CortecsInstance, KubeError> {
    let in_force = args::in_force(&instance.instance_args, status.instance_args.as_ref());
    let patch = json!([
        { "op": "test", "path": format!("{START}/id"), "value": intent },
        { "op": "add", "path": "/status/instanceId", "value": instance.instance_id },
        { "op": "add", "path": "/status/instanceArgs", "value": in_force },
        { "op": "remove", "path": START },
    ]);
    patch_status(context, key, patch, "record the started instance").await
}

/// A JSON patch of the status. It carries no resourceVersion.
async fn patch_status(
    context: &Context,
    key: &ObjectKey,
    patch: Value,
    what: &'static str,
) -> Result<CortecsInstance, KubeError> {
    let call = async {
        let patch = serde_json::from_value(patch).map_err(kube::Error::SerdeError)?;
        let scope = Some(key.namespace.clone());
        let api: Api<Decoded<CortecsInstance>> = scope::api(&context.client, &scope);
        let params = PatchParams::default();
        api.patch_status(&key.name, &params, &Patch::Json::<()>(patch))
            .await
    };
    let decoded = bounded_write(what, call).await?;
    if decoded.problem.is_some() {
        let mut book = context.book.lock();
        book.remember(key, |memory| memory.unreadable = true);
    }
    Ok(Arc::unwrap_or_clone(decoded.object))
}

/// Marks the open start of a resource as overtaken, if the status still has this intent.
///
/// # Errors
/// `Invalid` if the status no longer has the intent.
pub async fn overtake(
    context: &Context,
    key: &ObjectKey,
    intent: Uuid,
) -> Result<CortecsInstance, KubeError> {
    let patch = json!([
        { "op": "test", "path": format!("{START}/id"), "value": intent },
        { "op": "add", "path": format!("{START}/overtaken"), "value": true },
    ]);
    patch_status(context, key, patch, "overtake an open start").await
}

/// Records with the open start of a resource that it cannot have made an instance, if the status still has this intent.
///
/// # Errors
/// `Invalid` if the status no longer has the intent.
pub async fn let_go(
    context: &Context,
    key: &ObjectKey,
    intent: Uuid,
    digest: &str,
) -> Result<CortecsInstance, KubeError> {
    let patch = json!([
        { "op": "test", "path": format!("{START}/id"), "value": intent },
        { "op": "add", "path": format!("{START}/knownInstances/-"), "value": digest },
    ]);
    patch_status(context, key, patch, "tell an open start of an instance").await
}

/// Writes the annotation with the id, and nothing else.
///
/// # Errors
/// `Conflict` if the resource has changed since the decision: nothing was written.
pub async fn annotate_id(
    context: &Context,
    key: &ObjectKey,
    resource: &CortecsInstance,
    value: &str,
) -> Result<CortecsInstance, KubeError> {
    let annotations = json!({ annotations::INSTANCE_ID: value });
    let call = "write the annotation with the instance's id";
    metadata::patch_metadata(
        &api(context, key),
        resource,
        "annotations",
        annotations,
        call,
    )
    .await
}
