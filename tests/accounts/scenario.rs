//! The environment of one test: a namespace, a simulated API, and the controller of accounts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use cortecs_api::{install_crypto_provider, types::InstanceArgs};
use cortecs_operator::{
    account::{
        context::{AccountController, State},
        controller::run,
    },
    fleet::{
        directory::Directory,
        hooks::{Claims, InstanceHooks, Listed},
        poll::Fleet,
    },
    kubernetes::{controller::ControllerOptions, events::Events, queue::Watches},
    leadership::Leadership,
    serve::{
        metrics::Metrics,
        signals::{Shutdown, ShutdownTrigger},
    },
};
use cortecs_resources::{
    CortecsAccount,
    account::{AccountMode, ManagedBy},
    conditions::find_condition,
    key::ObjectKey,
};
use cortecs_rules::{
    account::brake::{Lists, Measure},
    cost::bill::{Bill, Settlement},
    facts::{account_entry::AccountState, fleet_key::FleetKey, snapshot::Snapshot},
    ledger::book::Book,
    pacing::schedule::PollLimits,
};
use cortecs_simulator::{Simulator, SimulatorConfig};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    runtime::wait::await_condition,
};
use serde_json::{Value, json};
use tokio::{sync::OnceCell, time::timeout};

use crate::{
    control_plane::{self, ControlPlane},
    objects,
};

pub const DEADLINE: Duration = Duration::from_secs(40);

/// Stands in for the controller of instances: what it answers, and what it is told.
#[derive(Default)]
pub struct Others {
    pub claimed: Mutex<BTreeSet<String>>,
    pub users: Mutex<BTreeMap<String, usize>>,
    pub bound: Mutex<bool>,
    pub changed: Mutex<BTreeSet<String>>,
    pub measure: Mutex<Measure>,
    pub bills: Mutex<Vec<Bill>>,
    pub settled: Mutex<Vec<String>>,
    pub gone: tokio::sync::watch::Sender<BTreeSet<String>>,
}

impl Claims for Others {
    fn unlisted(&self, _: &FleetKey) -> u64 {
        0
    }

    fn synced(&self) -> bool {
        true
    }

    fn is_claimed(&self, _: &str, instance_id: &str) -> bool {
        self.claimed.lock().unwrap().contains(instance_id)
    }

    fn users(&self, account: &ObjectKey) -> Vec<ObjectKey> {
        let users = self.users.lock().unwrap();
        let count = users.get(&account.to_string()).copied();
        vec![ObjectKey::new("team", "llama"); count.unwrap_or_default()]
    }

    fn fleet_in_use(&self, _: &FleetKey, _: &BTreeSet<ObjectKey>) -> bool {
        *self.bound.lock().unwrap()
    }

    fn homes(&self, _: &FleetKey) -> BTreeSet<ObjectKey> {
        BTreeSet::new()
    }

    fn with_book(&self, look: &mut dyn FnMut(&Book)) {
        look(&Book::default());
    }

    fn settle(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn measure(&self, _: Lists<'_>) -> Measure {
        *self.measure.lock().unwrap()
    }

    fn down(&self, _: &FleetKey, _: &Snapshot) -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn late(&self, _: &FleetKey, _: &Snapshot) -> BTreeMap<String, ObjectKey> {
        BTreeMap::new()
    }

    fn namespace_of(&self, _: &str, instance_id: &str) -> Option<String> {
        let claimed = self.claimed.lock().unwrap();
        claimed.contains(instance_id).then(|| "team".to_owned())
    }

    fn settlement(&self, _: &ObjectKey, settled: &[String]) -> (Settlement, Option<Duration>) {
        let bills = self.bills.lock().unwrap().clone();
        let settlement = Settlement {
            bills,
            gone: settled.to_vec(),
        };
        (settlement, None)
    }

    fn settled(&self, _: &ObjectKey, settled: &[String]) {
        *self.settled.lock().unwrap() = settled.to_vec();
    }

    fn dropped(&self, _: &ObjectKey, dropped: &[Bill]) {
        let is_dropped = |bill: &Bill| dropped.contains(bill);
        self.bills.lock().unwrap().retain(|bill| !is_dropped(bill));
    }

    fn account_gone(&self, account: &ObjectKey) {
        self.gone.send_modify(|gone| {
            gone.insert(account.to_string());
        });
    }
}

impl InstanceHooks for Others {
    fn on_list(&self, _: Listed<'_>) {}

    fn on_list_failed(&self, _: &FleetKey, _: &[ObjectKey]) {}

    fn on_account_changed(&self, account: &ObjectKey) {
        self.changed.lock().unwrap().insert(account.to_string());
    }

    fn on_turn(&self, _: Vec<ObjectKey>) {}
}

/// A namespace, a simulated API, and a controller that watches the namespace and calls the API.
pub struct Scenario {
    pub namespace: String,
    pub client: Client,
    pub simulator: Simulator,
    pub directory: Directory,
    pub others: Arc<Others>,
    pub metrics: Metrics,
    _trigger: ShutdownTrigger,
}

/// The control plane with the CustomResourceDefinitions.
async fn plane() -> &'static ControlPlane {
    static PREPARED: OnceCell<()> = OnceCell::const_new();
    install_crypto_provider();
    let plane = control_plane::shared().await;
    PREPARED
        .get_or_init(async || objects::install_definitions(plane).await)
        .await;
    plane
}

impl Scenario {
    pub async fn new(name: &str) -> Self {
        let plane = plane().await;
        let client = plane.client().await;
        let namespace = format!("accounts-{name}");
        plane.create_namespace(&namespace, &[("team", name)]).await;
        let simulator = Simulator::start(SimulatorConfig::default()).await.unwrap();
        let others = Arc::new(Others::default());
        let directory = Directory::new(client.clone());
        let metrics = Metrics::new();
        let (trigger, shutdown) = Shutdown::new();
        let watches = Arc::new(Watches::new(&namespace.parse().unwrap()));
        let options = ControllerOptions {
            client: client.clone(),
            watches: Arc::clone(&watches),
            metrics: metrics.clone(),
            events: Events::new(client.clone(), "tests"),
            concurrency: 4,
            shutdown,
        };
        let controller = AccountController {
            client: client.clone(),
            directory: directory.clone(),
            claims: others.clone(),
            instances: others.clone(),
            allowed_hosts: format!("http://{}", simulator.address()).parse().unwrap(),
            proxies: Default::default(),
            leadership: Leadership::always(),
            metrics: metrics.clone(),
            events: Events::new(client.clone(), "tests"),
            this_operator: ManagedBy {
                namespace: namespace.clone(),
                ..ManagedBy::default()
            },
            watches,
            namespaces: namespace.parse().unwrap(),
            read_only: false,
            request_timeout: Duration::from_secs(10),
            limits: PollLimits {
                floor: Duration::from_millis(5),
                ..PollLimits::default()
            },
            handover_patience: Duration::from_millis(200),
            state: State::default(),
        };
        tokio::spawn(async move { run(Arc::new(controller), &options).await });
        Self {
            namespace,
            client,
            simulator,
            directory,
            others,
            metrics,
            _trigger: trigger,
        }
    }

