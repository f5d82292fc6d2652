//! Gathers what a decision is taken from, apart from the book: the accounts and the catalog's answer.

use std::sync::Arc;

use cortecs_api::RetryClass;
use cortecs_resources::{
    CortecsInstance, account::NamespacesFrom, annotations, instance_status::AccountIdentity,
    key::ObjectKey, reason::Reason,
};
use cortecs_rules::{
    facts::{
        account_entry::{AccountEntry, AccountState},
        args,
        fleet_key::FleetKey,
        home::named_account,
        memory::FailureKind,
        sealed_id::{self, SealedId},
    },
    instance::input::{Account, AccountView, CatalogAnswer, CatalogProblem, Desired, FleetView},
};
use kube::ResourceExt;
use secrecy::ExposeSecret;

use super::context::Context;
use crate::fleet::poll::Fleet;

/// What was gathered.
pub struct Observed {
    pub view: AccountView,
    /// The fleet of the view, to make calls with.
    pub fleet: Option<Arc<Fleet>>,
    pub model: Option<CatalogAnswer>,
    /// What the annotation with the id is worth.
    pub claim: SealedId,
}

/// Looks at the accounts that concern the resource. Reads from memory but for the labels of its namespace, where an account asks for them.
pub async fn observe(context: &Context, resource: &CortecsInstance) -> Observed {
    let desired = desired(context, resource).await;
    let home = resource.status.as_ref().and_then(|s| s.account.as_ref());
    let key = match (home, &desired) {
        (Some(home), _) => Some(FleetKey::new(&home.api_url, home.client_id.as_str())),
        (None, Desired::Usable(account)) => Some(FleetKey::new(
            &account.identity.api_url,
            account.identity.client_id.as_str(),
        )),
        (None, _) => None,
    };
    let fleet = key.and_then(|key| context.directory.fleet(&key));
    let model = match &desired {
        Desired::Usable(account) => {
            let model_id = args::normalise_model_id(&resource.spec.model_id);
            context
                .catalog
                .cached(&account.identity.api_url, &model_id)
                .map(|answer| {
                    answer.map_err(|error| CatalogProblem {
                        terminal: error.terminal,
                        message: error.message,
                    })
                })
        }
        _ => None,
    };
    let named = named_account(resource, context.default_account.as_ref());
    Observed {
        claim: claim(context, resource, named.as_ref(), fleet.as_deref()),
        view: AccountView {
            named,
            desired,
            fleet: fleet.as_deref().map(|fleet| view_of(context, fleet)),
        },
        fleet,
        model,
    }
}

/// Whether another operator manages the account in which the resource lives, or that it names.
pub fn is_elsewhere(context: &Context, resource: &CortecsInstance) -> bool {
    let home = resource.status.as_ref().and_then(|s| s.account.as_ref());
    let home = home.map(|home| ObjectKey::new(&home.namespace, &home.name));
    let account = home.or_else(|| named_account(resource, context.default_account.as_ref()));
    let entry = account.and_then(|key| context.directory.account(&key.namespace, &key.name));
    entry.is_some_and(|entry| entry.state.is_elsewhere())
}

/// Checks the annotation with the secret that the fleet works with, and with the one that the account's Secret holds now.
fn claim(
    context: &Context,
    resource: &CortecsInstance,
    account: Option<&ObjectKey>,
    fleet: Option<&Fleet>,
) -> SealedId {
    let annotation = resource.annotations().get(annotations::INSTANCE_ID);
    let Some(value) = annotation.filter(|value| sealed_id::is_well_formed(value)) else {
        return SealedId::None;
    };
    let Some(fleet) = fleet else {
        return SealedId::Unchecked;
    };
    let read = account.and_then(|account| context.directory.credentials(account));
    let read = read.filter(|read| read.client_id == fleet.key().client_id);
    let key = ObjectKey::of(resource);
    let proven = [Some(fleet.client().credentials()), read]
        .into_iter()
        .flatten()
        .filter_map(|credentials| sealed_id::Key::derive(credentials.client_secret.expose_secret()))
        .find_map(|secret| secret.verify(&key.namespace, &key.name, value));
    proven.map_or(SealedId::None, SealedId::Proven)
}

async fn desired(context: &Context, resource: &CortecsInstance) -> Desired {
    let Some(key) = named_account(resource, context.default_account.as_ref()) else {
        return Desired::Unusable {
            reason: Reason::AccountNotFound,
            message:
                "no account is named: set spec.accountRef, or give the operator a --default-account"
                    .to_owned(),
        };
    };
    if !context.directory.synced() {
        return Desired::Pending("the accounts are being looked at".to_owned());
    }
    let Some(entry) = context.directory.account(&key.namespace, &key.name) else {
        return Desired::Unusable {
            reason: Reason::AccountNotFound,
            message: format!(
                "there is no CortecsAccount {key}: create it, or correct spec.accountRef"
            ),
        };
    };
    let fleet = match &entry.state {
        AccountState::Pending => {
            return Desired::Pending(format!("account {key} is being looked at"));
        }
        AccountState::Unusable { message, .. } if entry.state.is_passing() => {
            return Desired::Pending(format!("account {key}: {message}"));
        }
        AccountState::Unusable { reason, message } => {
            return Desired::Unusable {
                reason: *reason,
                message: format!("account {key}: {message}"),
            };
        }
        AccountState::Usable(fleet) => fleet,
    };
    if entry.managed_by.as_ref() != Some(context.installs.us()) {
        // Who has written it first may start something with it.
        return Desired::Pending(format!("account {key} is being claimed"));
    }
    let namespace = resource.metadata.namespace.as_deref().unwrap_or_default();
    let allowed = match context.directory.allows(&entry, namespace).await {
        Ok(allowed) => allowed,
        Err(error) => {
            tracing::warn!(%error, account = %key, "cannot tell whether the account may be used");
            return Desired::Pending(error.to_string());
        }
    };
    Desired::Usable(Account {
        identity: AccountIdentity {
            namespace: key.namespace,
            name: key.name,
            api_url: fleet.api_url.clone(),
            client_id: fleet.client_id.clone(),
        },
        sharing: context.directory.sharing(fleet),
        mode: context.directory.mode(fleet),
        adoption: entry.spec.adoption,
        deleting: entry.deleting,
        allowed,
        sees_all_users: sees_all_users(context, &entry),
    })
}

fn sees_all_users(context: &Context, entry: &AccountEntry) -> bool {
    context.namespaces.is_all()
        || (entry.spec.allowed_namespaces.from == NamespacesFrom::Same
            && context.namespaces.contains(&entry.namespace))
}

fn view_of(context: &Context, fleet: &Fleet) -> FleetView {
    // Before the list and after it: what was published under a hold is never seen without.
    let held = context.directory.held(fleet.key());
    let health = fleet.health();
    let problem = health.last_error.map(|error| {
        let kind = match error.class {
            RetryClass::Auth => FailureKind::Auth,
            _ => FailureKind::Transient,
        };
        (kind, error.message)
    });
    FleetView {
        snapshot: fleet.snapshot(),
        problem: match (health.authentication_failed, problem) {
            (true, Some((_, message))) => Some((FailureKind::Auth, message)),
            (_, problem) => problem,
        },
        held: held.or_else(|| context.directory.held(fleet.key())),
        // Looked at when it is decided.
        ..FleetView::default()
    }
}
