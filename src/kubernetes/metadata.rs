//! Writes to the metadata of an object: finalizers, annotations and its deletion.

use std::fmt::Debug;

use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::{KubeError, bounded_write};

/// Adds `finalizer` to `object`.
///
/// # Errors
/// `Conflict` if the object has changed since `object` was read: nothing was written.
pub async fn add_finalizer<K>(api: &Api<K>, object: &K, finalizer: &str) -> Result<K, KubeError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let mut finalizers = object.finalizers().to_vec();
    finalizers.push(finalizer.to_owned());
    set_finalizers(api, object, finalizers).await
}

/// Removes `finalizer` from `object`.
///
/// # Errors
/// `Conflict` if the object has changed since `object` was read: nothing was written.
pub async fn remove_finalizer<K>(api: &Api<K>, object: &K, finalizer: &str) -> Result<K, KubeError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let mut finalizers = object.finalizers().to_vec();
    finalizers.retain(|other| other != finalizer);
    set_finalizers(api, object, finalizers).await
}

async fn set_finalizers<K>(
    api: &Api<K>,
    object: &K,
    finalizers: Vec<String>,
) -> Result<K, KubeError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let call = "change the finalizers";
    patch_metadata(api, object, "finalizers", json!(finalizers), call).await
}

/// Deletes `object`.
///
/// # Errors
/// `Conflict` if the object has changed since `object` was read: nothing was deleted.
pub async fn delete<K>(api: &Api<K>, object: &K) -> Result<(), KubeError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let parameters = DeleteParams {
        preconditions: Some(Preconditions {
            uid: object.uid(),
            resource_version: object.resource_version(),
        }),
        ..DeleteParams::default()
    };
    let name = object.name_any();
    bounded_write("delete the resource", api.delete(&name, &parameters)).await?;
    Ok(())
}

/// Merges `value` into the field `field` of the metadata of `object`. `call` names the call in errors.
///
/// # Errors
/// `Conflict` if the object has changed since `object` was read: nothing was written.
pub async fn patch_metadata<K>(
    api: &Api<K>,
    object: &K,
    field: &str,
    value: Value,
    call: &'static str,
) -> Result<K, KubeError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let patch = Patch::Merge(json!({
        "metadata": {
            field: value,
            "uid": object.meta().uid,
            "resourceVersion": object.meta().resource_version,
        }
    }));
    let (name, parameters) = (object.name_any(), PatchParams::default());
    bounded_write(call, api.patch(&name, &parameters, &patch)).await
}
