//! Which of several installed operators manages an account, decided from `status.managedBy`. No I/O, no clock.
//!
//! Each has a Lease of its own, in its own namespace, so their Leases do not keep them from each other. `status.managedBy` does: it
//! is written under the resourceVersion that was read, so one operator writes it, and the others leave the account and what uses
//! it alone. It counts as long as the Lease of the operator that it names is renewed.

use std::time::Duration;

use cortecs_clock::Moment;
use cortecs_resources::account::ManagedBy;

use crate::lease::{LeaseObservation, LeaseRecord, LeaseStep, decide_lease};

/// How long an operator must have been gone until another one takes its accounts: longer than a restart.
pub const TAKE_OVER_AFTER: Duration = Duration::from_secs(60);

/// The state of another operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// The state is not known yet.
    Unknown,
    /// The operator runs, or ran a moment ago.
    Runs,
    /// The operator has been gone for a while.
    Gone,
    /// Whether it runs cannot be seen.
    Unseen(String),
}

/// Which operator manages an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manager {
    /// This operator, and its status says so.
    Us,
    /// None, or one that is gone or was replaced: this operator will, as soon as the status says so.
    Free,
    /// Another one.
    Other(Other),
}

/// Another operator manages the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Where it runs.
    pub namespace: String,
    pub why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The annotation `cortecs.ai/operator` names it.
    Assigned,
    /// The status names it, and its Lease has not been looked at yet.
    Unchecked,
    /// The status names it, and it runs.
    Runs,
    /// The status names it, and whether it runs cannot be seen.
    Unseen(String),
}

/// Decides for the operator `us` which operator manages an account. `assigned` is the namespace that a person named; `life` is of the
/// operator that `managed_by` names.
pub fn decide_manager(
    us: &ManagedBy,
    managed_by: Option<&ManagedBy>,
    assigned: Option<&str>,
    life: Life,
) -> Manager {
    let is_us = managed_by == Some(us);
    match assigned {
        Some(namespace) if namespace != us.namespace => {
            return other(namespace, Why::Assigned);
        }
        Some(_) if is_us => return Manager::Us,
        Some(_) => return Manager::Free,
        None => {}
    }
    match managed_by {
        None => Manager::Free,
        // It may take part in the election now, or no longer.
        Some(by) if by.namespace == us.namespace => match is_us {
            true => Manager::Us,
            false => Manager::Free,
        },
        Some(by) => match life {
            Life::Gone => Manager::Free,
            Life::Unknown => other(&by.namespace, Why::Unchecked),
            Life::Runs => other(&by.namespace, Why::Runs),
            Life::Unseen(why) => other(&by.namespace, Why::Unseen(why)),
        },
    }
}

fn other(namespace: &str, why: Why) -> Manager {
    let namespace = namespace.to_owned();
    Manager::Other(Other { namespace, why })
}

impl Other {
    /// Whether two operators look after the account and no annotation says which of them should.
    pub fn is_contest(&self) -> bool {
        matches!(self.why, Why::Runs | Why::Unseen(_))
    }

    /// The message for people, with the remedies. `us` is this operator's namespace.
    pub fn explain(&self, us: &str) -> String {
        let Self { namespace, why } = self;
        match why {
            Why::Assigned => format!(
                "the annotation cortecs.ai/operator gives this account to the operator in namespace {namespace}: the one in {us} \
                 leaves it, and the instances that use it, alone"
            ),
            Why::Unchecked => format!(
                "the status names the operator in namespace {namespace} as the manager of this account: the operator in {us} is finding out whether that one runs"
            ),
            Why::Runs => format!(
                "the operator in namespace {namespace} manages this account: the one in {us} leaves it, and the instances that use \
                 it, alone. Give the two different --watch-namespaces, uninstall one, or name one in the annotation \
                 cortecs.ai/operator"
            ),
            Why::Unseen(problem) => format!(
                "the status names the operator in namespace {namespace} as the manager of this account, and whether it runs cannot be seen ({problem}): \
                 the one in {us} leaves it, and the instances that use it, alone. If it does not run any more, annotate the account \
                 with cortecs.ai/operator={us}"
            ),
        }
    }
}

/// The observations of another operator's Lease.
#[derive(Clone, Debug, Default)]
pub struct Sighting {
    observed: LeaseObservation,
    /// Since when the Lease has had no holder.
    free_since: Option<Moment>,
    problem: Option<String>,
    looked: bool,
}

impl Sighting {
    /// A read showed this; `None`: there is no such Lease.
    pub fn saw(&mut self, record: Option<LeaseRecord>, now: Moment) {
        self.observed.saw(record, now);
        self.problem = None;
        self.looked = true;
        self.free_since = match decide_lease(&self.observed, now, "") {
            LeaseStep::Acquire => self.free_since.or(Some(now)),
            _ => None,
        };
    }

    /// The Lease may not be read.
    pub fn may_not_look(&mut self, problem: String) {
        *self = Self {
            problem: Some(problem),
            looked: true,
            ..Self::default()
        };
    }

    /// A read failed: that no renewal was seen proves nothing.
    pub fn could_not_look(&mut self) {
        self.free_since = None;
    }

    pub fn life(&self, now: Moment) -> Life {
        match (&self.problem, self.free_since) {
            (Some(problem), _) => Life::Unseen(problem.clone()),
            (None, Some(since)) if now.since(since) >= TAKE_OVER_AFTER => Life::Gone,
            (None, _) if !self.looked => Life::Unknown,
            (None, _) => Life::Runs,
        }
    }
}

#[cfg(test)]
#[path = "manager_tests.rs"]
mod tests;
