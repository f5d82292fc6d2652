//! What all tests of the process share: the control plane with the definitions and the operator's role on it.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::sync::OnceCell;

use crate::control_plane::{self, ControlPlane, assert_succeeded};

/// Where the operator's ServiceAccount lives.
const SYSTEM: &str = "cortecs-system";

/// The control plane, and how the operator gets in.
pub(crate) struct Shared {
    pub(crate) plane: &'static ControlPlane,
    /// Of the operator's ServiceAccount, under its own role.
    pub(crate) kubeconfig: PathBuf,
}

/// Prepared once for all tests.
pub(crate) async fn shared() -> &'static Shared {
    static SHARED: OnceCell<Shared> = OnceCell::const_new();
    SHARED.get_or_init(prepare).await
}

async fn prepare() -> Shared {
    cortecs_operator::runtime::install_crypto_provider();
    let plane = control_plane::shared().await;
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
    assert_succeeded(
        "apply crds/",
        &plane.kubectl(&["apply", "--server-side", "-f", crds]).await,
    );
    let established = plane
        .kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "-f",
            crds,
        ])
        .await;
    assert_succeeded("wait for crds/", &established);
    let role = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/role.yaml");
    assert_succeeded(
        "apply the role",
        &plane.kubectl(&["apply", "--server-side", "-f", role]).await,
    );
    create_namespace(&plane.client().await, SYSTEM, &[]).await;
    let kubeconfig = create_service_account(plane, "operator").await;
    Shared { plane, kubeconfig }
}

/// A ServiceAccount that may do what the operator may, and no more; its kubeconfig.
pub(crate) async fn service_account(name: &str) -> PathBuf {
    create_service_account(shared().await.plane, name).await
}

async fn create_service_account(plane: &ControlPlane, name: &str) -> PathBuf {
    let accounts: Api<ServiceAccount> = Api::namespaced(plane.client().await, SYSTEM);
    let account = ServiceAccount {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ServiceAccount::default()
    };
    accounts
        .create(&PostParams::default(), &account)
        .await
        .expect("a service account");
    let subject = format!("--serviceaccount={SYSTEM}:{name}");
    let bound = plane
        .kubectl(&[
            "create",
            "clusterrolebinding",
            name,
            "--clusterrole=cortecs-operator",
            &subject,
        ])
        .await;
    assert_succeeded("bind the role", &bound);
    plane.operator_kubeconfig(SYSTEM, name).await
}

/// A namespace with labels.
pub(crate) async fn create_namespace(client: &Client, name: &str, labels: &[(&str, &str)]) {
    let namespace = Namespace {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(
                labels
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                    .collect(),
            ),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    };
    Api::<Namespace>::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await
        .expect("a namespace");
}
