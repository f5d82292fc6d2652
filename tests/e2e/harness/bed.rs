//! The environment of one test: namespaces, an account with its Secret, a simulated API, and a record of all versions of its
//! resources.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use cortecs_api::types::{InstanceArgs, InstanceState};
use cortecs_operator::{cli::RunConfig, reap::Limits};
use cortecs_resources::{CortecsAccount, CortecsInstance};
use cortecs_simulator::{Endpoint, Handle, InstanceHistory, RequestRecord, Simulator, View};
use k8s_openapi::api::{coordination::v1::Lease, events::v1::Event};
use kube::{Api, Client, api::ListParams};
use serde_json::Value;

use super::{
    Gate, SOON,
    hanging_proxy::HangingProxy,
    logs::Logs,
    operator::{CrashPoint, Operator, Task},
    record::Record,
    shared::apply,
};
use crate::control_plane::ControlPlane;

/// The client id that the simulated API knows.
pub(crate) const CLIENT_ID: &str = "tester";
/// The account that resources use unless they name another, and its Secret.
pub(super) const ACCOUNT: &str = "main";
pub(super) const SECRET: &str = "credentials";

/// The environment of one test.
pub(crate) struct Bed {
    pub(crate) namespace: String,
    pub(crate) plane: &'static ControlPlane,
    /// A client with the rights of an administrator.
    pub(crate) client: Client,
    /// The operator's kubeconfig, with no more rights than the operator's roles give.
    pub(crate) kubeconfig: PathBuf,
    pub(crate) config: RunConfig,
    pub(crate) logs: Logs,
    /// The simulated API.
    pub(crate) api: Handle,
    /// Where connections to the simulated API go through, if the test wants to refuse them.
    pub(crate) gate: Option<Gate>,
    pub(crate) api_url: String,
    pub(crate) client_secret: String,
    pub(crate) instances: Record<CortecsInstance>,
    pub(crate) accounts: Record<CortecsAccount>,
    pub(super) report_to: Option<PathBuf>,
    pub(super) _simulator: Simulator,
}

impl Bed {
    /// Starts an operator for this bed.
    pub(crate) fn operator(&self) -> Operator {
        self.operator_with(None)
    }

    /// Starts an operator that stops at the crash point.
    pub(crate) fn operator_until(&self, point: &CrashPoint) -> Operator {
        self.operator_with(Some(point))
    }

    /// Starts a reaper within this process, which stops at the crash point.
    pub(crate) fn reaper_until(&self, limits: Limits, point: &CrashPoint) -> Operator {
        let task = Task::Reap(limits);
        self.start(&self.kubeconfig, Some(point), task)
    }

    /// Starts an operator that reaches the API server through the proxy.
    pub(crate) fn operator_through(&self, proxy: &HangingProxy) -> Operator {
        self.operator_at(proxy.kubeconfig.path(), None)
    }

    fn operator_with(&self, point: Option<&CrashPoint>) -> Operator {
        self.operator_at(&self.kubeconfig, point)
    }

    fn operator_at(&self, kubeconfig: &Path, point: Option<&CrashPoint>) -> Operator {
        self.start(kubeconfig, point, Task::Operate)
    }

    fn start(&self, kubeconfig: &Path, point: Option<&CrashPoint>, task: Task) -> Operator {
        Operator::start(
            kubeconfig,
            &self.namespace,
            self.config.clone(),
            &self.logs,
            point,
            task,
        )
    }

