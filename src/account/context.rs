//! The fields that all reconciles of accounts share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    time::Duration,
};

use cortecs_clock::{self as clock, Backoff, Moment};
use cortecs_resources::{account::ManagedBy, key::ObjectKey};
use cortecs_rules::{
    account::allowed_hosts::AllowedHosts, ledger::book::Scope, pacing::schedule::PollLimits,
    proxy::Proxies,
};

use crate::{
    fleet::{
        directory::Directory,
        hooks::{Claims, InstanceHooks},
        relay::Relay,
    },
    kubernetes::{events::Events, queue::Watches, scope::WatchedNamespaces},
    leadership::Leadership,
    mutex::lock,
    serve::metrics::Metrics,
};

/// How often each account is reconciled without an event. Most of these reconciles make no call.
pub(super) const RESYNC_INTERVAL: Duration = Duration::from_secs(60);

/// How long an operator has to take an account that a person gave to it: the time of a failover, and more.
pub const HANDOVER_PATIENCE: Duration = Duration::from_secs(60);

/// The pause after a conflict.
pub(super) const CONFLICT_PAUSE: Duration = Duration::from_secs(1);

/// The fields that all reconciles of accounts share.
pub struct AccountController {
    pub client: kube::Client,
    pub directory: Directory,
    pub claims: Arc<dyn Claims>,
    pub instances: Arc<dyn InstanceHooks>,
    pub allowed_hosts: AllowedHosts,
    pub proxies: Proxies,
    pub leadership: Leadership,
    pub metrics: Metrics,
    pub events: Events,
    /// This operator, as `status.managedBy` names it.
    pub this_operator: ManagedBy,
    pub watches: Arc<Watches>,
    pub namespaces: WatchedNamespaces,
    /// Accounts are evaluated, and nothing is written into them.
    pub read_only: bool,
    /// The timeout of each request to the Cortecs API.
    pub request_timeout: Duration,
    pub limits: PollLimits,
    /// How long an operator has to take an account that a person gave to it.
    pub handover_patience: Duration,
    pub state: State,
}

/// The memory of the controller.
#[derive(Default)]
pub struct State {
    backoffs: Mutex<BTreeMap<ObjectKey, Backoff>>,
    /// The namespaces of the operators to which accounts were left, and since when.
    left_to: Mutex<BTreeMap<ObjectKey, (String, Moment)>>,
    /// When the first account was looked at.
    began: OnceLock<Moment>,
    /// The accounts in the list that a watch currently receives.
    listings: Mutex<BTreeMap<Scope, BTreeSet<ObjectKey>>>,
}

impl AccountController {
    /// The observer of a new fleet.
    pub(super) fn relay(&self) -> Arc<Relay> {
        let watches = Arc::clone(&self.watches);
        Arc::new(Relay {
            directory: self.directory.downgrade(),
            claims: Arc::clone(&self.claims),
            instances: Arc::clone(&self.instances),
            accounts: watches,
            metrics: self.metrics.clone(),
        })
    }

    /// Tells the controller of instances that the entry of an account has changed.
    pub(super) fn notify_instances(&self, account: &ObjectKey) {
        self.instances.on_account_changed(account);
    }

    pub(super) fn backoffs(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Backoff>> {
        lock(&self.state.backoffs)
    }

    pub(super) fn left_to(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, (String, Moment)>> {
        lock(&self.state.left_to)
    }

    /// Since when this process looks at accounts.
    pub(super) fn runs_since(&self) -> Moment {
        *self.state.began.get_or_init(clock::moment)
    }

    pub(super) fn listings(&self) -> MutexGuard<'_, BTreeMap<Scope, BTreeSet<ObjectKey>>> {
        lock(&self.state.listings)
    }
}

/// The name of an account's own calls among the calls of resources: no resource can have it.
pub(super) fn in_queues(account: &ObjectKey, calls: &str) -> ObjectKey {
    ObjectKey::new(&account.namespace, format!("{}/{calls}", account.name))
}
