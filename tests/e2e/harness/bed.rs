//! What one test stands on: namespaces, an account with its Secret, a simulated API, and a record of all that happens.

use std::{
    path::PathBuf,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use cortecs_operator::{
    cortecs::types::InstanceState,
    resources::{CortecsAccount, CortecsInstance},
    runtime::config::{NamespacedName, Namespaces, RunConfig},
    simulator::{
        Endpoint, Handle, InstanceHistory, SimulatedAccount, Simulator, SimulatorConfig, View,
    },
};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{
    Gate, SOON,
    logs::Logs,
    operator::{Fuse, Operator},
    read::{bound, running},
    record::Record,
    shared::{Shared, allow_lease_in, alone, apply, create_namespace, shared},
};
use crate::control_plane::ControlPlane;

/// The client id that the simulated API knows.
pub(crate) const CLIENT_ID: &str = "tester";
/// The account that resources use unless they name another, and its Secret.
const ACCOUNT: &str = "main";
const SECRET: &str = "credentials";

/// How a [`Bed`] is made.
pub(crate) struct BedBuilder {
    name: &'static str,
    simulator: SimulatorConfig,
    account: Option<Value>,
    secret: bool,
    gated: bool,
    alone: bool,
    neighbours: Vec<(&'static str, Vec<(&'static str, &'static str)>)>,
    config: RunConfig,
}

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
    _simulator: Simulator,
}

impl BedBuilder {
    /// How long each step of a worker takes; a worker runs after four.
    pub(crate) fn step(mut self, step: Duration) -> Self {
        self.simulator.step_duration = step;
        self
    }

    pub(crate) fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.simulator.token_lifetime = lifetime;
        self
    }

    /// Changes the account's spec by a merge.
    pub(crate) fn account(mut self, change: Value) -> Self {
        if let Some(account) = &mut self.account {
            merge(account, change);
        }
        self
    }

    pub(crate) fn without_account(mut self) -> Self {
        self.account = None;
        self
    }

    pub(crate) fn without_secret(mut self) -> Self {
        self.secret = false;
        self
    }

    /// The API is reached through a gate that can be closed.
    pub(crate) fn gated(mut self) -> Self {
        self.gated = true;
        self
    }

    /// A further namespace that is looked after: its name ends in `suffix`.
    pub(crate) fn neighbour(
        mut self,
        suffix: &'static str,
        labels: &[(&'static str, &'static str)],
    ) -> Self {
        self.neighbours.push((suffix, labels.to_vec()));
        self
    }

    /// On a control plane of its own, with an operator that looks after all namespaces.
    pub(crate) fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// The operator takes part in an election.
    pub(crate) fn elected(mut self) -> Self {
        self.config.leader_elect = true;
        self
    }

    pub(crate) async fn build(mut self) -> Bed {
        static BEDS: AtomicU32 = AtomicU32::new(1);
        let number = BEDS.fetch_add(1, Ordering::Relaxed);
        let own;
        let Shared { plane, kubeconfig } = match self.alone {
            true => {
                own = alone().await;
                &own
            }
            false => shared().await,
        };
        let plane: &'static ControlPlane = plane;
        let client = plane.client().await;
        let namespace = format!("{}-{number}", self.name);
        let client_secret = format!("hidden-{}-{number}", self.name);
        self.simulator.accounts = vec![SimulatedAccount::new(CLIENT_ID, &client_secret)];
        let simulator = Simulator::start(self.simulator).await.expect("a simulator");
        let gate = match self.gated {
            true => Some(Gate::open(simulator.address()).await),
            false => None,
        };
        let address = gate.as_ref().map_or(simulator.address(), Gate::address);
        let mut names = vec![namespace.clone()];
        create_namespace(&client, &namespace, &[]).await;
        for (suffix, labels) in &self.neighbours {
            let name = format!("{namespace}-{suffix}");
            create_namespace(&client, &name, labels).await;
            names.push(name);
        }
        if !self.alone {
            self.config.watch_namespaces = names.join(",").parse().expect("namespaces");
        }
        if self.config.leader_elect {
            allow_lease_in(plane, &namespace).await;
        }
        self.config.allowed_hosts = format!("http://{address}").parse().expect("a host");
        self.config.default_account = Some(NamespacedName {
            namespace: namespace.clone(),
            name: ACCOUNT.to_owned(),
        });
        let bed = Bed {
            instances: Record::start(
                names
                    .iter()
                    .map(|n| Api::namespaced(client.clone(), n))
                    .collect(),
            ),
            accounts: Record::start(
                names
                    .iter()
                    .map(|n| Api::namespaced(client.clone(), n))
                    .collect(),
            ),
            namespace,
            plane,
            client,
            kubeconfig: kubeconfig.clone(),
            config: self.config,
            logs: Logs::default(),
            api: simulator.handle(),
            gate,
            api_url: format!("http://{address}/api/v1"),
            client_secret,
            _simulator: simulator,
        };
        if self.secret {
            bed.write_secret(CLIENT_ID, &bed.client_secret).await;
        }
        if let Some(account) = self.account {
            bed.create_account(ACCOUNT, account).await;
        }
        bed
    }
}

