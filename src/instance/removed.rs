//! What a resource that is gone leaves: an instance that may be nobody's, others that claim it too, and those who waited with it.

use cortecs_resources::{instance::DeletionPolicy, key::ObjectKey};
use cortecs_rules::{
    facts::{fleet_key::FleetKey, home::fleet_of},
    ledger::book::Entry,
};

use super::context::Context;

/// To be called for whatever the book gives back as gone, however that was learned. Not under the book's lock.
pub fn follow(context: &Context, went: &[Entry]) {
    for entry in went {
        forget(context, &ObjectKey::of(&*entry.resource));
        if let Some(left) = Left::by(entry) {
            left.tell(context);
        }
    }
}

/// The resource is gone: nothing is in progress for it any more.
pub fn forget(context: &Context, key: &ObjectKey) {
    context.directory.set_busy(key, None);
}

/// What a resource that is gone had.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    fleet: FleetKey,
    id: String,
    /// It may be there still, and be nobody's.
    unowned: bool,
}

impl Left {
    fn by(entry: &Entry) -> Option<Self> {
        let status = entry.resource.status.as_ref()?;
        let home = status.account.as_ref()?;
        Some(Self {
            fleet: fleet_of(home),
            id: status.instance_id.clone()?,
            unowned: !entry.memory.released
                || entry.resource.spec.deletion_policy != DeletionPolicy::Delete,
        })
    }

    /// Those who claim it too look at it again, and the account shows at once what nobody owns any more.
    fn tell(self, context: &Context) {
        let heirs: Vec<ObjectKey> = {
            let book = context.book.lock();
            let heirs = book.present_and_future_claimants(&self.fleet.api_url, &self.id);
            heirs.cloned().collect()
        };
        heirs.into_iter().for_each(|key| context.watches.add(key));
        let fleet = context.directory.fleet(&self.fleet);
        if let Some(fleet) = fleet.filter(|_| self.unowned) {
            tracing::warn!(
                instanceId = self.id,
                "a resource went and left its instance"
            );
            fleet.claims_changed();
        }
    }
}