    pub(crate) fn neighbour(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.namespace)
    }

    pub(crate) fn api_of<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The Events in the bed's namespace.
    pub(crate) async fn events(&self) -> Vec<Event> {
        let events = self.api_of::<Event>(&self.namespace);
        let list = events.list(&ListParams::default()).await;
        list.expect("the Events").items
    }

    /// The holder of the operator's Lease.
    pub(crate) async fn lease_holder(&self) -> Option<String> {
        let leases = self.api_of::<Lease>(&self.namespace);
        let lease = leases.get_opt("cortecs-operator").await;
        let holder = lease.expect("an answer")?.spec?.holder_identity?;
        Some(holder).filter(|holder| !holder.is_empty())
    }

    /// Waits until the simulated API is in the given state.
    pub(crate) async fn wait_api(&self, what: &str, holds: impl Fn(&View) -> bool) {
        if let Err(timeout) = self.api.wait_for(holds, SOON).await {
            panic!("the API did not come to {what}: {timeout}");
        }
    }

    /// Waits until the API has got this many more lists.
    pub(crate) async fn wait_lists(&self, more: u64) {
        let wanted = self.api.count(Endpoint::ListInstances) + more;
        self.wait_api("more lists", |view| {
            view.count(Endpoint::ListInstances) >= wanted
        })
        .await;
    }

    /// The number of starts that the API got.
    pub(crate) fn starts(&self) -> u64 {
        self.api.count(Endpoint::Start)
    }

    /// The numbers of starts, restarts, stops and deletes that the API got.
    pub(crate) fn changes(&self) -> [u64; 4] {
        [
            Endpoint::Start,
            Endpoint::Restart,
            Endpoint::Stop,
            Endpoint::Delete,
        ]
        .map(|endpoint| self.api.count(endpoint))
    }

    /// The sequence number of the latest request to the API.
    pub(crate) fn last_request(&self) -> u64 {
        self.api.requests().last().map_or(0, |r| r.sequence)
    }

    /// The requests to the API that name an instance, after the one with the sequence number.
    pub(crate) fn requests_about(&self, id: &str, since: u64) -> Vec<RequestRecord> {
        let mut requests = self.api.requests();
        requests.retain(|r| r.sequence > since && mentions(r, id));
        requests
    }

    /// Starts an instance as another client of the API does; its id.
    pub(crate) fn start_unmanaged(&self, model_id: &str) -> String {
        let args = InstanceArgs {
            model_id: model_id.to_owned(),
            ..InstanceArgs::default()
        };
        let started = self.api.outsider_start(CLIENT_ID, args);
        started.expect("an instance")
    }

    /// All instances that were ever started, oldest first.
    pub(crate) fn ever(&self) -> Vec<InstanceHistory> {
        self.api.all_started()
    }

    /// The ids of the instances that exist.
    pub(crate) fn existing(&self) -> Vec<String> {
        let instances = self.api.instances(CLIENT_ID).into_iter();
        instances.map(|instance| instance.instance_id).collect()
    }

    /// The state of an instance that exists.
    pub(crate) fn state_of(&self, id: &str) -> Option<InstanceState> {
        let mut instances = self.api.instances(CLIENT_ID).into_iter();
        instances
            .find(|instance| instance.instance_id == id)
            .map(|instance| instance.instance_status.status)
    }

    /// Runs kubectl in the bed's namespace, as the administrator.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> Output {
        let namespaced = [&["--namespace", &self.namespace], args].concat();
        self.plane.kubectl(&namespaced).await
    }

    /// The output of kubectl in the bed's namespace. Panics if kubectl fails.
    pub(crate) async fn kubectl_text(&self, args: &[&str]) -> String {
        let output = self.kubectl(args).await;
        crate::control_plane::assert_succeeded(&format!("kubectl {args:?}"), &output);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Applies a manifest with kubectl, as users do.
    pub(crate) async fn kubectl_apply(&self, manifest: &Value) -> Output {
        let mut manifest = manifest.clone();
        manifest["metadata"]["namespace"] = self.namespace.as_str().into();
        apply(self.plane, &manifest).await
    }
}

/// Whether the request's path or body names the instance.
pub(crate) fn mentions(request: &RequestRecord, id: &str) -> bool {
    let body = request.body.as_ref().map(Value::to_string);
    request.path.contains(id) || body.unwrap_or_default().contains(id)
}
