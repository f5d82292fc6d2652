//! The counts of a run, and their table.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

/// The most findings of a kind that are printed. The report has all.
const PRINTED: usize = 20;

/// The counts of one lane, or of all lanes.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) processes: u64,
    pub(super) kills: u64,
    pub(super) leaders_killed: u64,
    pub(super) pauses: u64,
    pub(super) leaders_paused: u64,
    pub(super) terminated: u64,
    /// Processes that were paused longer than their Lease, and ended without acting.
    pub(super) noticed: u64,
    /// Calls that a process decided on before a pause, and sent after it.
    pub(super) late: u64,
    /// Processes that ended because they could not renew the Lease in time.
    pub(super) gave_up: u64,
    pub(super) created: u64,
    pub(super) changed: u64,
    pub(super) deleted: u64,
    pub(super) requests: u64,
    pub(super) asked: u64,
    pub(super) started: u64,
    pub(super) intents: u64,
    pub(super) voided: u64,
    pub(super) restarts: u64,
    pub(super) left_stopped: u64,
    pub(super) left_orphaned: u64,
    /// Starts that a person has resolved by the annotation, and those that are still to be resolved so.
    pub(super) answered: u64,
    pub(super) unresolved: u64,
    /// What the API has billed for instances of resources, in EUR.
    pub(super) billed: f64,
    /// Instances of which a run ended before the operator knew its price.
    pub(super) unpriced: u64,
    pub(super) samples: u64,
    /// The time from the last fault until all resources had settled.
    pub(super) settled: Duration,
    pub(super) faults: BTreeMap<String, u64>,
    pub(super) duplicates: Vec<String>,
    pub(super) leaks: Vec<String>,
    pub(super) stuck: Vec<String>,
    /// All other findings.
    pub(super) wrong: Vec<String>,
}

impl Tally {
    pub(super) fn wrong(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// All findings.
    pub(super) fn findings(&self) -> Vec<&String> {
        let kinds = [&self.duplicates, &self.leaks, &self.stuck, &self.wrong];
        kinds.into_iter().flatten().collect()
    }

    pub(super) fn passed(&self) -> bool {
        self.findings().is_empty()
    }

    pub(super) fn add(&mut self, lane: &str, other: Self) {
        for (sum, more) in [
            (&mut self.processes, other.processes),
            (&mut self.kills, other.kills),
            (&mut self.leaders_killed, other.leaders_killed),
            (&mut self.pauses, other.pauses),
            (&mut self.leaders_paused, other.leaders_paused),
            (&mut self.terminated, other.terminated),
            (&mut self.noticed, other.noticed),
            (&mut self.late, other.late),
            (&mut self.gave_up, other.gave_up),
            (&mut self.created, other.created),
            (&mut self.changed, other.changed),
            (&mut self.deleted, other.deleted),
            (&mut self.requests, other.requests),
            (&mut self.asked, other.asked),
            (&mut self.started, other.started),
            (&mut self.intents, other.intents),
            (&mut self.voided, other.voided),
            (&mut self.restarts, other.restarts),
            (&mut self.left_stopped, other.left_stopped),
            (&mut self.left_orphaned, other.left_orphaned),
            (&mut self.answered, other.answered),
            (&mut self.unresolved, other.unresolved),
            (&mut self.unpriced, other.unpriced),
            (&mut self.samples, other.samples),
        ] {
            *sum += more;
        }
        self.billed += other.billed;
        self.settled = self.settled.max(other.settled);
        for (kind, count) in other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        for (all, more) in [
            (&mut self.duplicates, other.duplicates),
            (&mut self.leaks, other.leaks),
            (&mut self.stuck, other.stuck),
            (&mut self.wrong, other.wrong),
        ] {
            all.extend(more.into_iter().map(|found| format!("{lane}: {found}")));
        }
    }

    /// The table of the counts, and the findings.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        let mut row = |what: &str, value: String| {
            let _ = writeln!(text, "  {what:<44} {value}");
        };
        row(
            "kills (SIGKILL)",
            format!("{}, {} of them the leader", self.kills, self.leaders_killed),
        );
        row(
            "pauses (SIGSTOP)",
            format!(
                "{}, {} of them the leader",
                self.pauses, self.leaders_paused
            ),
        );
        row(
            "ended on waking without their lease",
            self.noticed.to_string(),
        );
        row("sent on waking, checked before", self.late.to_string());
        row("terminated (SIGTERM)", self.terminated.to_string());
        row(
            "ended because the lease was not renewed",
            self.gave_up.to_string(),
        );
        row("processes", self.processes.to_string());
        row(
            "resources created, changes, deletions",
            format!("{}, {}, {}", self.created, self.changed, self.deleted),
        );
        row("requests to the API", self.requests.to_string());
        row(
            "starts: written ahead, asked for, effective",
            format!("{}, {}, {}", self.intents, self.asked, self.started),
        );
        row("starts given up (void)", self.voided.to_string());
        row("restarts", self.restarts.to_string());
        row(
            "left stopped, as their policy says",
            self.left_stopped.to_string(),
        );
        row(
            "left as they were, as their policy says",
            self.left_orphaned.to_string(),
        );
        row(
            "starts that a person had to settle",
            format!("{}, and {} left", self.answered, self.unresolved),
        );
        let billed = format!("{:.2} EUR, {} without a price", self.billed, self.unpriced);
        row("billed for resources", billed);
        row("looks at what is billed", self.samples.to_string());
        row(
            "settled after the last fault",
            format!("{:.0} s", self.settled.as_secs_f64()),
        );
        let faults: u64 = self.faults.values().sum();
        row("faults", faults.to_string());
        for (kind, count) in &self.faults {
            row(&format!("  {kind}"), count.to_string());
        }
        row("duplicates", self.duplicates.len().to_string());
        row("leaks", self.leaks.len().to_string());
        row("stuck", self.stuck.len().to_string());
        row("otherwise wrong", self.wrong.len().to_string());
        for found in [&self.duplicates, &self.leaks, &self.stuck, &self.wrong] {
            for line in found.iter().take(PRINTED) {
                let _ = writeln!(text, "  ! {line}");
            }
        }
        text
    }
}
