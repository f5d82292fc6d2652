//! An account as other controllers see it.

use cortecs_resources::{
    account::{CortecsAccountSpec, Hold, ManagedBy},
    reason::Reason,
    stop_all::StopAll,
};

use super::fleet_key::FleetKey;

/// An account, as far as other controllers need it.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountEntry {
    pub namespace: String,
    pub name: String,
    pub spec: CortecsAccountSpec,
    /// The account is being deleted: stops and deletes go on, nothing is started.
    pub deleting: bool,
    /// Its hold, if it is on hold.
    pub hold: Option<Hold>,
    /// What its mode has ordered to stop.
    pub stop_all: Option<StopAll>,
    /// The operator that its status names.
    pub managed_by: Option<ManagedBy>,
    /// Why the account cannot be decoded as a whole: nothing is started with it.
    pub unreadable: Option<String>,
    pub state: AccountState,
}

/// Whether an account can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccountState {
    /// The account was not checked yet.
    #[default]
    Pending,
    /// The account's fleet is there and the credentials have not been refused.
    Usable(FleetKey),
    /// A person must act, unless it [`is passing`](Self::is_passing).
    Unusable {
        /// The condition's reason. Of [`Reason::ManagedElsewhere`] there is no condition.
        reason: Reason,
        message: String,
    },
}

impl AccountState {
    /// Whether the state is expected to change by itself.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Pending => true,
            Self::Usable(_) => false,
            Self::Unusable { reason, .. } => matches!(
                reason,
                Reason::SecretUnreadable | Reason::CredentialsUnverified
            ),
        }
    }

    /// Whether another operator manages the account.
    pub fn is_elsewhere(&self) -> bool {
        matches!(
            self,
            Self::Unusable {
                reason: Reason::ManagedElsewhere,
                ..
            }
        )
    }

    /// Whether the Secret keeps it from being usable: people often create it a moment later.
    pub fn awaits_secret(&self) -> bool {
        matches!(
            self,
            Self::Unusable {
                reason: Reason::SecretNotFound
                    | Reason::SecretForbidden
                    | Reason::SecretInvalid
                    | Reason::SecretUnreadable,
                ..
            }
        )
    }
}
