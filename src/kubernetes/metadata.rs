//! Writes to the metadata of an object: finalizers and annotations.

use std::fmt::Debug;

use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::client::{KubeError, bounded};

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
    bounded(call, api.patch(&name, &parameters, &patch)).await
}
