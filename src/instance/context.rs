//! What the controller of instances works with.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use kube::Client;

use super::{decide::Settings, history::History, wakes::Wakes};
use crate::{
    account::{book::Book, directory::Directory, installs::Installs},
    catalog::Catalog,
    runtime::{
        config::{NamespacedName, Namespaces},
        events::Events,
        leadership::Leadership,
        metrics::Metrics,
    },
};

/// Is told of each side effect right after it happened, before its outcome is recorded anywhere: tests end the process here.
pub type EffectHook = Arc<dyn Fn(&'static str) -> BoxFuture<'static, ()> + Send + Sync>;

/// The book, shared by everything that claims or asks for claims. Never held across an await.
#[derive(Clone, Debug, Default)]
pub struct SharedBook(Arc<Mutex<Book>>);

impl SharedBook {
    pub fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
    pub wakes: Arc<Wakes>,
    pub installs: Arc<Installs>,
    pub default_account: Option<NamespacedName>,
    pub namespaces: Namespaces,
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
