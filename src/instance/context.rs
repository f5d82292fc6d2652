//! What the controller of instances works with.

use std::sync::Arc;

use cortecs_resources::key::ObjectKey;
use cortecs_rules::instance::input::Settings;
use futures::future::BoxFuture;
use kube::Client;

use super::history::History;
use crate::{
    catalog::Catalog,
    fleet::directory::Directory,
    instance::shared_book::SharedBook,
    kubernetes::{events::Events, queue::Watches, scope::WatchedNamespaces},
    leadership::{Leadership, peers::Installs},
    serve::metrics::Metrics,
};

/// Is told of each side effect right after it happened, before its outcome is recorded anywhere: tests end the process here.
pub type EffectHook = Arc<dyn Fn(&'static str) -> BoxFuture<'static, ()> + Send + Sync>;

/// What every reconcile of an instance shares.
pub struct Context {
    pub client: Client,
    pub book: SharedBook,
    pub directory: Directory,
    pub catalog: Catalog,
    pub leadership: Leadership,
    pub settings: Settings,
    pub metrics: Metrics,
    pub events: Events,
    pub watches: Arc<Watches>,
    pub installs: Arc<Installs>,
    pub default_account: Option<ObjectKey>,
    pub namespaces: WatchedNamespaces,
    pub history: History,
    /// One quorum read serves all who ask while it is awaited.
    pub quorum: tokio::sync::Mutex<()>,
    /// Who works on a resource holds one; who waits for the API does not, so that a slow one keeps nobody else from work.
    pub workers: tokio::sync::Semaphore,
    pub effects: Option<EffectHook>,
}

impl Context {
    /// To be called right after a side effect.
    pub async fn effect_happened(&self, what: &'static str) {
        if let Some(hook) = &self.effects {
            hook(what).await;
        }
    }
}
