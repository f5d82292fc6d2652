//! A random walk: a fleet loses its instances while accounts come, go, are replaced and have their statuses emptied. A hold that has
//! begun ends only by what is written as its end, or by a list that shows nothing lost, and no list with a mass change is
//! published outside of a hold.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use cortecs_api::{Client, ClientConfig, Credentials, install_crypto_provider};
use cortecs_rules::{
    account::brake::begin,
    facts::snapshot::Snapshot,
    pacing::schedule::{PollLimits, PollSettings},
};
use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::{
    fleet::{api_calls::ApiObserver, hooks::Unobserved, poll::Fleet},
    serve::metrics::Metrics,
};

const URL: &str = "http://127.0.0.1:9/v1";
const NAMES: [&str; 2] = ["a", "b"];

struct Walk {
    rng: fastrand::Rng,
    directory: Directory,
    fleet: FleetKey,
    /// The accounts as the API server has them.
    stored: BTreeMap<ObjectKey, CortecsAccount>,
    created: u32,
    second: i64,
    /// Whether lists lack all instances.
    lost: bool,
    /// A hold has begun and has not ended.
    held: bool,
    log: Vec<String>,
}

#[tokio::test]
async fn a_hold_lasts_until_it_ends_whatever_becomes_of_its_accounts() {
    install_crypto_provider();
    for seed in 0..200 {
        let mut walk = Walk::new(seed);
        for _ in 0..60 {
            walk.event();
            let shown = walk.directory.hold_message(&walk.fleet).is_some();
            let log = || walk.log.join("\n");
            assert!(shown || !walk.held, "seed {seed}: a gap\n{}", log());
        }
    }
}

impl Walk {
    fn new(seed: u64) -> Self {
        let client = kube::Client::new(Router::new(), "default");
        Self {
            rng: fastrand::Rng::with_seed(seed),
            directory: Directory::new(client),
            fleet: FleetKey::new(URL, "client"),
            stored: BTreeMap::new(),
            created: 0,
            second: 1_000,
            lost: false,
            held: false,
            log: Vec::new(),
        }
    }

    fn event(&mut self) {
        self.second += 1;
        let key = ObjectKey::new("ns", NAMES[self.rng.usize(..NAMES.len())]);
        let what = self.rng.u32(..10);
        self.log.push(format!("{what} {key} lost: {}", self.lost));
        match what {
            0 => self.lost = !self.lost,
            1..4 => self.list(),
            4 | 5 => self.create(&key),
            6 => {
                self.stored.remove(&key);
                self.directory.remove(&key);
            }
            7 => self.record(&key),
            8 => self.end(&key),
            _ => self.write(&key, |account| account.status = None),
        }
    }

    /// A new account, which may take the place of one whose deletion was not seen.
    fn create(&mut self, key: &ObjectKey) {
        self.created += 1;
        let account: CortecsAccount = serde_json::from_value(json!({
            "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsAccount",
            "metadata": {"namespace": key.namespace, "name": key.name, "uid": format!("uid-{}", self.created)},
            "spec": {"apiUrl": URL, "credentialsSecretRef": {"name": "credentials"}},
        }))
        .unwrap();
        self.directory.upsert(&account, None);
        let credentials = Credentials {
            client_id: "client".to_owned(),
            client_secret: SecretString::from("secret".to_owned()),
        };
        let joined = self
            .directory
            .join(&account, &self.fleet, &credentials, |settings| {
                Self::fleet(&self.fleet, &credentials, settings)
            });
        assert!(joined.unwrap().is_some());
        self.stored.insert(key.clone(), account);
    }

    fn fleet(
        key: &FleetKey,
        credentials: &Credentials,
        settings: PollSettings,
    ) -> Result<(Fleet, Arc<ApiObserver>), cortecs_api::ConfigError> {
        let client = Client::new(ClientConfig::new(URL, credentials.clone()))?;
        let limits = PollLimits::default();
        let observer = ApiObserver::new(Metrics::new(), &ObjectKey::new("ns", "a"));
        let fleet = Fleet::start(key.clone(), client, settings, limits, Arc::new(Unobserved));
        Ok((fleet, Arc::new(observer)))
    }

    /// A change of the stored account, which the watch brings.
    fn write(&mut self, key: &ObjectKey, change: impl FnOnce(&mut CortecsAccount)) {
        if let Some(account) = self.stored.get_mut(key) {
            change(account);
            self.directory.upsert(account, None);
        }
    }

    fn measure(&self) -> Measure {
        let lost = if self.lost { 5 } else { 0 };
        Measure {
            expected: 5,
            lost,
            wanted: 5,
            down: lost,
            bound: 5,
            ..Measure::default()
        }
    }

    /// A list, as the relay treats it.
    fn list(&mut self) {
        let measurement = Measurement {
            measure: self.measure(),
            down: BTreeSet::new(),
        };
        let wall = self.wall();
        let has_fleet = self.directory.fleet(&self.fleet).is_some();
        if !has_fleet {
            return;
        }
        let admission = self
            .directory
            .admit(&self.fleet, &Snapshot::default(), measurement, wall);
        self.log.push(format!("  admitted: {}", admission.admitted));
        if !admission.admitted {
            return;
        }
        self.directory.end_unrecorded(&self.fleet);
        if self.lost {
            let log = self.log.join("\n");
            let held = self.directory.hold_message(&self.fleet);
            assert!(held.is_some(), "a mass change is published\n{log}");
            self.held = true;
        } else {
            let recorded =
                |a: &CortecsAccount| self.directory.hold_record(&ObjectKey::of(a)).hold.is_some();
            self.held = self.stored.values().any(recorded);
        }
    }

    /// The controller records a mass change.
    fn record(&mut self, key: &ObjectKey) {
        let Some(measure) = self.directory.trip(&self.fleet) else {
            return;
        };
        let hold = begin(&self.fleet, measure, self.wall());
        if self.stored.contains_key(key) {
            self.held = true;
            self.write(key, |account| {
                account.status.get_or_insert_default().hold = Some(hold)
            });
        }
    }

    /// The controller records that a hold has ended, since the instances are back.
    fn end(&mut self, key: &ObjectKey) {
        let wall = self.wall();
        if self.lost || self.directory.hold_record(key).hold.is_none() {
            return;
        }
        self.directory.mark_ending(key);
        self.write(key, |account| {
            let status = account.status.get_or_insert_default();
            status.hold = None;
            status.last_hold_end_time = Some(wall);
        });
        let mut others = self.stored.keys();
        self.held = others.any(|key| self.directory.hold_record(key).hold.is_some());
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_second(self.second).unwrap()
    }
}
