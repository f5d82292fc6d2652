//! What one test stands on: namespaces, an account with its Secret, a simulated API, and a record of all that happens.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use cortecs_api::types::{InstanceArgs, InstanceState};
use cortecs_operator::cli::RunConfig;
use cortecs_resources::{CortecsAccount, CortecsInstance};
use cortecs_simulator::{Endpoint, Handle, InstanceHistory, RequestRecord, Simulator, View};
use k8s_openapi::api::{coordination::v1::Lease, events::v1::Event};
use kube::{Api, Client, api::ListParams};
use serde_json::Value;

use super::{
    Gate, SOON,
    logs::Logs,
    operator::{Fuse, Operator},
    record::Record,
    shared::apply,
    swamp::Swamp,
};
use crate::control_plane::ControlPlane;

/// The client id that the simulated API knows.
pub(crate) const CLIENT_ID: &str = "tester";
/// The account that resources use unless they name another, and its Secret.
pub(super) const ACCOUNT: &str = "main";
pub(super) const SECRET: &str = "credentials";

/// See the module.
pub(crate) struct Bed {
    pub(crate) namespace: String,
    pub(crate) plane: &'static ControlPlane,
    /// The administrator's.
    pub(crate) client: Client,
    /// The operator's, with no more rights than its role gives.
    pub(crate) kubeconfig: PathBuf,
    pub(crate) config: RunConfig,
    pub(crate) logs: Logs,
    /// The simulated API.
    pub(crate) api: Handle,
    /// Stands before the simulated API where the test wants to close it.
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

    /// Starts an operator that stops in its tracks where the fuse says.
    pub(crate) fn fused_operator(&self, fuse: &Fuse) -> Operator {
        self.operator_with(Some(fuse))
    }

    /// Starts an operator whose way to Kubernetes leads through a swamp.
    pub(crate) fn operator_in(&self, swamp: &Swamp) -> Operator {
        self.operator_at(swamp.kubeconfig.path(), None)
    }

    fn operator_with(&self, fuse: Option<&Fuse>) -> Operator {
        self.operator_at(&self.kubeconfig, fuse)
    }

    fn operator_at(&self, kubeconfig: &Path, fuse: Option<&Fuse>) -> Operator {
        Operator::start(
            kubeconfig,
            &self.namespace,
            self.config.clone(),
            &self.logs,
            fuse,
        )
    }

    pub(crate) fn neighbour(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.namespace)
    }

    pub(super) fn api_of<K>(&self, namespace: &str) -> Api<K>
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

    /// Who holds the operator's Lease.
    pub(crate) async fn lease_holder(&self) -> Option<String> {
        let leases = self.api_of::<Lease>(&self.namespace);
        let lease = leases.get_opt("cortecs-operator").await;
        let holder = lease.expect("an answer")?.spec?.holder_identity?;
        Some(holder).filter(|holder| !holder.is_empty())
    }

    // --- The API

    /// Waits until the API is as it should be.
    pub(crate) async fn wait_api(&self, what: &str, holds: impl Fn(&View) -> bool) {
        if let Err(timeout) = self.api.wait_for(holds, SOON).await {
            panic!("the API did not come to {what}: {timeout}");
        }
    }

    /// Waits for lists that begin from now on.
    pub(crate) async fn wait_lists(&self, more: u64) {
        let wanted = self.api.count(Endpoint::ListInstances) + more;
        self.wait_api("more lists", |view| {
            view.count(Endpoint::ListInstances) >= wanted
        })
        .await;
    }

    /// How often the API was asked to start something.
    pub(crate) fn starts(&self) -> u64 {
        self.api.count(Endpoint::Start)
    }

    /// How often the API was asked to start, to restart, to stop and to delete an instance.
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

    /// Every instance that there ever was, oldest first.
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

    // --- kubectl

    /// Runs kubectl in the bed's namespace, as the administrator.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> Output {
        let namespaced = [&["--namespace", &self.namespace], args].concat();
        self.plane.kubectl(&namespaced).await
    }

    /// What kubectl prints; it must succeed.
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
