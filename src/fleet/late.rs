//! Part of the directory: late outcomes of starts that were given up, where an account deletes them.

use cortecs_resources::unmanaged::LateStartPolicy;
use cortecs_rules::{account::late_starts::Late, facts::fleet_key::FleetKey};

use super::directory::Directory;

impl Directory {
    /// Whether an account of the fleet deletes late outcomes.
    pub(crate) fn deletes_late(&self, key: &FleetKey) -> bool {
        let state = self.state();
        state
            .members(key)
            .any(|(_, record)| record.entry.spec.late_start_policy == LateStartPolicy::Delete)
    }

    /// What this process has seen and done about late outcomes in the fleet.
    pub(crate) fn late(&self, key: &FleetKey) -> Late {
        let state = self.state();
        let record = state.fleets.get(key);
        record.map(|r| r.late.clone()).unwrap_or_default()
    }

    /// Changes what this process has seen and done about late outcomes in the fleet.
    pub(crate) fn change_late(&self, key: &FleetKey, change: impl FnOnce(&mut Late)) {
        if let Some(record) = self.state().fleets.get_mut(key) {
            change(&mut record.late);
        }
    }
}
