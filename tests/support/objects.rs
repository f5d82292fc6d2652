//! Objects that the suites create on a control plane.
#![allow(
    dead_code,
    reason = "every suite compiles this module and uses its own part of it"
)]
#![allow(clippy::expect_used, reason = "test code outside #[test] functions")]

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::control_plane::{ControlPlane, assert_succeeded};

/// Where the manifests of the CustomResourceDefinitions are.
const CRDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");

/// Applies the CustomResourceDefinitions and waits until the API server serves them.
pub(crate) async fn install_definitions(plane: &ControlPlane) {
    install_definitions_of(plane, CRDS).await;
}

/// The same with the definitions in this folder.
pub(crate) async fn install_definitions_of(plane: &ControlPlane, folder: &str) {
    for args in [
        &["apply", "--server-side", "-f", folder][..],
        &[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "-f",
            folder,
        ],
    ] {
        let output = plane.kubectl(args).await;
        assert_succeeded(&format!("kubectl {args:?}"), &output);
    }
}

/// Creates a Secret with credentials, or replaces what is in it.
pub(crate) async fn write_secret(
    secrets: &Api<Secret>,
    name: &str,
    client_id: &str,
    client_secret: &str,
) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {"CORTECS_CLIENT_ID": client_id, "CORTECS_CLIENT_SECRET": client_secret},
    });
    let params = PatchParams::apply("tests").force();
    let applied = secrets.patch(name, &params, &Patch::Apply(secret)).await;
    applied.expect("a Secret");
}

/// A resource of this API group.
pub(crate) fn object<K: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: Value) -> K {
    serde_json::from_value(json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }))
    .expect("an object of this kind")
}

/// Merges as a JSON merge patch does, but a null stays a null.
pub(crate) fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}
