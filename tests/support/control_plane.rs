//! A real Kubernetes control plane for a test: see `tests/control-plane/README.md`.
//!
//! A helper of tests, so what goes wrong in it panics. The API server enforces
//! RBAC; no kubelet runs, so pods are accepted and stay pending.
#![allow(
    dead_code,
    reason = "every suite compiles this module and uses its own part of it"
)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside #[test] functions"
)]

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
    config::{Config, KubeConfigOptions, Kubeconfig},
};
use tokio::sync::OnceCell;

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/control-plane/control-plane"
);

/// A running etcd, kube-apiserver and kube-controller-manager with their state in
/// a temporary directory.
///
/// Dropping it stops them and removes the state. They also stop, without a drop,
/// when the owning process ends in whatever way.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    dir: PathBuf,
}

/// The control plane that all tests of this process share. It ends with the
/// process: a static is never dropped, its owner's end is what stops it.
///
/// Tests keep apart by namespaces. Take clients from it inside each test, since
/// a client belongs to the test's own runtime.
pub(crate) async fn shared() -> &'static ControlPlane {
    static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
    SHARED.get_or_init(ControlPlane::start).await
}

impl ControlPlane {
    /// Starts a control plane that this process owns. The first start on a
    /// machine builds the binaries and takes minutes; its progress goes to the
    /// standard error.
    pub(crate) async fn start() -> Self {
        Self::start_owned_by(std::process::id()).await
    }

    /// Starts a control plane that lives no longer than the process with this id.
    pub(crate) async fn start_owned_by(owner: u32) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("control-plane-")
            .tempdir()
            .expect("a temporary directory")
            .keep();
        // Made before the start, so that a failed or abandoned one is cleaned up.
        let plane = Self { dir };
        let started = tokio::process::Command::new(SCRIPT)
            .arg("up")
            .arg(&plane.dir)
            .args(["--owner", &owner.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .await
            .expect("the control-plane script runs");
        assert!(started.success(), "the control plane did not start");
        plane
    }

    /// The directory of the state; the logs are in `log/`.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.dir.join("kubeconfig")
    }

    /// A client for the administrator.
    pub(crate) async fn client(&self) -> kube::Client {
        client_for(&self.kubeconfig()).await
    }

    /// Creates a namespace with labels.
    pub(crate) async fn create_namespace(&self, name: &str, labels: &[(&str, &str)]) {
        let labels = labels
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(labels.collect()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        Api::<Namespace>::all(self.client().await)
            .create(&PostParams::default(), &namespace)
            .await
            .expect("a namespace");
    }

    /// Keeps a copy of all objects, as a backup of etcd does.
    pub(crate) async fn save(&self) {
        let output = script([OsStr::new("save"), self.dir.as_os_str()]).await;
        assert_succeeded("save", &output);
    }

    /// Goes back to what was saved. Watches from before see nothing of it.
    pub(crate) async fn rewind(&self) {
        let output = script([OsStr::new("rewind"), self.dir.as_os_str()]).await;
        assert_succeeded("rewind", &output);
    }

    /// Runs kubectl as the administrator and returns what it said, whether it
    /// succeeded or not.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> Output {
        script(
            [OsStr::new("kubectl"), self.dir.as_os_str()]
                .into_iter()
                .chain(args.iter().map(OsStr::new)),
        )
        .await
    }

    /// Writes a kubeconfig with a token of that service account, valid for 24
    /// hours, and returns its path. The service account must exist; what it may
    /// do is up to the roles bound to it.
    pub(crate) async fn operator_kubeconfig(
        &self,
        namespace: &str,
        service_account: &str,
    ) -> PathBuf {
        let out = self.new_kubeconfig(&format!("{namespace}-{service_account}"));
        let output = script([
            OsStr::new("operator-kubeconfig"),
            self.dir.as_os_str(),
            OsStr::new(namespace),
            OsStr::new(service_account),
            out.as_os_str(),
        ])
        .await;
        assert_succeeded("operator-kubeconfig", &output);
        out
    }

    /// Writes a kubeconfig for any user in any groups, known by a client
    /// certificate, and returns its path.
    pub(crate) async fn user_kubeconfig(&self, name: &str, groups: &[&str]) -> PathBuf {
        let out = self.new_kubeconfig(&name.replace([':', '/'], "-"));
        let output = script(
            [
                OsStr::new("user"),
                self.dir.as_os_str(),
                out.as_os_str(),
                OsStr::new(name),
            ]
            .into_iter()
            .chain(groups.iter().map(OsStr::new)),
        )
        .await;
        assert_succeeded("user", &output);
        out
    }

    fn new_kubeconfig(&self, name: &str) -> PathBuf {
        self.dir.join("kubeconfigs").join(name)
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let stopped = std::process::Command::new(SCRIPT)
            .arg("down")
            .arg(&self.dir)
            .stdin(Stdio::null())
            .status();
        // A panic here would hide the one that may be under way.
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("the control plane in {} did not stop", self.dir.display());
        }
    }
}

/// A client for the user of that kubeconfig, with every request bounded.
pub(crate) async fn client_for(kubeconfig: &Path) -> kube::Client {
    let mut config = config_of(kubeconfig).await;
    config.read_timeout = Some(Duration::from_secs(30));
    kube::Client::try_from(config).expect("a client")
}

/// How to reach the API server as the user of that kubeconfig.
pub(crate) async fn config_of(kubeconfig: &Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("a readable kubeconfig");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("a usable kubeconfig");
    // The API server listens on the loopback, whatever proxy the environment names.
    config.proxy_url = None;
    config
}

/// Panics with what the command said unless it succeeded.
pub(crate) fn assert_succeeded(what: &str, output: &Output) {
    assert!(
        output.status.success(),
        "{what}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn script<'a>(args: impl IntoIterator<Item = &'a OsStr>) -> Output {
    tokio::process::Command::new(SCRIPT)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("the control-plane script runs")
}