    pub fn accounts(&self) -> Api<CortecsAccount> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub async fn secret(&self, name: &str, secret: &str) {
        objects::write_secret(&self.secrets(), name, "demo", secret).await;
    }

    pub async fn account(&self, name: &str, spec: Value) {
        let mut whole = json!({
            "apiUrl": self.simulator.api_url(),
            "credentialsSecretRef": {"name": "good"},
            "poll": {"idleSeconds": 3600},
        });
        objects::merge(&mut whole, spec);
        let account = objects::object("CortecsAccount", name, whole);
        self.accounts()
            .create(&PostParams::default(), &account)
            .await
            .unwrap();
    }

    pub async fn change(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.accounts()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Waits until the condition holds for the account.
    pub async fn until(
        &self,
        name: &str,
        what: impl Fn(&CortecsAccount) -> bool,
    ) -> CortecsAccount {
        let waited = timeout(
            DEADLINE,
            await_condition(self.accounts(), name, |account: Option<&CortecsAccount>| {
                account.is_some_and(&what)
            }),
        );
        match waited.await {
            Ok(Ok(account)) => account.unwrap(),
            _ => panic!("{:#?}", self.accounts().get(name).await.unwrap().status),
        }
    }

    /// Waits until the Ready condition has the reason; the condition's message.
    pub async fn reason(&self, name: &str, reason: &str) -> String {
        let account = self.until(name, |account| {
            ready(account).is_some_and(|(r, _)| r == reason)
        });
        ready(&account.await).unwrap().1
    }

    pub fn key(&self) -> FleetKey {
        FleetKey::new(&self.simulator.api_url(), "demo")
    }

    pub fn fleet(&self) -> Arc<Fleet> {
        self.directory.fleet(&self.key()).expect("a fleet")
    }

    pub async fn list(&self) {
        let fleet = self.fleet();
        let mut ended = fleet.ended();
        ended.mark_unchanged();
        fleet.request_list_after(cortecs_clock::moment());
        timeout(DEADLINE, ended.changed())
            .await
            .expect("a list in time")
            .unwrap();
    }

    /// Checks that the fleet has only the account `main`, and its mode.
    pub fn has_none_but_main(&self) {
        let key = self.key();
        let main = ObjectKey::new(&self.namespace, "main");
        assert_eq!(self.directory.accounts_of(&key), [main]);
        assert_eq!(self.directory.mode(&key), AccountMode::Active);
    }

    pub fn state(&self, name: &str) -> Option<AccountState> {
        self.directory
            .account(&self.namespace, name)
            .map(|entry| entry.state.clone())
    }

    /// Gets what the API shows without a token.
    pub async fn public(&self, path: &str) -> Value {
        let url = format!("{}/{path}/", self.simulator.api_url());
        reqwest::get(url).await.unwrap().json().await.unwrap()
    }

    /// The price of one worker for an hour on this hardware.
    pub async fn price_per_hour(&self, hardware: &str) -> f64 {
        let list = self.public("hardware-types").await;
        let mut types = list["hardware_types"].as_array().unwrap().iter();
        let found = types.find(|entry| entry["hardware_type_id"] == hardware);
        found.unwrap()["price_info"]["price_per_hour"]
            .as_f64()
            .unwrap()
    }

    pub async fn start_outside(&self) -> String {
        let list = self.public("models").await;
        let model = &list["models"][0];
        let id = model["model_name"]
            .as_str()
            .or(model["model_id"].as_str())
            .unwrap();
        let args = InstanceArgs {
            model_id: id.to_owned(),
            ..InstanceArgs::default()
        };
        self.simulator
            .handle()
            .outsider_start("demo", args)
            .unwrap()
    }
}

pub fn ready(account: &CortecsAccount) -> Option<(String, String)> {
    let conditions = &account.status.as_ref()?.conditions;
    let ready = find_condition(conditions, "Ready")?;
    Some((ready.reason.clone(), ready.message.clone()))
}
