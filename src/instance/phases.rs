//! How many resources of each account are in which phase, for the metrics.

use std::collections::{BTreeMap, BTreeSet};

use super::context::Context;
use crate::resources::instance_status::Phase;

/// Sets the gauge of resources by account and phase. `counted` are the accounts that had resources the last time.
pub fn count_phases(context: &Context, counted: &mut BTreeSet<String>) {
    let mut counts: BTreeMap<String, BTreeMap<&'static str, u64>> = counted
        .iter()
        .map(|account| (account.clone(), BTreeMap::new()))
        .collect();
    for (_, entry) in context.book.lock().iter() {
        let Some(account) = context.wakes.account_of(&entry.resource) else {
            continue;
        };
        let known = context.directory.account(&account.namespace, &account.name);
        if known.is_none_or(|known| known.state.is_elsewhere()) {
            continue;
        }
        let phase = entry.resource.status.as_ref().and_then(|s| s.phase);
        let phases = counts.entry(account.to_string()).or_default();
        *phases
            .entry(phase.unwrap_or(Phase::Pending).as_str())
            .or_default() += 1;
    }
    counted.retain(|account| counts.get(account).is_some_and(|phases| !phases.is_empty()));
    for (account, phases) in counts {
        if !phases.is_empty() {
            counted.insert(account.clone());
        }
        context.metrics.set_instances(&account, phases);
    }
}
