//! The rules of the start protocol that decisions enforce. All of them are enforced; only the model checker's tests switch one off,
//! to see that the checker finds what the rule is for.

/// A rule of the start protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The finalizer is put on before anything is started.
    FinalizerFirst,
    /// A start's call is made once, whatever its outcome.
    OneCall,
    /// All resources are read by quorum before an instance is bound and before a start is given up.
    QuorumRead,
    /// A start does not know an instance that may be of another open start.
    OthersMayOwn,
    /// One list that lacks an instance does not prove that it is gone.
    Gone,
    /// A restart is written ahead.
    RestartAhead,
    /// A list that lacks what is not known to be gone proves no start to be without effect.
    AbsenceIsDoubted,
    /// A start is not given up before the settle times of equal starts are over.
    EqualStartsSettle,
    /// Open starts are told of an instance before it is let go.
    OpenStartsAreTold,
    /// A start that does not come to an end is overtaken by others.
    StartsAreOvertaken,
    /// A restart whose outcome is not known is open until the settle time has passed, whatever is seen.
    RestartStaysOpen,
    /// What is called for, and nothing shows yet, counts against the account's budget.
    OpenCallsCount,
    /// An instance that is left behind stopped was said to be stopped by an answer about it alone.
    StopProven,
}

/// Which rules are enforced: all of them, outside tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    #[cfg(test)]
    off: Option<Rule>,
}

impl Rules {
    /// Whether this rule is enforced.
    #[cfg(not(test))]
    pub const fn enforce(self, _: Rule) -> bool {
        true
    }

    #[cfg(test)]
    pub fn enforce(self, rule: Rule) -> bool {
        self.off != Some(rule)
    }

    #[cfg(test)]
    pub fn without(rule: Option<Rule>) -> Self {
        Self { off: rule }
    }
}