impl Bed {
    /// A bed with an account that works, polls every second, and belongs to nobody else.
    pub(crate) async fn new(name: &'static str) -> Self {
        Self::builder(name).build().await
    }

    pub(crate) fn builder(name: &'static str) -> BedBuilder {
        BedBuilder {
            name,
            simulator: SimulatorConfig {
                step_duration: Duration::from_millis(50),
                ..SimulatorConfig::default()
            },
            account: Some(json!({"poll": {"activeSeconds": 1, "idleSeconds": 1}})),
            secret: true,
            gated: false,
            alone: false,
            neighbours: Vec::new(),
            config: RunConfig {
                default_account: None,
                allowed_hosts: Default::default(),
                watch_namespaces: Namespaces::default(),
                listen: ([127, 0, 0, 1], 0).into(),
                concurrency: 16,
                leader_elect: false,
                settle: Duration::from_secs(4),
                request_timeout: Duration::from_secs(1),
            },
        }
    }

    /// Starts an operator for this bed.
    pub(crate) fn operator(&self) -> Operator {
        self.operator_with(None)
    }

    /// Starts an operator that stops in its tracks where the fuse says.
    pub(crate) fn fused_operator(&self, fuse: &Fuse) -> Operator {
        self.operator_with(Some(fuse))
    }

    fn operator_with(&self, fuse: Option<&Fuse>) -> Operator {
        Operator::start(
            &self.kubeconfig,
            &self.namespace,
            self.config.clone(),
            &self.logs,
            fuse,
        )
    }

    pub(crate) fn neighbour(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.namespace)
    }

    fn api_of<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    // --- Secrets and accounts

    /// Creates the Secret, or replaces what is in it.
    pub(crate) async fn write_secret(&self, client_id: &str, client_secret: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": SECRET},
            "stringData": {"CORTECS_CLIENT_ID": client_id, "CORTECS_CLIENT_SECRET": client_secret},
        });
        let applied = self
            .api_of::<Secret>(&self.namespace)
            .patch(
                SECRET,
                &PatchParams::apply("tests").force(),
                &Patch::Apply(secret),
            )
            .await;
        applied.expect("a secret");
    }

    pub(crate) async fn create_account(&self, name: &str, change: Value) {
        let mut spec = json!({"apiUrl": self.api_url, "credentialsSecretRef": {"name": SECRET}});
        merge(&mut spec, change);
        let account: CortecsAccount = object("CortecsAccount", name, spec);
        let api = self.api_of::<CortecsAccount>(&self.namespace);
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

    // --- What went wrong

    fn report(&self) -> String {
        let mut text = String::new();
        let mut say = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        say(format!("=== {}: versions of resources", self.namespace));
        for ((namespace, name), versions) in self.instances.history() {
            for version in versions {
                let status = serde_json::to_string(&version.status).unwrap_or_default();
                let deleted = version.metadata.deletion_timestamp.is_some();
                let (rv, generation) = (version.resource_version(), version.metadata.generation);
                say(format!(
                    "{namespace}/{name} {rv:?} generation {generation:?} deleting {deleted}: {status}"
                ));
            }
        }
        for account in self.accounts.all() {
            say(format!(
                "account {}",
                serde_yaml::to_string(&*account).unwrap_or_default()
            ));
        }
        for resource in self.instances.all() {
            say(format!(
                "resource {}",
                serde_yaml::to_string(&*resource).unwrap_or_default()
            ));
        }
        say("=== requests to the API".to_owned());
        for request in self.api.requests() {
            say(format!(
                "{} {} {} {} -> {:?} {:?} {}",
                request.sequence,
                request.at,
                request.method,
                request.path,
                request.status,
                request.fault,
                request.body.map(|b| b.to_string()).unwrap_or_default()
            ));
        }
        say("=== instances".to_owned());
        for instance in self.api.all_started() {
            say(format!("{instance:?}"));
        }
        say("=== log of the operator".to_owned());
        say(self.logs.text());
        text
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.report());
            return;
        }
        let mut wrong = self.instances.wrong();
        wrong.extend(self.accounts.wrong());
        if self.logs.text().contains(&self.client_secret) {
            wrong.push("the log shows the client secret".to_owned());
        }
        for resource in self.instances.history().values().flatten() {
            let text = serde_json::to_string(&**resource).unwrap_or_default();
            if text.contains(&self.client_secret) {
                wrong.push(format!("{} shows the client secret", resource.name_any()));
            }
        }
        if !wrong.is_empty() {
            wrong.dedup();
            eprintln!("{}", self.report());
            panic!("{}", wrong.join("; "));
        }
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
fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change,
    }
}
