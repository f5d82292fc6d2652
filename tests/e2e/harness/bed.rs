//! What one test stands on: namespaces, an account with its Secret, a simulated API, and a record of all that happens.

use std::{
    path::{Path, PathBuf},
    process::Output,
    sync::Arc,
};

use cortecs_api::types::InstanceState;
use cortecs_operator::cli::RunConfig;
use cortecs_resources::{CortecsAccount, CortecsInstance};
use cortecs_simulator::{Endpoint, Handle, InstanceHistory, Simulator, View};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{
    Gate, SOON,
    logs::Logs,
    operator::{Fuse, Operator},
    read::{bound, running},
    record::Record,
    shared::apply,
    swamp::Swamp,
};
use crate::control_plane::ControlPlane;

/// The client id that the simulated API knows.
pub(crate) const CLIENT_ID: &str = "tester";
/// The account that resources use unless they name another, and its Secret.
pub(super) const ACCOUNT: &str = "main";
const SECRET: &str = "credentials";

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

    // --- Secrets and accounts

    /// Creates the Secret, or replaces what is in it.
    pub(crate) async fn write_secret(&self, client_id: &str, client_secret: &str) {
        self.write_secret_in(&self.namespace, client_id, client_secret)
            .await;
    }

    pub(crate) async fn write_secret_in(
        &self,
        namespace: &str,
        client_id: &str,
        client_secret: &str,
    ) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": SECRET},
            "stringData": {"CORTECS_CLIENT_ID": client_id, "CORTECS_CLIENT_SECRET": client_secret},
        });
        let applied = self
            .api_of::<Secret>(namespace)
            .patch(
                SECRET,
                &PatchParams::apply("tests").force(),
                &Patch::Apply(secret),
            )
            .await;
        applied.expect("a secret");
    }

    pub(crate) async fn delete_secret(&self) {
        let api = self.api_of::<Secret>(&self.namespace);
        api.delete(SECRET, &DeleteParams::default())
            .await
            .expect("a deletion");
    }

    pub(crate) async fn create_account(&self, name: &str, change: Value) {
        self.create_account_in(&self.namespace, name, change).await;
    }

    pub(crate) async fn create_account_in(&self, namespace: &str, name: &str, change: Value) {
        let mut spec = json!({"apiUrl": self.api_url, "credentialsSecretRef": {"name": SECRET}});
        merge(&mut spec, change);
        let account: CortecsAccount = object("CortecsAccount", name, spec);
        let api = self.api_of::<CortecsAccount>(namespace);
        let created = api
            .create(&PostParams::default(), &account)
            .await
            .expect("an account");
        self.accounts.caught_up_with(&created).await;
    }

    pub(crate) async fn patch_account(&self, change: Value) {
        let api = self.api_of::<CortecsAccount>(&self.namespace);
        let patched = api
            .patch(
                ACCOUNT,
                &PatchParams::default(),
                &Patch::Merge(json!({"spec": change})),
            )
            .await
            .expect("a changed account");
        self.accounts.caught_up_with(&patched).await;
    }

    pub(crate) async fn annotate_account(&self, annotation: &str, value: &str) {
        let api = self.api_of::<CortecsAccount>(&self.namespace);
        let change = json!({"metadata": {"annotations": {annotation: value}}});
        let patched = api
            .patch(ACCOUNT, &PatchParams::default(), &Patch::Merge(change))
            .await
            .expect("an annotated account");
        self.accounts.caught_up_with(&patched).await;
    }

    /// Every version of the account, oldest first.
    pub(crate) fn account_versions(&self) -> Vec<Arc<CortecsAccount>> {
        self.accounts
            .versions(&(self.namespace.clone(), ACCOUNT.to_owned()))
    }

    pub(crate) async fn delete_account(&self) {
        let api = self.api_of::<CortecsAccount>(&self.namespace);
        api.delete(ACCOUNT, &DeleteParams::default())
            .await
            .expect("a deletion");
    }

    pub(crate) async fn wait_account(
        &self,
        what: &str,
        holds: impl Fn(&CortecsAccount) -> bool,
    ) -> Arc<CortecsAccount> {
        let key = (self.namespace.clone(), ACCOUNT.to_owned());
        let found = self
            .accounts
            .wait(SOON, |record| {
                record.latest(&key).filter(|account| holds(account))
            })
            .await;
        found.unwrap_or_else(|| panic!("the account did not become {what}"))
    }

    pub(crate) async fn wait_account_gone(&self) {
        let key = (self.namespace.clone(), ACCOUNT.to_owned());
        let gone = self
            .accounts
            .wait(SOON, |record| record.latest(&key).is_none().then_some(()))
            .await;
        gone.expect("the account goes");
    }

    // --- Resources

    /// Creates a resource in the bed's own namespace.
    pub(crate) async fn create(&self, name: &str, spec: Value) -> CortecsInstance {
        self.create_in(&self.namespace, name, spec).await
    }

    pub(crate) async fn create_in(
        &self,
        namespace: &str,
        name: &str,
        spec: Value,
    ) -> CortecsInstance {
        let resource: CortecsInstance = object("CortecsInstance", name, spec);
        let created = self
            .api_of::<CortecsInstance>(namespace)
            .create(&PostParams::default(), &resource)
            .await
            .expect("a resource");
        self.instances.caught_up_with(&created).await;
        created
    }

    /// Changes a resource's spec by a merge.
    pub(crate) async fn change(&self, name: &str, spec: Value) {
        self.patch(name, json!({"spec": spec})).await;
    }

    pub(crate) async fn annotate(&self, name: &str, annotation: &str, value: &str) {
        self.patch(
            name,
            json!({"metadata": {"annotations": {annotation: value}}}),
        )
        .await;
    }

    async fn patch(&self, name: &str, change: Value) {
        let api = self.api_of::<CortecsInstance>(&self.namespace);
        let patched = api
            .patch(name, &PatchParams::default(), &Patch::Merge(change))
            .await
            .expect("a changed resource");
        self.instances.caught_up_with(&patched).await;
    }

    pub(crate) async fn delete(&self, name: &str) {
        let api = self.api_of::<CortecsInstance>(&self.namespace);
        api.delete(name, &DeleteParams::default())
            .await
            .expect("a deletion");
    }

    /// Waits until the resource is as it should be.
    pub(crate) async fn wait(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&CortecsInstance) -> bool,
    ) -> Arc<CortecsInstance> {
        self.wait_in(&self.namespace, name, what, holds).await
    }

    /// Waits until the resource runs; the id of its instance.
    pub(crate) async fn runs(&self, name: &str) -> String {
        bound(&*self.wait(name, "running", running).await).to_owned()
    }

    pub(crate) async fn wait_in(
        &self,
        namespace: &str,
        name: &str,
        what: &str,
        holds: impl Fn(&CortecsInstance) -> bool,
    ) -> Arc<CortecsInstance> {
        let key = (namespace.to_owned(), name.to_owned());
        let found = self
            .instances
            .wait(SOON, |record| {
                record.latest(&key).filter(|resource| holds(resource))
            })
            .await;
        found.unwrap_or_else(|| panic!("{name} did not become {what}"))
    }

    pub(crate) async fn wait_gone(&self, name: &str) {
        let key = (self.namespace.clone(), name.to_owned());
        let gone = self
            .instances
            .wait(SOON, |record| record.latest(&key).is_none().then_some(()))
            .await;
        assert!(gone.is_some(), "{name} is still there");
    }

    /// A resource of the bed's own namespace as last seen; `None` where it is not there.
    pub(crate) fn latest(&self, name: &str) -> Option<Arc<CortecsInstance>> {
        self.instances
            .latest(&(self.namespace.clone(), name.to_owned()))
    }

    /// The resources of the bed's own namespace, as the API server has them now.
    pub(crate) async fn resources(&self) -> Vec<CortecsInstance> {
        let api = self.api_of::<CortecsInstance>(&self.namespace);
        api.list(&ListParams::default())
            .await
            .expect("the resources")
            .items
    }

    /// Every version of a resource, oldest first.
    pub(crate) fn versions(&self, name: &str) -> Vec<Arc<CortecsInstance>> {
        self.instances
            .versions(&(self.namespace.clone(), name.to_owned()))
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

fn object<K: serde::de::DeserializeOwned>(kind: &str, name: &str, spec: Value) -> K {
    serde_json::from_value(json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }))
    .expect("an object of this kind")
}

/// Merges as a JSON merge patch does, but keeps nulls out of it.
pub(super) fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}
