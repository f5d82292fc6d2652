//! What all tests of the process share: the control plane with the definitions and the operator's role on it.

use std::{path::PathBuf, process::Output};

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::{
    control_plane::{self, ControlPlane, assert_succeeded},
    objects::install_definitions,
};

/// Where the manifest puts the operator, and its name there.
const SYSTEM: &str = "cortecs-system";
const OPERATOR: &str = "cortecs-operator";

/// Who the operator is and what it may do, as users install it.
const RBAC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/rbac.yaml");

/// A control plane with the definitions and the operator's role, and how the operator gets in.
pub(crate) struct Shared {
    pub(crate) plane: &'static ControlPlane,
    /// Of the operator's ServiceAccount, under its own role.
    pub(crate) kubeconfig: PathBuf,
}

/// Prepared once for all tests.
pub(crate) async fn shared() -> &'static Shared {
    static SHARED: OnceCell<Shared> = OnceCell::const_new();
    SHARED
        .get_or_init(async || prepare(control_plane::shared().await).await)
        .await
}

/// A control plane of one's own: it ends with the process.
pub(crate) async fn alone() -> Shared {
    prepare(Box::leak(Box::new(ControlPlane::start().await))).await
}

async fn prepare(plane: &'static ControlPlane) -> Shared {
    cortecs_api::install_crypto_provider();
    install_definitions(plane).await;
    let applied = plane.kubectl(&["apply", "-f", RBAC]).await;
    assert_succeeded("kubectl apply", &applied);
    Shared {
        plane,
        kubeconfig: plane.operator_kubeconfig(SYSTEM, OPERATOR).await,
    }
}

/// Lets the operator hold its Lease in that namespace too, by the manifest's own Role.
pub(crate) async fn allow_lease_in(plane: &ControlPlane, namespace: &str) {
    let manifest = std::fs::read_to_string(RBAC).expect("the manifest");
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
