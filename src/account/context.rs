//! What the controller of accounts works with.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use cortecs_clock::Backoff;
use cortecs_resources::key::ObjectKey;
use cortecs_rules::{account::allowed_hosts::AllowedHosts, pacing::schedule::PollLimits};

use crate::{
    fleet::{
        directory::Directory,
        hooks::{Claims, Listener},
    },
    kubernetes::{events::Events, scope::Namespaces, wake::WakeSet},
    leadership::{Leadership, peers::Installs},
    serve::metrics::Metrics,
};
/// How often each account is looked at without an event. Most looks call nobody.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_secs(60);

/// How soon after somebody else's write came first.
pub(crate) const CONFLICT_PAUSE: Duration = Duration::from_secs(1);

/// What the controller works with.
#[derive(Clone)]
pub struct Context {
    pub kube: kube::Client,
    pub directory: Directory,
    pub claims: Arc<dyn Claims>,
    pub listener: Arc<dyn Listener>,
    pub allowed_hosts: AllowedHosts,
    pub leadership: Leadership,
    pub metrics: Metrics,
    pub events: Events,
    pub installs: Arc<Installs>,
    pub namespaces: Namespaces,
    /// Accounts reconciled at once.
    pub concurrency: u16,
    /// Bounds each request to the API.
    pub request_timeout: Duration,
    pub limits: PollLimits,
}

/// What the parts of the controller share.
pub(crate) struct Shared {
    pub context: Context,
    pub(crate) wakes: Vec<(Option<String>, Arc<WakeSet>)>,
    pub(crate) backoffs: Mutex<BTreeMap<ObjectKey, Backoff>>,
}

pub(crate) fn wake(wakes: &[(Option<String>, Arc<WakeSet>)], accounts: Vec<ObjectKey>) {
    for (scope, wakes) in wakes {
        let watched = |key: &&ObjectKey| scope.as_ref().is_none_or(|scope| *scope == key.namespace);
        accounts
            .iter()
            .filter(watched)
            .for_each(|key| wakes.wake(key.clone()));
    }
}
