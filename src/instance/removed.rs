//! The consequences of the removal of a resource: other claimants of its instance are reconciled, and the instance may have become
//! unmanaged.

use cortecs_resources::{instance::DeletionPolicy, key::ObjectKey};
use cortecs_rules::{
    facts::{fleet_key::FleetKey, home::fleet_of},
    ledger::entry::Entry,
};

use super::{context::Context, settle};

/// Handles the entries that the book has removed. Call this without the lock of the book.
pub fn handle(context: &Context, removed: &[Entry]) {
    for entry in removed {
        set_idle(context, &ObjectKey::of(&*entry.resource));
        settle::removed(context, entry);
        if let Some(instance) = LeftInstance::of(entry) {
            instance.handle(context);
        }
    }
}

/// Notes that no fleet lists for the resource any more.
pub fn set_idle(context: &Context, key: &ObjectKey) {
    context.directory.set_busy(key, None);
}

/// The instance of a removed resource.
#[derive(Debug, PartialEq, Eq)]
struct LeftInstance {
    fleet: FleetKey,
    id: String,
    /// The instance may still exist.
    may_exist: bool,
}

impl LeftInstance {
    fn of(entry: &Entry) -> Option<Self> {
        let status = entry.resource.status.as_ref()?;
        let home = status.account.as_ref()?;
        Some(Self {
            fleet: fleet_of(home),
            id: status.instance_id.clone()?,
            may_exist: !entry.memory.released
                || entry.resource.spec.deletion_policy != DeletionPolicy::Delete,
        })
    }

    /// Reconciles the other claimants, and shows the instance as unmanaged in the account's status.
    fn handle(self, context: &Context) {
        let claimants: Vec<ObjectKey> = {
            let book = context.book.lock();
            let claimants = book.present_and_future_claimants(&self.fleet.api_url, &self.id);
            claimants.cloned().collect()
        };
        claimants
            .into_iter()
            .for_each(|key| context.watches.add(key));
        let fleet = context.directory.fleet(&self.fleet);
        if let Some(fleet) = fleet.filter(|_| self.may_exist) {
            tracing::warn!(
                instanceId = self.id,
                "a resource was removed and its instance may still run"
            );
            fleet.claims_changed();
        }
    }
}
