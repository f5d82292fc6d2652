//! The construction of a [`Bed`].

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use cortecs_operator::{cli::RunConfig, kubernetes::scope::WatchedNamespaces};
use cortecs_resources::key::ObjectKey;
use cortecs_simulator::{SimulatedAccount, Simulator, SimulatorConfig};
use serde_json::Value;

use super::{
    Gate,
    bed::{ACCOUNT, Bed, CLIENT_ID},
    logs::Logs,
    polls_every_second,
    record::Record,
    shared::{Shared, allow_lease_in, alone, shared},
};
use crate::{control_plane::ControlPlane, objects::merge};

/// The settings of a [`Bed`].
pub(crate) struct BedBuilder {
    name: &'static str,
    simulator: SimulatorConfig,
    account: Option<Value>,
    secret: bool,
    other_client: Option<&'static str>,
    gated: bool,
    alone: bool,
    definitions: Option<String>,
    neighbours: Vec<(&'static str, Vec<(&'static str, &'static str)>)>,
    report_to: Option<PathBuf>,
    config: RunConfig,
}

impl Bed {
    /// A bed with one account that is ready and polls every second.
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
            account: Some(polls_every_second()),
            secret: true,
            other_client: None,
            gated: false,
            alone: false,
            definitions: None,
            neighbours: Vec::new(),
            report_to: None,
            config: RunConfig {
                default_account: None,
                allowed_hosts: Default::default(),
                watch_namespaces: WatchedNamespaces::default(),
                listen: ([127, 0, 0, 1], 0).into(),
                concurrency: 16,
                leader_elect: false,
                catalog_objects: None,
                settle: Duration::from_secs(4),
                request_timeout: Duration::from_secs(1),
            },
        }
    }
}

impl BedBuilder {
    /// How long each step of a worker takes. A worker runs after four steps.
    pub(crate) fn step(mut self, step: Duration) -> Self {
        self.simulator.step_duration = step;
        self
    }

    pub(crate) fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.simulator.token_lifetime = lifetime;
        self
    }

    /// Changes any setting of the simulated API.
    pub(crate) fn simulator(mut self, change: impl FnOnce(&mut SimulatorConfig)) -> Self {
        change(&mut self.simulator);
        self
    }

    /// The operator's settle time: how long it waits for the effect of a call.
    pub(crate) fn settle(mut self, settle: Duration) -> Self {
        self.config.settle = settle;
        self
    }

    /// Writes the report of a failure to a file instead of the standard error.
    pub(crate) fn report_to(mut self, file: PathBuf) -> Self {
        self.report_to = Some(file);
        self
    }

    /// The operator's request time-out. The settle time becomes four times as long.
    pub(crate) fn request_timeout(mut self, timeout: Duration) -> Self {
        self.config.request_timeout = timeout;
        self.config.settle = timeout * 4;
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

    /// Adds another client id of another owner with the same secret to the API.
    pub(crate) fn other_client(mut self, client_id: &'static str) -> Self {
        self.other_client = Some(client_id);
        self
    }

    /// Puts a gate in front of the API, which the test can close.
    pub(crate) fn gated(mut self) -> Self {
        self.gated = true;
        self
    }

    /// Adds another namespace for the operator to watch. Its name ends in `suffix`.
    pub(crate) fn neighbour(
        mut self,
        suffix: &'static str,
        labels: &[(&'static str, &'static str)],
    ) -> Self {
        self.neighbours.push((suffix, labels.to_vec()));
        self
    }

    /// Gives the bed its own control plane, and lets the operator watch all namespaces.
    pub(crate) fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Gives the bed its own control plane, with the definitions in this folder.
    pub(crate) fn definitions(self, folder: &str) -> Self {
        Self {
            definitions: Some(folder.to_owned()),
            ..self.alone()
        }
    }

    /// Lets the operator take part in a leader election.
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
                own = alone(self.definitions.as_deref()).await;
                &own
            }
            false => shared().await,
        };
        let plane: &'static ControlPlane = plane;
        let client = plane.client().await;
        let namespace = format!("{}-{number}", self.name);
        let client_secret = format!("hidden-{}-{number}", self.name);
        self.simulator.accounts = vec![SimulatedAccount::new(CLIENT_ID, &client_secret)];
        let other = self
            .other_client
            .map(|id| SimulatedAccount::new(id, &client_secret));
        self.simulator.accounts.extend(other);
        let simulator = Simulator::start(self.simulator).await.expect("a simulator");
        let gate = match self.gated {
            true => Some(Gate::open(simulator.address()).await),
            false => None,
        };
        let address = gate.as_ref().map_or(simulator.address(), Gate::address);
        let mut names = vec![namespace.clone()];
        plane.create_namespace(&namespace, &[]).await;
        for (suffix, labels) in &self.neighbours {
            let name = format!("{namespace}-{suffix}");
            plane.create_namespace(&name, labels).await;
            names.push(name);
        }
        if !self.alone {
            self.config.watch_namespaces = names.join(",").parse().expect("namespaces");
        }
        if self.config.leader_elect {
            allow_lease_in(plane, &namespace).await;
        }
        self.config.allowed_hosts = format!("http://{address}").parse().expect("a host");
        self.config.default_account = Some(ObjectKey {
            namespace: namespace.clone(),
            name: ACCOUNT.to_owned(),
        });
        let bed = Bed {
            instances: Record::start(&client, &names),
            accounts: Record::start(&client, &names),
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
            report_to: self.report_to,
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
