//! Accounts against a real Kubernetes API server and the simulated Cortecs API.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code outside #[test] functions"
)]

#[path = "support/control_plane.rs"]
mod control_plane;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use cortecs_operator::{
    account::{
        brake::{Lists, Measure},
        controller::{Context, run},
        directory::Directory,
        entry::AccountState,
        fleet::Fleet,
        fleet_key::FleetKey,
        hooks::{Claims, Listener},
        installs::Installs,
        key::ObjectKey,
        poll::PollLimits,
        snapshot::Snapshot,
    },
    cortecs::types::InstanceArgs,
    resources::{
        CortecsAccount,
        account::{AccountMode, ManagedBy},
        conditions::find_condition,
    },
    runtime::{
        events::Events,
        install_crypto_provider,
        leadership::Leadership,
        metrics::Metrics,
        signals::{Shutdown, ShutdownTrigger},
    },
    simulator::{Endpoint, Simulator, SimulatorConfig},
};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
    runtime::wait::await_condition,
};
use serde_json::{Value, json};
use tokio::{sync::OnceCell, time::timeout};

const DEADLINE: Duration = Duration::from_secs(40);

/// What the controller of instances would answer, and what it would hear.
#[derive(Default)]
struct Others {
    claimed: Mutex<BTreeSet<String>>,
    users: Mutex<BTreeMap<String, usize>>,
    bound: Mutex<bool>,
    changed: Mutex<BTreeSet<String>>,
    measure: Mutex<Measure>,
}

impl Claims for Others {
    fn synced(&self) -> bool {
        true
    }

    fn is_claimed(&self, _: &str, instance_id: &str) -> bool {
        self.claimed.lock().unwrap().contains(instance_id)
    }

    fn users(&self, namespace: &str, account: &str) -> usize {
        let users = self.users.lock().unwrap();
        users
            .get(&format!("{namespace}/{account}"))
            .copied()
            .unwrap_or_default()
    }

    fn user_names(&self, _: &str, _: &str, limit: usize) -> Vec<ObjectKey> {
        vec![ObjectKey::new("team", "llama"); limit.min(1)]
    }

    fn fleet_in_use(&self, _: &FleetKey) -> bool {
        *self.bound.lock().unwrap()
    }

    fn measure(&self, _: Lists<'_>) -> Measure {
        *self.measure.lock().unwrap()
    }
}

impl Listener for Others {
    fn on_list(&self, _: &FleetKey, _: Option<&Snapshot>, _: &Snapshot) {}

    fn on_list_failed(&self, _: &FleetKey) {}

    fn on_account_changed(&self, namespace: &str, name: &str) {
        self.changed
            .lock()
            .unwrap()
            .insert(format!("{namespace}/{name}"));
    }

    fn on_turn(&self, _: Vec<ObjectKey>) {}
}

/// A namespace, an API, and a controller that watches the one and talks to the other.
struct Scenario {
    namespace: String,
    client: Client,
    simulator: Simulator,
    directory: Directory,
    others: Arc<Others>,
    metrics: Metrics,
    _trigger: ShutdownTrigger,
}

async fn client() -> Client {
    static CRDS: OnceCell<()> = OnceCell::const_new();
    install_crypto_provider();
    let plane = control_plane::shared().await;
    CRDS.get_or_init(|| async {
        let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/crds");
        for args in [
            &["apply", "-f", crds][..],
            &[
                "wait",
                "--for=condition=Established",
                "--timeout=60s",
                "-f",
                crds,
            ],
        ] {
            control_plane::assert_succeeded("kubectl", &plane.kubectl(args).await);
        }
    })
    .await;
    plane.client().await
}

