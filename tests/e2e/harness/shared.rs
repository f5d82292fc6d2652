//! What all tests of the process share: a control plane with the CustomResourceDefinitions and the operator's roles.

use std::{path::PathBuf, process::Output};

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::{
    control_plane::{self, ControlPlane, assert_succeeded},
    objects::{install_definitions, install_definitions_of},
};

/// The namespace and the name of the operator's ServiceAccount in the manifest.
const SYSTEM: &str = "cortecs-system";
const OPERATOR: &str = "cortecs-operator";
const REAPER: &str = "cortecs-operator-reaper";

/// The manifest with the operator's ServiceAccount, roles and bindings.
const RBAC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/rbac.yaml");

/// The manifest with the reaper's ServiceAccount, roles and bindings.
const REAPER_RBAC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/rbac-reaper.yaml");

/// A control plane with the CustomResourceDefinitions and the operator's roles, and the operator's kubeconfig.
pub(crate) struct Shared {
    pub(crate) plane: &'static ControlPlane,
    /// The kubeconfig of the operator's ServiceAccount.
    pub(crate) kubeconfig: PathBuf,
}

/// The control plane of all tests, prepared once.
pub(crate) async fn shared() -> &'static Shared {
    static SHARED: OnceCell<Shared> = OnceCell::const_new();
    SHARED
        .get_or_init(async || prepare(control_plane::shared().await, None).await)
        .await
}

/// A control plane for one test, with the definitions in this folder if one is named. It ends with the process.
pub(crate) async fn alone(definitions: Option<&str>) -> Shared {
    let plane = Box::leak(Box::new(ControlPlane::start().await));
    prepare(plane, definitions).await
}

async fn prepare(plane: &'static ControlPlane, definitions: Option<&str>) -> Shared {
    cortecs_api::install_crypto_provider();
    match definitions {
        Some(folder) => install_definitions_of(plane, folder).await,
        None => install_definitions(plane).await,
    }
    let applied = plane.kubectl(&["apply", "-f", RBAC]).await;
    assert_succeeded("kubectl apply", &applied);
    Shared {
        plane,
        kubeconfig: plane.operator_kubeconfig(SYSTEM, OPERATOR).await,
    }
}

/// Lets the operator hold its Lease in that namespace too, by the Role of the manifest.
pub(crate) async fn allow_lease_in(plane: &ControlPlane, namespace: &str) {
    allow_lease_by(RBAC, plane, namespace).await;
}

/// The kubeconfig of the reaper's ServiceAccount, which may hold the Lease in that namespace too.
pub(super) async fn reaper_kubeconfig(plane: &ControlPlane, namespace: &str) -> PathBuf {
    let applied = plane.kubectl(&["apply", "-f", REAPER_RBAC]).await;
    assert_succeeded("kubectl apply", &applied);
    allow_lease_by(REAPER_RBAC, plane, namespace).await;
    plane.operator_kubeconfig(SYSTEM, REAPER).await
}

/// Makes the Roles of a manifest in that namespace.
async fn allow_lease_by(manifest: &str, plane: &ControlPlane, namespace: &str) {
    let manifest = std::fs::read_to_string(manifest).expect("the manifest");
    for document in serde_yaml::Deserializer::from_str(&manifest) {
        let mut object = Value::deserialize(document).expect("an object");
        if ["Role", "RoleBinding"]
            .map(Value::from)
            .contains(&object["kind"])
        {
            object["metadata"]["namespace"] = namespace.into();
            assert_succeeded("the role for the Lease", &apply(plane, &object).await);
        }
    }
}

/// Applies an object with kubectl.
pub(crate) async fn apply(plane: &ControlPlane, object: &Value) -> Output {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), object.to_string()).expect("a written file");
    let path = file.path().to_string_lossy().into_owned();
    plane.kubectl(&["apply", "-f", &path]).await
}
