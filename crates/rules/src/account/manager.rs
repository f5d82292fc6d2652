//! Which of several installed operators manages an account, decided from `status.managedBy`. No I/O, no clock.
//!
//! Each has a Lease of its own, in its own namespace, so their Leases do not keep them from each other. `status.managedBy` does: it
//! is written under the resourceVersion that was read, so one operator writes it, and the others leave the account and what uses
//! it alone. It counts until a person names another operator: from afar an operator that is cut off looks like one that is gone.

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
