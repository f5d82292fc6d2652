//! Which of several installed operators manages an account, decided from `status.managedBy`. No I/O, no clock.
//!
//! Each has a Lease of its own, in its own namespace, so their Leases do not keep them from each other. `status.managedBy` does: it
//! is written under the resourceVersion that was read, so one operator writes it, and the others leave the account and what uses
//! it alone. It counts until a person names another operator: from afar an operator that is cut off looks like one that is gone.

use cortecs_resources::account::ManagedBy;

/// Another operator manages the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Where it runs.
    pub namespace: String,
    /// Whether the annotation `cortecs.ai/operator` names it. Otherwise the status alone does.
    pub is_assigned: bool,
}

/// The other operator that manages an account, decided for the operator in the namespace `us`. `managed_by` is the namespace that the
/// status names, `assigned` the one that a person named. None: this operator manages the account as soon as the status says so.
pub fn other_manager(us: &str, managed_by: Option<&str>, assigned: Option<&str>) -> Option<Other> {
    let namespace = assigned.or(managed_by)?;
    (namespace != us).then(|| Other {
        namespace: namespace.to_owned(),
        is_assigned: assigned.is_some(),
    })
}

/// Whether a process in the namespace `us` that starts nothing may act for the operator that is installed there, as that operator holds a
/// Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The account is that operator's, or no operator's: then that operator would take it, and nobody else acts before it is taken.
    Ours,
    /// Another operator manages the account.
    Others(Other),
    /// That operator acts without a Lease: nobody can tell whether it runs.
    NotElected,
    /// A person gave the account to that operator. The status still names another one, which is in the
    /// namespace given here and acts until it sees that.
    Moving(String),
}

/// The standing of an account. `managed_by` and `assigned` as for [`other_manager`].
pub fn standing(us: &str, managed_by: Option<&ManagedBy>, assigned: Option<&str>) -> Standing {
    let named = managed_by.map(|manager| manager.namespace.as_str());
    if let Some(other) = other_manager(us, named, assigned) {
        return Standing::Others(other);
    }
    match managed_by {
        Some(manager) if manager.namespace != us => Standing::Moving(manager.namespace.clone()),
        Some(manager) if manager.lease.is_none() => Standing::NotElected,
        Some(_) | None => Standing::Ours,
    }
}

impl Other {
    /// Whether no annotation says which operator should manage the account.
    pub fn is_contest(&self) -> bool {
        !self.is_assigned
    }

    /// The message for people, with the remedies. `us` is this operator's namespace.
    pub fn explain(&self, us: &str) -> String {
        let namespace = &self.namespace;
        if self.is_assigned {
            return format!(
                "the annotation cortecs.ai/operator gives this account to the operator in namespace {namespace}: the one in {us} \
                 leaves it, and the instances that use it, alone"
            );
        }
        format!(
            "the operator in namespace {namespace}, which status.managedBy names, manages this account: the one in {us} leaves it, \
             and the instances that use it, alone. If that operator does not run any more, annotate the account with \
             cortecs.ai/operator={us}. If both run, give them different --watch-namespaces, or uninstall one"
        )
    }
}

#[cfg(test)]
#[path = "manager_tests.rs"]
mod tests;
