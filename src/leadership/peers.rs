//! The other operators of the cluster, as far as accounts name them: whether they still run. Without such accounts nobody is asked.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use cortecs_clock as clock;
use cortecs_resources::account::ManagedBy;
use cortecs_rules::account::owner::{Life, Sighting};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::sync::Notify;

use super::lease_object::record;
use crate::kubernetes::client::bounded;
use crate::mutex::lock;

/// How often their Leases are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// Most that are looked at; of further ones it is not known whether they run.
const MAX_OTHERS: usize = 16;

/// This operator and the others.
pub struct Installs {
    us: ManagedBy,
    client: Client,
    seen: Mutex<BTreeMap<ManagedBy, Seen>>,
    news: Notify,
}

#[derive(Default)]
struct Seen {
    sighting: Sighting,
    /// What was told of it last.
    told: Option<Life>,
}

impl Installs {
    pub fn new(us: ManagedBy, client: Client) -> Self {
        Self {
            us,
            client,
            seen: Mutex::default(),
            news: Notify::new(),
        }
    }

    /// This operator, as claims name it.
    pub fn us(&self) -> &ManagedBy {
        &self.us
    }

    /// What is known of the operator that a claim names. From here on it is looked at, as long as an account names it.
    pub fn life(&self, claim: &ManagedBy) -> Life {
        if claim.namespace == self.us.namespace {
            return Life::Unknown;
        }
        if claim.lease.is_none() {
            return Life::Unseen("it takes part in no election".to_owned());
        }
        let mut seen = self.seen();
        if let Some(known) = seen.get(claim) {
            return known.sighting.life(clock::moment());
        }
        if seen.len() >= MAX_OTHERS {
            return Life::Unseen(format!("there are more than {MAX_OTHERS}"));
        }
        seen.insert(claim.clone(), Seen::default());
        self.news.notify_one();
        Life::Unknown
    }

    /// Looks at the others now and then; never completes. `named` says which are named still, and is told after each look.
    pub(crate) async fn watch(&self, named: impl Fn() -> Vec<ManagedBy>, looked: impl Fn()) {
        loop {
            let known: Vec<ManagedBy> = {
                let named = named();
                let mut seen = self.seen();
                seen.retain(|other, _| named.contains(other));
                seen.keys().cloned().collect()
            };
            if known.is_empty() {
                self.news.notified().await;
                continue;
            }
            let mut changed = false;
            for other in known {
                changed |= self.look(&other).await;
            }
            if changed {
                looked();
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
                () = self.news.notified() => {}
            }
        }
    }

    /// Whether what is known of it has changed.
    async fn look(&self, other: &ManagedBy) -> bool {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), &other.namespace);
        let name = other.lease.as_deref().unwrap_or_default();
        let read = bounded("read the Lease of another operator", leases.get_opt(name)).await;
        let now = clock::moment();
        let mut seen = self.seen();
        let Some(Seen { sighting, told }) = seen.get_mut(other) else {
            return false;
        };
        match read {
            Ok(lease) => sighting.saw(lease.as_ref().map(record), now),
            Err(error) if error.is_forbidden() => sighting.may_not_look(error.to_string()),
            Err(error) => {
                tracing::debug!(%error, namespace = other.namespace, "cannot see now whether another operator runs");
                sighting.could_not_look();
            }
        }
        let life = Some(sighting.life(now));
        std::mem::replace(told, life.clone()) != life
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<ManagedBy, Seen>> {
        lock(&self.seen)
    }
}
