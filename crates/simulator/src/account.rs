//! Accounts of the simulated API.

use std::fmt;

/// A pair of credentials. Client ids of one owner show the same instances and share one balance.
#[derive(Clone, PartialEq, Eq)]
pub struct SimulatedAccount {
    pub client_id: String,
    pub client_secret: String,
    pub owner: String,
}

impl SimulatedAccount {
    /// An account whose owner is its client id.
    pub fn new(client_id: impl Into<String>, client_secret: impl Into<String>) -> Self {
        let client_id = client_id.into();
        Self {
            owner: client_id.clone(),
            client_id,
            client_secret: client_secret.into(),
        }
    }

    /// The same credentials for another owner's instances.
    #[must_use]
    pub fn owned_by(mut self, owner: impl Into<String>) -> Self {
        self.owner = owner.into();
        self
    }
}

impl fmt::Debug for SimulatedAccount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SimulatedAccount")
            .field("client_id", &self.client_id)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}
