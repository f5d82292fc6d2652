//! What other controllers see of an account.

use cortecs_resources::account::{CortecsAccountSpec, Hold, ManagedBy};

use super::fleet_key::FleetKey;

/// An account, as far as other controllers care.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountEntry {
    pub namespace: String,
    pub name: String,
    pub spec: CortecsAccountSpec,
    /// It is being deleted: stops and deletes go on, nothing is started.
    pub deleting: bool,
    /// It holds itself.
    pub hold: Option<Hold>,
    /// The operator that its status names.
    pub managed_by: Option<ManagedBy>,
    pub state: AccountState,
}

/// Whether an account can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AccountState {
    /// Not looked at yet.
    #[default]
    Pending,
    /// Its fleet is there and the credentials have not been refused.
    Usable(FleetKey),
    /// A person must act, unless it [`is passing`](Self::is_passing).
    Unusable {
        /// The condition's reason: `ApiUrlNotAllowed`, `ApiUrlInvalid`, `SecretNotFound`, `SecretForbidden`, `SecretInvalid`,
        /// `CredentialsInvalid`, or one that is passing: [`SECRET_UNREADABLE`], [`CREDENTIALS_UNVERIFIED`]; or
        /// [`MANAGED_ELSEWHERE`], which no status shows.
        reason: &'static str,
        message: String,
    },
}

/// Another operator manages it: it and what uses it are left alone.
pub const MANAGED_ELSEWHERE: &str = "ManagedElsewhere";

/// The Secret cannot be read at the moment.
pub const SECRET_UNREADABLE: &str = "SecretUnreadable";
/// The API cannot be asked about the credentials at the moment.
pub const CREDENTIALS_UNVERIFIED: &str = "CredentialsUnverified";

impl AccountState {
    /// Whether it is expected to change by itself.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Pending => true,
            Self::Usable(_) => false,
            Self::Unusable { reason, .. } => {
                matches!(*reason, SECRET_UNREADABLE | CREDENTIALS_UNVERIFIED)
            }
        }
    }

    /// Whether another operator manages it.
    pub fn is_elsewhere(&self) -> bool {
        matches!(self, Self::Unusable { reason, .. } if *reason == MANAGED_ELSEWHERE)
    }

    /// Whether the Secret keeps it from being usable: people often create it a moment later.
    pub fn awaits_secret(&self) -> bool {
        matches!(self, Self::Unusable { reason, .. } if reason.starts_with("Secret"))
    }
}
