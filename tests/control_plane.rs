//! The control plane that the end-to-end suites use behaves as a real one.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test code outside #[test] functions"
)]

#[path = "support/control_plane.rs"]
mod control_plane;
#[path = "support/eventually.rs"]
mod eventually;

use std::{path::Path, time::Duration};

use control_plane::{ControlPlane, assert_succeeded, client_for, shared};
use eventually::eventually_true;
use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::api::{Api, DeleteParams, ListParams, PostParams};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_saved_state_comes_back_on_the_same_ports() {
    let plane = ControlPlane::start().await;
    plane.create_namespace("kept", &[]).await;
    plane.save().await;
    plane.create_namespace("lost", &[]).await;
    let kubeconfig = std::fs::read_to_string(plane.kubeconfig()).expect("a kubeconfig");
    plane.rewind().await;
    let server = |text: &str| {
        text.lines()
            .find(|l| l.contains("server:"))
            .map(str::to_owned)
    };
    let now = std::fs::read_to_string(plane.kubeconfig()).expect("a kubeconfig");
    assert_eq!(server(&now), server(&kubeconfig));
    let namespaces: Api<Namespace> = Api::all(plane.client().await);
    let there = async |name| namespaces.get_opt(name).await.expect("an answer").is_some();
    assert_eq!((there("kept").await, there("lost").await), (true, false));
}

#[tokio::test]
async fn a_service_account_may_do_what_its_role_says_and_no_more() {
    let plane = shared().await;
    plane.create_namespace("rbac", &[]).await;
    let created = plane
        .kubectl(&["-n", "rbac", "create", "serviceaccount", "operator"])
        .await;
    assert_succeeded("create serviceaccount", &created);

    let client = client_for(&plane.operator_kubeconfig("rbac", "operator").await).await;
    let config_maps: Api<ConfigMap> = Api::namespaced(client, "rbac");
    assert_eq!(
        forbidden(config_maps.list(&ListParams::default()).await),
        403
    );

    for args in [
        [
            "create",
            "role",
            "reader",
            "--verb=list",
            "--resource=configmaps",
        ],
        [
            "create",
            "rolebinding",
            "reader",
            "--role=reader",
            "--serviceaccount=rbac:operator",
        ],
    ] {
        let output = plane.kubectl(&[&["-n", "rbac"], &args[..]].concat()).await;
        assert_succeeded("kubectl create", &output);
    }
    eventually_true("the role is in force", MINUTE, async || {
        config_maps.list(&ListParams::default()).await.is_ok()
    })
    .await;
    let written = config_maps
        .create(&PostParams::default(), &config_map("one"))
        .await;
    assert_eq!(forbidden(written), 403);
}

#[tokio::test]
async fn any_user_and_group_can_be_impersonated_by_a_certificate() {
    let plane = shared().await;
    let stranger = client_for(&plane.user_kubeconfig("jane", &["team:a"]).await).await;
    let namespaces: Api<Namespace> = Api::all(stranger);
    assert_eq!(
        forbidden(namespaces.list(&ListParams::default()).await),
        403
    );

    let admin = client_for(&plane.user_kubeconfig("root", &["system:masters"]).await).await;
    let namespaces: Api<Namespace> = Api::all(admin);
    assert!(namespaces.get("kube-system").await.is_ok());
}

#[tokio::test]
async fn a_deleted_namespace_goes_with_all_that_is_in_it() {
    let plane = shared().await;
    plane.create_namespace("short-lived", &[]).await;
    let config_maps: Api<ConfigMap> = Api::namespaced(plane.client().await, "short-lived");
    config_maps
        .create(&PostParams::default(), &config_map("one"))
        .await
        .expect("a config map");

    let namespaces: Api<Namespace> = Api::all(plane.client().await);
    namespaces
        .delete("short-lived", &DeleteParams::default())
        .await
        .expect("a deletion");
    eventually_true("the namespace is gone", MINUTE, async || {
        namespaces
            .get_opt("short-lived")
            .await
            .is_ok_and(|found| found.is_none())
    })
    .await;
    assert!(
        config_maps
            .get_opt("one")
            .await
            .expect("an answer")
            .is_none()
    );
}

#[tokio::test]
async fn two_control_planes_at_once_are_separate_and_leave_nothing_behind() {
    let (first, second) = tokio::join!(ControlPlane::start(), ControlPlane::start());
    first.create_namespace("only-here", &[]).await;
    let elsewhere: Api<Namespace> = Api::all(second.client().await);
    assert!(
        elsewhere
            .get_opt("only-here")
            .await
            .expect("an answer")
            .is_none()
    );

    let dir = first.dir().to_owned();
    assert_eq!(processes_of(&dir).len(), 4, "{:?}", processes_of(&dir));
    drop(first);
    assert_eq!(processes_of(&dir), Vec::<String>::new());
    assert!(!dir.exists());
    assert!(elsewhere.get("default").await.is_ok());
}

#[tokio::test]
async fn a_control_plane_ends_when_its_owner_is_killed() {
    let mut owner = tokio::process::Command::new("sleep")
        .arg("600")
        .kill_on_drop(true)
        .spawn()
        .expect("an owner");
    let plane = ControlPlane::start_owned_by(owner.id().expect("an id")).await;
    let dir = plane.dir().to_owned();
    assert!(plane.client().await.apiserver_version().await.is_ok());

    owner.kill().await.expect("a dead owner");
    eventually_true("nothing is left", MINUTE, async || {
        processes_of(&dir).is_empty() && !dir.exists()
    })
    .await;
}

#[tokio::test]
async fn a_control_plane_ends_when_its_supervisor_is_killed() {
    let plane = ControlPlane::start().await;
    let record = std::fs::read_to_string(plane.dir().join("pid/supervisor")).expect("a record");
    let supervisor = record.split_whitespace().next().expect("an id");
    let killed = tokio::process::Command::new("kill")
        .args(["-9", supervisor])
        .status()
        .await;
    assert!(killed.is_ok_and(|status| status.success()));

    eventually_true("the servers are gone", MINUTE, async || {
        processes_of(plane.dir()).is_empty()
    })
    .await;
}

fn config_map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

/// The HTTP status of a refusal. Panics if the API server did not refuse.
fn forbidden<T: std::fmt::Debug>(result: kube::Result<T>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("expected the API server to refuse, got {other:?}"),
    }
}

/// The command lines on this machine that mention the directory.
fn processes_of(dir: &Path) -> Vec<String> {
    let dir = dir.to_str().expect("a printable path");
    std::fs::read_dir("/proc")
        .expect("a proc file system")
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(dir))
        .collect()
}