impl Scenario {
    async fn new(name: &str) -> Self {
        let client = client().await;
        let namespace = format!("accounts-{name}");
        let object = serde_json::from_value(json!({
            "metadata": {"name": namespace, "labels": {"team": name}},
        }));
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces
            .create(&PostParams::default(), &object.unwrap())
            .await
            .unwrap();
        let simulator = Simulator::start(SimulatorConfig::default()).await.unwrap();
        let others = Arc::new(Others::default());
        let directory = Directory::new(client.clone());
        let metrics = Metrics::new();
        let (trigger, shutdown) = Shutdown::new();
        let context = Context {
            kube: client.clone(),
            directory: directory.clone(),
            claims: others.clone(),
            listener: others.clone(),
            allowed_hosts: format!("http://{}", simulator.address()).parse().unwrap(),
            leadership: Leadership::always(),
            metrics: metrics.clone(),
            events: Events::new(client.clone(), "tests"),
            installs: Arc::new(Installs::new(ManagedBy::default(), client.clone())),
            namespaces: namespace.parse().unwrap(),
            concurrency: 4,
            request_timeout: Duration::from_secs(10),
            limits: PollLimits {
                floor: Duration::from_millis(5),
                ..PollLimits::default()
            },
        };
        tokio::spawn(run(context, shutdown));
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

    fn accounts(&self) -> Api<CortecsAccount> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn secret(&self, name: &str, secret: &str) {
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": {"CORTECS_CLIENT_ID": "demo", "CORTECS_CLIENT_SECRET": secret},
        });
        let params = PatchParams::apply("test").force();
        self.secrets()
            .patch(name, &params, &Patch::Apply(secret))
            .await
            .unwrap();
    }

    async fn account(&self, name: &str, spec: Value) {
        let mut whole = json!({
            "apiUrl": self.simulator.api_url(),
            "credentialsSecretRef": {"name": "good"},
            "poll": {"idleSeconds": 3600},
        });
        for (key, value) in spec.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let account = json!({"metadata": {"name": name}, "spec": whole});
        let account = serde_json::from_value(json!({
            "apiVersion": "cortecs.ai/v1alpha1",
            "kind": "CortecsAccount",
            "metadata": account["metadata"],
            "spec": account["spec"],
        }));
        self.accounts()
            .create(&PostParams::default(), &account.unwrap())
            .await
            .unwrap();
    }

    async fn change(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.accounts()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Waits until the account is as it should be.
    async fn until(&self, name: &str, what: impl Fn(&CortecsAccount) -> bool) -> CortecsAccount {
        let waited = timeout(
            DEADLINE,
            await_condition(self.accounts(), name, |account: Option<&CortecsAccount>| {
                account.is_some_and(&what)
            }),
        );
        match waited.await {
            Ok(account) => account.unwrap().unwrap(),
            Err(_) => panic!("{:#?}", self.accounts().get(name).await.unwrap().status),
        }
    }

    /// Waits until the Ready condition has the reason.
    async fn reason(&self, name: &str, reason: &str) -> String {
        let account = self.until(name, |account| {
            ready(account).is_some_and(|(r, _)| r == reason)
        });
        ready(&account.await).unwrap().1
    }

    fn key(&self) -> FleetKey {
        FleetKey::new(&self.simulator.api_url(), "demo")
    }

    fn fleet(&self) -> Arc<Fleet> {
        self.directory.fleet(&self.key()).expect("a fleet")
    }

    async fn list(&self) {
        let fleet = self.fleet();
        let mut ended = fleet.ended();
        ended.mark_unchanged();
        fleet.request_list();
        timeout(DEADLINE, ended.changed())
            .await
            .expect("a list in time")
            .unwrap();
    }

    fn state(&self, name: &str) -> Option<AccountState> {
        self.directory
            .account(&self.namespace, name)
            .map(|entry| entry.state.clone())
    }

    /// Asks the API for what it tells everybody.
    async fn public(&self, path: &str) -> Value {
        let url = format!("{}/{path}/", self.simulator.api_url());
        reqwest::get(url).await.unwrap().json().await.unwrap()
    }

    /// What one worker costs an hour on hardware of this kind.
    async fn price_per_hour(&self, hardware: &str) -> f64 {
        let list = self.public("hardware-types").await;
        let mut types = list["hardware_types"].as_array().unwrap().iter();
        let found = types.find(|entry| entry["hardware_type_id"] == hardware);
        found.unwrap()["price_info"]["price_per_hour"]
            .as_f64()
            .unwrap()
    }

    async fn start_outside(&self) -> String {
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

fn ready(account: &CortecsAccount) -> Option<(String, String)> {
    let conditions = &account.status.as_ref()?.conditions;
    let ready = find_condition(conditions, "Ready")?;
    Some((ready.reason.clone(), ready.message.clone()))
}

#[tokio::test]
async fn an_account_shows_what_its_lists_say_and_writes_nothing_else() {
    let scenario = Scenario::new("shows").await;
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let idle = scenario
        .until("main", |a| {
            a.status.as_ref().is_some_and(|s| s.instances.is_some())
        })
        .await;
    assert_eq!(
        idle.metadata.finalizers,
        Some(vec!["cortecs.ai/account".to_owned()])
    );
    timeout(DEADLINE, scenario.directory.wait_until_synced())
        .await
        .unwrap();
    let accounts = scenario.accounts();
    let mut writes = accounts
        .watch(
            &WatchParams::default(),
            &idle.metadata.resource_version.unwrap(),
        )
        .await
        .unwrap()
        .boxed();
    for _ in 0..20 {
        scenario.list().await;
    }
    let id = scenario.start_outside().await;
    scenario.list().await;
    let first = timeout(DEADLINE, writes.try_next()).await.unwrap().unwrap();
    let Some(WatchEvent::Modified(shown)) = first else {
        panic!("{first:?}");
    };
    let status = shown.status.unwrap();
    assert_eq!(
        status.unmanaged[0].id, id,
        "the first write is the one that has news"
    );
    assert_eq!(status.instances.unwrap().unmanaged, 1);
    let args = status.unmanaged[0].args.clone();
    assert!(status.last_poll_time.is_some());

    scenario.others.claimed.lock().unwrap().insert(id);
    scenario.list().await;
    scenario
        .until("main", |a| {
            let counts = a.status.as_ref().and_then(|s| s.instances.clone());
            counts.is_some_and(|c| (c.managed, c.unmanaged) == (1, 0))
        })
        .await;
    let metrics = scenario.metrics.encode().unwrap();
    let account = format!("{{account=\"{}/main\"", scenario.namespace);
    for family in [
        "cortecs_list_age_seconds",
        "cortecs_unmanaged_instances",
        "cortecs_api_requests_total",
    ] {
        assert!(
            metrics.contains(&format!("{family}{account}")),
            "{family}\n{metrics}"
        );
    }
    let price = scenario
        .price_per_hour(args.hardware_type_id.as_deref().unwrap())
        .await;
    let series = format!("cortecs_price_per_hour{account},currency=\"EUR\"}} {price:?}\n");
    let told = async {
        while !scenario.metrics.encode().unwrap().contains(&series) {
            scenario.list().await;
        }
    };
    timeout(DEADLINE, told).await.expect(&series);
    let handle = scenario.simulator.handle();

    assert_eq!(
        handle.count(Endpoint::HardwareTypes),
        2,
        "once by the operator, once by this test"
    );
}

#[tokio::test]
async fn a_missing_secret_is_named_and_found_when_it_comes() {
    let scenario = Scenario::new("secret").await;
    scenario.account("main", json!({})).await;
    let message = scenario.reason("main", "SecretNotFound").await;
    assert!(message.contains("accounts-secret/good"), "{message}");
    let ready =
        |is: u8| format!("cortecs_account_ready{{account=\"accounts-secret/main\"}} {is}\n");
    let metrics = scenario.metrics.encode().unwrap();
    assert!(metrics.contains(&ready(0)), "{metrics}");
    // It grows, though there never was a list.
    assert!(
        metrics.contains("cortecs_list_age_seconds{account=\"accounts-secret/main\"}"),
        "{metrics}"
    );
    timeout(DEADLINE, scenario.directory.wait_until_synced())
        .await
        .unwrap();
    assert_eq!(scenario.directory.account("accounts-secret", "none"), None);
    assert_eq!(scenario.simulator.handle().count(Endpoint::Token), 0);
    scenario.secret("good", "demo-secret").await;
    scenario.reason("main", "Verified").await;
    let metrics = scenario.metrics.encode().unwrap();
    assert!(metrics.contains(&ready(1)), "{metrics}");
    assert!(
        scenario
            .others
            .changed
            .lock()
            .unwrap()
            .contains("accounts-secret/main")
    );
}

#[tokio::test]
async fn credentials_go_to_allowed_hosts_only() {
    let scenario = Scenario::new("hosts").await;
    scenario.secret("good", "demo-secret").await;
    let other = format!(
        "http://localhost:{}/api/v1",
        scenario.simulator.address().port()
    );
    scenario.account("main", json!({"apiUrl": other})).await;
    let message = scenario.reason("main", "ApiUrlNotAllowed").await;
    assert!(message.contains("--allowed-api-hosts"), "{message}");
    assert!(scenario.simulator.handle().requests().is_empty());
    scenario
        .change("main", json!({"apiUrl": scenario.simulator.api_url()}))
        .await;
    scenario.reason("main", "Verified").await;
}

#[tokio::test]
async fn a_rotated_secret_is_read_when_the_old_one_is_refused() {
    let scenario = Scenario::new("rotated").await;
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let before = scenario.fleet();

    assert!(scenario.simulator.handle().set_secret("demo", "rotated"));
    scenario.simulator.handle().expire_tokens();
    scenario.list().await;
    let message = scenario.reason("main", "CredentialsInvalid").await;
    assert!(!message.contains("demo-secret"), "{message}");
    assert!(matches!(
        scenario.state("main"),
        Some(AccountState::Unusable {
            reason: "CredentialsInvalid",
            ..
        })
    ));
    assert!(
        scenario.fleet().snapshot().is_some(),
        "the last good list stays"
    );

    scenario.secret("better", "rotated").await;
    scenario
        .change("main", json!({"credentialsSecretRef": {"name": "better"}}))
        .await;
    scenario.reason("main", "Verified").await;
    assert!(
        Arc::ptr_eq(&before, &scenario.fleet()),
        "the same fleet, with another secret"
    );

    // And without a word from anyone: the refusal itself makes it read the Secret again.
    scenario
        .simulator
        .handle()
        .set_secret("demo", "rotated again");
    scenario.simulator.handle().expire_tokens();
    scenario.secret("better", "rotated again").await;
    scenario.list().await;
    timeout(
        DEADLINE,
        before.ended().wait_for(|_| {
            !before.health().authentication_failed && before.health().last_error.is_none()
        }),
    )
    .await
    .expect("it recovers")
    .unwrap();
    scenario.reason("main", "Verified").await;
}

#[tokio::test]
async fn who_only_knows_the_client_id_gets_nothing_and_breaks_nothing() {
    let scenario = Scenario::new("stranger").await;
    scenario.secret("good", "demo-secret").await;
    scenario.secret("guessed", "guess").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let guessed = json!({"name": "guessed"});
    scenario
        .account(
            "stranger",
            json!({"credentialsSecretRef": guessed, "mode": "Hold", "poll": {"idleSeconds": 1}}),
        )
        .await;
    scenario.reason("stranger", "CredentialsInvalid").await;
    assert_eq!(
        scenario.directory.accounts_of(&scenario.key()),
        [ObjectKey::new(&scenario.namespace, "main")]
    );
    assert_eq!(
        scenario.directory.mode(&scenario.key()),
        AccountMode::Active
    );
    scenario.list().await;
    assert_eq!(scenario.fleet().health().last_error, None);
    assert_eq!(
        scenario.state("main"),
        Some(AccountState::Usable(scenario.key()))
    );

    // With the right secret it shares the fleet, and the stricter settings count.
    scenario
        .change(
            "stranger",
            json!({"credentialsSecretRef": {"name": "good"}}),
        )
        .await;
    scenario.reason("stranger", "Verified").await;
    assert_eq!(scenario.directory.accounts_of(&scenario.key()).len(), 2);
    assert_eq!(scenario.directory.mode(&scenario.key()), AccountMode::Hold);
}

#[tokio::test]
async fn a_stranger_who_came_first_does_not_keep_the_owner_out() {
    let scenario = Scenario::new("squatter").await;
    scenario.secret("good", "demo-secret").await;
    scenario.secret("guessed", "guess").await;
    scenario
        .account(
            "squatter",
            json!({"credentialsSecretRef": {"name": "guessed"}, "mode": "Hold"}),
        )
        .await;
    scenario.reason("squatter", "CredentialsInvalid").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    scenario.reason("squatter", "CredentialsInvalid").await;
    assert_eq!(
        scenario.directory.accounts_of(&scenario.key()),
        [ObjectKey::new(&scenario.namespace, "main")]
    );
    assert_eq!(
        scenario.directory.mode(&scenario.key()),
        AccountMode::Active
    );
    assert_eq!(
        scenario.state("main"),
        Some(AccountState::Usable(scenario.key()))
    );
}

#[tokio::test]
async fn an_account_in_use_is_deleted_when_its_last_user_goes() {
    let scenario = Scenario::new("deleted").await;
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let user = format!("{}/main", scenario.namespace);
    scenario
        .others
        .users
        .lock()
        .unwrap()
        .insert(user.clone(), 2);
    *scenario.others.bound.lock().unwrap() = true;
    scenario
        .secrets()
        .delete("good", &DeleteParams::default())
        .await
        .unwrap();
    scenario
        .accounts()
        .delete("main", &DeleteParams::default())
        .await
        .unwrap();
    let message = scenario.reason("main", "InUse").await;
    assert!(
        message.contains("2 CortecsInstances") && message.contains("team/llama, …"),
        "{message}"
    );
    let entry = scenario
        .directory
        .account(&scenario.namespace, "main")
        .unwrap();
    assert!(entry.deleting);
    scenario.list().await;
    assert_eq!(
        scenario.fleet().health().last_error,
        None,
        "the credentials are in memory"
    );

    scenario.others.users.lock().unwrap().remove(&user);
    timeout(
        DEADLINE,
        await_condition(scenario.accounts(), "main", |a: Option<&CortecsAccount>| {
            a.is_none()
        }),
    )
    .await
    .expect("it goes")
    .unwrap();
    timeout(DEADLINE, async {
        while scenario
            .directory
            .account(&scenario.namespace, "main")
            .is_some()
        {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    scenario.list().await;
    assert_eq!(
        scenario.fleet().health().last_error,
        None,
        "something is bound there still"
    );
    assert_eq!(scenario.directory.mode(&scenario.key()), AccountMode::Hold);
}

#[tokio::test]
async fn namespaces_are_allowed_by_name_or_by_label() {
    let scenario = Scenario::new("allowed").await;
    let neighbour = Scenario::new("neighbour").await.namespace;
    scenario.secret("good", "demo-secret").await;
    let select =
        |team: &str| json!({"from": "Selector", "selector": {"matchLabels": {"team": team}}});
    for (name, allowed, own, other, missing) in [
        ("same", json!({"from": "Same"}), true, false, false),
        ("all", json!({"from": "All"}), true, true, true),
        ("labels", select("neighbour"), false, true, false),
        ("nobody", select("nobody"), false, false, false),
    ] {
        scenario
            .account(name, json!({"allowedNamespaces": allowed}))
            .await;
        scenario.reason(name, "Verified").await;
        let entry = scenario
            .directory
            .account(&scenario.namespace, name)
            .unwrap();
        let allows =
            async |namespace: &str| scenario.directory.allows(&entry, namespace).await.unwrap();
        assert_eq!(allows(&scenario.namespace).await, own, "{name}");
        assert_eq!(allows(&neighbour).await, other, "{name}");
        assert_eq!(allows("no-such-namespace").await, missing, "{name}");
    }
}

#[tokio::test]
async fn a_mass_change_is_recorded_and_told_in_status_and_metrics() {
    let scenario = Scenario::new("brake").await;
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let series = format!(
        "cortecs_account_held{{account=\"{}/main\"}}",
        scenario.namespace
    );
    let gauge = |value: &str| {
        let line = format!("{series} {value}");
        scenario
            .metrics
            .encode()
            .unwrap()
            .lines()
            .any(|l| l == line)
    };
    assert!(gauge("0"));
    let before = scenario.fleet().snapshot().unwrap().sequence;
    let lost = Measure {
        expected: 5,
        lost: 4,
        wanted: 5,
        down: 4,
        ..Measure::default()
    };
    *scenario.others.measure.lock().unwrap() = lost;
    scenario.fleet().request_list();
    let message = scenario.reason("main", "MassChange").await;
    assert!(message.contains("4 of 5"), "{message}");
    let mut ended = scenario.fleet().ended();
    let fleet = scenario.fleet();
    let published = ended.wait_for(|_| fleet.snapshot().unwrap().sequence > before);
    timeout(DEADLINE, published).await.unwrap().unwrap();
    assert!(scenario.directory.held(&scenario.key()).is_some() && gauge("1"));

    *scenario.others.measure.lock().unwrap() = Measure {
        lost: 0,
        down: 1,
        ..lost
    };
    scenario.fleet().request_list();
    scenario.reason("main", "Verified").await;
    let fleet = scenario.fleet();
    let mut ended = fleet.ended();
    let told = ended.wait_for(|_| gauge("0"));
    timeout(DEADLINE, told).await.unwrap().unwrap();
    assert_eq!(scenario.directory.held(&scenario.key()), None);
}
