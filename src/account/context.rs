//! What the controller of accounts works with.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use cortecs_clock::Backoff;
use cortecs_resources::key::ObjectKey;
use cortecs_rules::{
    account::allowed_hosts::AllowedHosts, ledger::book::Scope, pacing::schedule::PollLimits,
};

use crate::{
    fleet::{
        directory::Directory,
        hooks::{Claims, InstanceHooks},
        relay::Relay,
    },
    kubernetes::{events::Events, queue::Watches},
    leadership::{Leadership, peers::Installs},
    mutex::lock,
    serve::metrics::Metrics,
};

/// How often each account is looked at without an event. Most looks call nobody.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// How soon after somebody else's write came first.
pub(super) const CONFLICT_PAUSE: Duration = Duration::from_secs(1);

/// What the controller works with.
pub struct AccountController {
    pub client: kube::Client,
    pub directory: Directory,
    pub claims: Arc<dyn Claims>,
    pub instances: Arc<dyn InstanceHooks>,
    pub allowed_hosts: AllowedHosts,
    pub leadership: Leadership,
    pub metrics: Metrics,
    pub events: Events,
    pub installs: Arc<Installs>,
    pub watches: Arc<Watches>,
    /// Bounds each request to the API.
    pub request_timeout: Duration,
    pub limits: PollLimits,
    pub state: State,
}

/// What the controller remembers from one event to the next.
#[derive(Default)]
pub struct State {
    backoffs: Mutex<BTreeMap<ObjectKey, Backoff>>,
    /// The accounts that a watch has shown since it began to list anew.
    listings: Mutex<BTreeMap<Scope, BTreeSet<ObjectKey>>>,
}

impl AccountController {
    /// What a new fleet reports to.
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

    /// Tells that an account's entry has changed.
    pub(super) fn tell(&self, account: &ObjectKey) {
        self.instances.on_account_changed(account);
    }

    pub(super) fn backoffs(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Backoff>> {
        lock(&self.state.backoffs)
    }

    pub(super) fn listings(&self) -> MutexGuard<'_, BTreeMap<Scope, BTreeSet<ObjectKey>>> {
        lock(&self.state.listings)
    }
}
