//! Part of the directory: what the status of each account records of the resources that are gone.

use std::sync::Arc;

use cortecs_resources::{CortecsAccount, key::ObjectKey};
use cortecs_rules::{cost::bill::Recorded, facts::fleet_key::FleetKey};

use super::directory::Directory;

/// An account that this operator manages.
pub struct Spender {
    pub account: ObjectKey,
    pub recorded: Arc<Recorded>,
    pub fleet: Option<FleetKey>,
}

impl Directory {
    /// Takes over the newest status of an account.
    pub(crate) fn record_spent(&self, account: &CortecsAccount) {
        let mut state = self.state();
        let Some(record) = state.accounts.get_mut(&ObjectKey::of(account)) else {
            return;
        };
        let recorded = account.status.as_ref().map(Recorded::of);
        let recorded = recorded.unwrap_or_default();
        if *record.recorded != recorded {
            record.recorded = Arc::new(recorded);
        }
    }

    /// What the status of the account records; `None` if there is no such account, or another operator manages it.
    pub fn recorded(&self, account: &ObjectKey) -> Option<Arc<Recorded>> {
        let state = self.state();
        let record = state.accounts.get(account)?;
        (!record.entry.state.is_elsewhere()).then(|| Arc::clone(&record.recorded))
    }

    /// The accounts that this operator manages.
    pub fn spenders(&self) -> Vec<Spender> {
        let state = self.state();
        let accounts = state.accounts.iter();
        let own = accounts.filter(|(_, record)| !record.entry.state.is_elsewhere());
        own.map(|(account, record)| Spender {
            account: account.clone(),
            recorded: Arc::clone(&record.recorded),
            fleet: record.fleet.clone(),
        })
        .collect()
    }
}
