//! Where a resource lives: which account it names, and where its instance or its open start is.
//!
//! Every such question is asked here. `status.account` is the answer for what is bound or open; the spec may name another
//! account by now.

use cortecs_resources::{CortecsInstance, identity::AccountIdentity, key::ObjectKey};

use super::fleet_key::{FleetKey, normalize_api_url};

/// The account that a resource names, or the default one.
pub fn named_account(resource: &CortecsInstance, default: Option<&ObjectKey>) -> Option<ObjectKey> {
    match &resource.spec.account_ref {
        Some(account) => {
            let own = resource.metadata.namespace.clone().unwrap_or_default();
            Some(ObjectKey::new(
                account.namespace.clone().unwrap_or(own),
                &account.name,
            ))
        }
        None => default.cloned(),
    }
}

/// Where the resource's instance, or its open start, lives.
pub fn home(resource: &CortecsInstance) -> Option<&AccountIdentity> {
    resource.status.as_ref()?.account.as_ref()
}

/// The account through which the resource's instance, or its open start, was asked for.
pub fn home_account(resource: &CortecsInstance) -> Option<ObjectKey> {
    home(resource).map(|home| ObjectKey::new(&home.namespace, &home.name))
}

/// The fleet of an account as a status records it.
pub fn fleet_of(home: &AccountIdentity) -> FleetKey {
    FleetKey::new(&home.api_url, home.client_id.as_str())
}

/// Whether an account as a status records it is of this fleet.
pub fn is_in(home: &AccountIdentity, fleet: &FleetKey) -> bool {
    // The operator records URLs in the fleet's spelling, so the URL is hardly ever parsed.
    home.client_id == fleet.client_id
        && (home.api_url == fleet.api_url || normalize_api_url(&home.api_url) == fleet.api_url)
}

/// Whether the resource's instance, or its open start, is in the fleet.
pub fn lives_in(resource: &CortecsInstance, fleet: &FleetKey) -> bool {
    home(resource).is_some_and(|home| is_in(home, fleet))
}

/// Whether the resource's instance, or its open start, was asked for through the account.
pub fn lives_through(resource: &CortecsInstance, account: &ObjectKey) -> bool {
    home(resource)
        .is_some_and(|home| home.namespace == account.namespace && home.name == account.name)
}
