//! The reasons of conditions.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Defines [`Reason`] with one variant for each word, so that no word can be misspelt or listed twice.
macro_rules! reasons {
    ($($(#[$doc:meta])* $word:ident,)*) => {
        /// The reason of a condition: one variant for each word, named like the word.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $word,)*
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$word,)*];

            /// The word, as in the condition.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => stringify!($word),)*
                }
            }
        }
    };
}

reasons! {
    // `Available` and `WorkersReady` of an instance.
    AllWorkersRun,
    EndpointUsable,
    Failed,
    NotStarted,
    WorkersNotReady,

    // `Ready` of an instance; `Stopped` is also a reason of `Available` and `WorkersReady`.
    DriftAccepted,
    Expired,
    MaxRuntimeReached,
    Running,
    Stopped,
    Suspended,

    // `Reconciling` of an instance.
    Adopting,
    Deleting,
    InstanceMissing,
    Pending,
    Replacing,
    ResolvingRestart,
    ResolvingStart,
    Restarting,
    Restoring,
    Starting,
    Stopping,
    UnknownState,
    WaitingForAccount,
    WaitingForBudget,
    WaitingForCapacity,
    /// Also of an account.
    WaitingForSecret,

    // `Stalled` of an instance.
    AccountChanged,
    AccountHeld,
    AccountNotAllowed,
    AccountNotFound,
    AdoptionNotAllowed,
    /// Also of an account.
    CallRefused,
    Forbidden,
    InstanceClaimed,
    InstanceNotFound,
    ExceedsBudget,
    ExceedsLimit,
    InvalidArguments,
    ProgressDeadlineExceeded,
    StartUnresolved,
    TooManyInstances,

    // `Ready` of an account.
    AllStopped,
    Verified,

    // `Reconciling` of an account.
    CredentialsUnverified,
    InUse,
    SecretUnreadable,
    StoppingAll,
    Verifying,

    // `Stalled` of an account and of an instance.
    ListIncomplete,

    // `Stalled` of an account.
    InsufficientBalance,
    ListRefused,
    MassChange,
    SelectorInvalid,
    StopAllRefused,

    // `Reconciling` of an account and of an instance.
    RetryingAfterError,

    // `Stalled` of an account and of an instance.
    Unreadable,
    WriteRefused,

    // `Stalled` of an account, and of the instances that use it.
    ApiUrlInvalid,
    ApiUrlNotAllowed,
    CredentialsInvalid,
    SecretForbidden,
    SecretInvalid,
    SecretNotFound,

    /// Another operator manages the account. This is the reason of an event; no condition has it.
    ManagedElsewhere,
}

impl Reason {
    /// The reason with this word; `None` if this version does not know the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == word)
    }

    /// The reason of a stored condition; `None` if this version does not know its word.
    pub fn of(condition: &Condition) -> Option<Self> {
        Self::parse(&condition.reason)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_word_is_parsed_as_its_reason() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        }
        let words: HashSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        assert_eq!(Reason::parse("Novelty"), None);
    }
}
