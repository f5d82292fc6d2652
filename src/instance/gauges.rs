//! The gauges that count the resources of each account by phase, and their open starts and restarts.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cortecs_clock as clock;
use cortecs_resources::{
    instance_status::{CortecsInstanceStatus, Phase},
    transition::TransitionAction,
};
use cortecs_rules::facts::home::named_account;
use jiff::{SignedDuration, Timestamp};

use super::context::Context;
use crate::serve::metrics::OpenStarts;

/// How long after its time a transition counts as overdue.
const OVERDUE: SignedDuration = SignedDuration::from_secs(60);

/// The account label of resources whose account is missing or does not exist.
const NO_ACCOUNT: &str = "none";

/// The counts of one account.
#[derive(Debug, Default)]
struct Counts {
    phases: BTreeMap<&'static str, u64>,
    open: OpenStarts,
    /// Stops that are overdue.
    overdue: u64,
}

/// Sets the gauges of resources by account. `counted` has the accounts with resources at the last call.
pub fn set_gauges(context: &Context, counted: &mut BTreeSet<String>) {
    let now = clock::wall();
    let mut counts: BTreeMap<String, Counts> = counted
        .iter()
        .map(|account| (account.clone(), Counts::default()))
        .collect();
    for (_, entry) in context.book.lock().iter() {
        let account =
            named_account(&entry.resource, context.default_account.as_ref()).and_then(|named| {
                let found = context.directory.account(&named.namespace, &named.name)?;
                Some((named.to_string(), found))
            });
        let name = match account {
            Some((_, found)) if found.state.is_elsewhere() => continue,
            Some((name, _)) => name,
            None => NO_ACCOUNT.to_owned(),
        };
        let counts = counts.entry(name).or_default();
        counts.add(entry.resource.status.as_ref(), now);
    }
    counted.retain(|account| counts.get(account).is_some_and(|c| !c.phases.is_empty()));
    for (account, counts) in counts {
        if !counts.phases.is_empty() {
            counted.insert(account.clone());
        }
        context.metrics.set_instances(&account, counts.phases);
        context.metrics.set_open_starts(&account, counts.open);
        context
            .metrics
            .set_overdue_transitions(&account, counts.overdue);
    }
}

impl Counts {
    fn add(&mut self, status: Option<&CortecsInstanceStatus>, now: Timestamp) {
        let phase = status.and_then(|s| s.phase).unwrap_or(Phase::Pending);
        *self.phases.entry(phase.as_str()).or_default() += 1;
        let next = status.and_then(|s| s.next_transition.as_ref());
        let next = next.filter(|next| next.action == TransitionAction::Stop);
        let is_overdue = next.is_some_and(|next| now.duration_since(next.at) > OVERDUE);
        self.overdue += u64::from(is_overdue);
        let start = status.and_then(|s| Some(s.slot().start.as_ref()?.requested_at));
        let restart = status.and_then(|s| Some(s.slot().restart.as_ref()?.requested_at));
        for requested_at in start.into_iter().chain(restart) {
            // Another machine may have written this time, and its clock may be ahead.
            let age = Duration::try_from(now.duration_since(requested_at));
            self.open.count += 1;
            self.open.age = self.open.age.max(age.unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OPEN_ID: &str = "0198c0de-0000-7000-8000-000000000000";

    #[test]
    fn the_oldest_open_start_counts_and_a_clock_ahead_is_no_age() {
        let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
        let open = |requested_at: &str| -> CortecsInstanceStatus {
            serde_json::from_value(json!({
                "phase": "Starting",
                "journal": { "slots": { "current": {
                    "start": { "id": OPEN_ID, "requestedAt": requested_at, "args": { "modelId": "m" } },
                } } },
            }))
            .unwrap()
        };
        let mut counts = Counts::default();
        counts.add(None, now);
        assert_eq!(counts.open, OpenStarts::default());
        counts.add(Some(&open("2026-01-01T00:12:00Z")), now);
        assert_eq!((counts.open.count, counts.open.age), (1, Duration::ZERO));
        counts.add(Some(&open("2026-01-01T00:01:00Z")), now);
        counts.add(Some(&open("2026-01-01T00:09:00Z")), now);
        assert_eq!(
            (counts.open.count, counts.open.age),
            (3, Duration::from_secs(540))
        );
        assert_eq!(counts.overdue, 0);
        let next = |at: &str| -> CortecsInstanceStatus {
            let next = json!({ "action": "Stop", "at": at, "reason": "Expired" });
            serde_json::from_value(json!({ "phase": "Starting", "nextTransition": next })).unwrap()
        };
        let mut later = Counts::default();
        later.add(Some(&next("2026-01-01T00:09:00Z")), now);
        assert_eq!(later.overdue, 0);
        later.add(Some(&next("2026-01-01T00:08:59Z")), now);
        assert_eq!(later.overdue, 1);
        assert_eq!(counts.phases, [("Pending", 1), ("Starting", 3)].into());
        let restart = json!({ "journal": { "slots": { "current": { "restart": { "id": OPEN_ID, "requestedAt": "2026-01-01T00:00:00Z" } } } } });
        counts.add(Some(&serde_json::from_value(restart).unwrap()), now);
        assert_eq!(
            (counts.open.count, counts.open.age),
            (4, Duration::from_secs(600))
        );
    }
}
