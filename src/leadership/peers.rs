//! Whether the other operators that accounts name as their managers still run. Without such accounts no Lease is read.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use cortecs_clock as clock;
use cortecs_resources::account::ManagedBy;
use cortecs_rules::account::manager::{Life, Sighting};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use tokio::sync::Notify;

use super::lease_object::record;
use crate::kubernetes::client::bounded;
use crate::mutex::lock;

/// How often the Leases of other operators are read.
const READ_INTERVAL: Duration = Duration::from_secs(5);
/// The most other operators whose Leases are read. Of further ones it is not known whether they run.
const MAX_PEERS: usize = 16;

/// This operator and its peers: the other operators that accounts name.
pub struct Installs {
    this_operator: ManagedBy,
    client: Client,
    peers: Mutex<BTreeMap<ManagedBy, Peer>>,
    new_peer: Notify,
}

#[derive(Default)]
struct Peer {
    sighting: Sighting,
    /// The result of the last read.
    last: Option<Life>,
}

impl Installs {
    pub fn new(this_operator: ManagedBy, client: Client) -> Self {
        Self {
            this_operator,
            client,
            peers: Mutex::default(),
            new_peer: Notify::new(),
        }
    }

    /// This operator, as `status.managedBy` names it.
    pub fn this_operator(&self) -> &ManagedBy {
        &self.this_operator
    }

    /// Whether `manager` runs, as far as known. Its Lease is read from now on, as long as an account names it.
    pub fn life(&self, manager: &ManagedBy) -> Life {
        if manager.namespace == self.this_operator.namespace {
            return Life::Unknown;
        }
        if manager.lease.is_none() {
            return Life::Unseen("that operator runs without leader election".to_owned());
        }
        let mut peers = self.peers();
        if let Some(known) = peers.get(manager) {
            return known.sighting.life(clock::moment());
        }
        if peers.len() >= MAX_PEERS {
            return Life::Unseen(format!(
                "accounts name more than {MAX_PEERS} other operators"
            ));
        }
        peers.insert(manager.clone(), Peer::default());
        self.new_peer.notify_one();
        Life::Unknown
    }

    /// Reads the Leases of all peers regularly; never completes. `named` returns the operators that accounts still name. `on_change`
    /// is called when a peer has started or ended.
    pub(crate) async fn watch(&self, named: impl Fn() -> Vec<ManagedBy>, on_change: impl Fn()) {
        loop {
            let known: Vec<ManagedBy> = {
                let named = named();
                let mut peers = self.peers();
                peers.retain(|other, _| named.contains(other));
                peers.keys().cloned().collect()
            };
            if known.is_empty() {
                self.new_peer.notified().await;
                continue;
            }
            let mut changed = false;
            for other in known {
                changed |= self.read(&other).await;
            }
            if changed {
                on_change();
            }
            tokio::select! {
                () = tokio::time::sleep(READ_INTERVAL) => {}
                () = self.new_peer.notified() => {}
            }
        }
    }

    /// Reads the Lease of a peer. Whether its life has changed.
    async fn read(&self, other: &ManagedBy) -> bool {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), &other.namespace);
        let name = other.lease.as_deref().unwrap_or_default();
        let read = bounded("read the Lease of another operator", leases.get_opt(name)).await;
        let now = clock::moment();
        let mut peers = self.peers();
        let Some(Peer { sighting, last }) = peers.get_mut(other) else {
            return false;
        };
        match read {
            Ok(lease) => sighting.saw(lease.as_ref().map(record), now),
            Err(error) if error.is_forbidden() => sighting.may_not_look(error.to_string()),
            Err(error) => {
                tracing::debug!(%error, namespace = other.namespace, "the Lease of another operator cannot be read now");
                sighting.could_not_look();
            }
        }
        let life = Some(sighting.life(now));
        std::mem::replace(last, life.clone()) != life
    }

    fn peers(&self) -> MutexGuard<'_, BTreeMap<ManagedBy, Peer>> {
        lock(&self.peers)
    }
}
