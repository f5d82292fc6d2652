//! The parts of the controller of the catalog, and its start.

use std::sync::{Arc, atomic::AtomicBool};

use cortecs_resources::{CortecsHardwareType, CortecsModel, account::ManagedBy, key::ObjectKey};
use cortecs_rules::{catalog::kind::Us, facts::account_entry::AccountState};
use kube::{Api, Client, api::ListParams};
use tokio::{sync::Notify, time::sleep};

use super::{
    intervals::Intervals,
    watch::{ObjectWatch, Watched},
};
use crate::{
    catalog::Catalog,
    fleet::{directory::Directory, hooks::Demand, poll::Fleet},
    kubernetes::{
        client::{KubeError, bounded},
        controller::{ControllerOptions, run as run_controller},
        queue::Watches,
        scope::WatchedNamespaces,
    },
    leadership::Leadership,
    serve::metrics::Metrics,
};

/// Keeps the objects of the catalog as the API of the default account says.
pub struct CatalogController {
    pub(super) parts: Parts,
    pub(super) us: Us,
    pub(super) models: Arc<ObjectWatch<CortecsModel>>,
    pub(super) hardware: Arc<ObjectWatch<CortecsHardwareType>>,
    /// Notified when an object has changed.
    pub(super) changed: Arc<Notify>,
    /// Whether the last write failed, which is said once.
    pub(super) failing: AtomicBool,
}

/// What the controller works with.
pub struct Parts {
    pub client: Client,
    pub directory: Directory,
    pub demand: Arc<dyn Demand>,
    /// The models that the controller of instances has asked for.
    pub cache: Catalog,
    pub leadership: Leadership,
    pub metrics: Metrics,
    /// The account whose API has the catalog.
    pub account: ObjectKey,
    pub this_operator: ManagedBy,
    pub intervals: Intervals,
}

impl CatalogController {
    pub fn new(parts: Parts) -> Arc<Self> {
        let changed = Arc::new(Notify::new());
        let us = Us {
            operator: parts.this_operator.namespace.clone(),
            account: parts.account.clone(),
        };
        Arc::new(Self {
            parts,
            us,
            models: Arc::new(ObjectWatch::new(Arc::clone(&changed))),
            hardware: Arc::new(ObjectWatch::new(Arc::clone(&changed))),
            changed,
            failing: AtomicBool::new(false),
        })
    }

    /// Runs until the shutdown is requested. The watches of `options` are not used: the objects belong to no namespace.
    pub async fn run(&self, options: &ControllerOptions) {
        let options = || ControllerOptions {
            watches: Arc::new(Watches::new(&WatchedNamespaces::default())),
            ..options.clone()
        };
        let (models, hardware) = (options(), options());
        let shutdown = models.shutdown.clone();
        tokio::select! {
            () = shutdown.requested() => return,
            () = self.wait_until_permitted() => {}
        }
        tokio::join!(
            run_controller(&models, Arc::clone(&self.models)),
            run_controller(&hardware, Arc::clone(&self.hardware)),
            async {
                tokio::select! {
                    () = shutdown.requested() => {}
                    _ = self.sync() => {}
                }
            },
        );
    }

    /// Waits until the kinds are installed and the operator may list them. Says once that it waits.
    async fn wait_until_permitted(&self) {
        let mut said = false;
        loop {
            let checked = async {
                self.check::<CortecsModel>().await?;
                self.check::<CortecsHardwareType>().await
            };
            let Err(error) = checked.await else { return };
            if std::mem::replace(&mut said, true) {
                tracing::debug!(%error, "the catalog's objects cannot be listed");
            } else {
                tracing::warn!(
                    %error,
                    "the operator writes no CortecsModel and no CortecsHardwareType, as it cannot list them: install their \
                     definitions and the operator's ClusterRole, or switch the objects off by --catalog-objects=false"
                );
            }
            sleep(self.parts.intervals.retry).await;
        }
    }

    async fn check<K: Watched>(&self) -> Result<(), KubeError> {
        let params = ListParams::default().limit(1);
        let api: Api<K> = Api::all(self.parts.client.clone());
        bounded("list the objects of the catalog", api.list(&params)).await?;
        Ok(())
    }

    /// The fleet of the default account, if this operator manages the account and can use it.
    pub(super) fn fleet(&self) -> Option<Arc<Fleet>> {
        let Parts {
            directory,
            account,
            this_operator,
            ..
        } = &self.parts;
        let entry = directory.account(&account.namespace, &account.name)?;
        let manager = entry.managed_by.as_ref()?;
        match &entry.state {
            AccountState::Usable(key) if manager.namespace == this_operator.namespace => {
                directory.fleet(key)
            }
            _ => None,
        }
    }
}
