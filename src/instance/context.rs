//! The fields that all reconciles of instances share.

use std::{collections::BTreeSet, sync::Arc};

use cortecs_resources::{account::ManagedBy, key::ObjectKey};
use cortecs_rules::instance::input::Settings;
use futures::future::BoxFuture;
use kube::Client;

use super::{history::History, spending::Spending};
use crate::{
    catalog::{Catalog, FreeHardware},
    fleet::directory::Directory,
    instance::shared_book::SharedBook,
    kubernetes::{events::Events, queue::Watches, scope::WatchedNamespaces},
    leadership::Leadership,
    serve::metrics::Metrics,
};

/// Called right after each side effect, before its outcome is recorded: tests end the process here.
pub type EffectHook = Arc<dyn Fn(&'static str) -> BoxFuture<'static, ()> + Send + Sync>;

/// The fields that all reconciles of instances share.
pub struct Context {
    pub client: Client,
    pub book: SharedBook,
    pub directory: Directory,
    pub catalog: Catalog,
    pub free_hardware: FreeHardware,
    pub leadership: Leadership,
    pub settings: Settings,
    /// The only resources to reconcile, where not all of them are.
    pub targets: Option<BTreeSet<ObjectKey>>,
    pub metrics: Metrics,
    pub events: Events,
    pub watches: Arc<Watches>,
    /// The queues of accounts.
    pub accounts: Arc<Watches>,
    pub spending: Arc<Spending>,
    /// This operator, as `status.managedBy` names it.
    pub this_operator: ManagedBy,
    pub default_account: Option<ObjectKey>,
    pub namespaces: WatchedNamespaces,
    pub history: History,
    /// Locked during a quorum read.
    pub quorum: tokio::sync::Mutex<()>,
    /// A reconcile has a permit except while it waits for the Cortecs API, so a slow API does not delay other resources.
    pub workers: tokio::sync::Semaphore,
    pub effects: Option<EffectHook>,
}

impl Context {
    /// Call this right after each side effect.
    pub async fn effect_happened(&self, what: &'static str) {
        if let Some(hook) = &self.effects {
            hook(what).await;
        }
    }
}
