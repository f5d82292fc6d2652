//! Gathers the input of a decision except the book: the accounts, the fleet and the model.

use std::sync::Arc;

use cortecs_api::RetryClass;
use cortecs_clock::Moment;
use cortecs_resources::{
    CortecsInstance, account::Sharing, annotations, identity::AccountIdentity, key::ObjectKey,
    limits::Limits, reason::Reason,
};
use cortecs_rules::{
    account::selector,
    cost::{Prices, money::Money},
    facts::{
        account_entry::{AccountEntry, AccountState},
        args,
        capacity::Capacity,
        failure::FailureKind,
        home::{fleet_of, home, home_account, named_account},
        sealed_id::{self, SealedId},
        snapshot::Snapshot,
        stop_order::StopOrder,
    },
    instance::input::{Account, AccountView, CatalogAnswer, CatalogProblem, Desired, FleetView},
};
use kube::ResourceExt;
use secrecy::ExposeSecret;

use super::context::Context;
use crate::fleet::{allowed_namespaces::sees_all_users, poll::Fleet};

/// The input of a decision. The turns of the fleet change quickly, so [`Observation::view`] reads them right before the decision.
pub struct Observation {
    named: Option<ObjectKey>,
    unchecked: bool,
    desired: Desired,
    limits: Option<Limits>,
    fleet: Option<ObservedFleet>,
    pub model: Option<CatalogAnswer>,
    pub capacity: Capacity,
    /// The result of the check of the annotation with the id.
    pub sealed_id: SealedId,
}

struct ObservedFleet {
    fleet: Arc<Fleet>,
    sharing: Sharing,
    has_unseen_users: bool,
    snapshot: Option<Arc<Snapshot>>,
    good_since: Moment,
    problem: Option<(FailureKind, String)>,
    held: Option<String>,
    stop: Option<StopOrder>,
    prices: Option<Arc<Prices>>,
    balance: Option<Money>,
}

impl Observation {
    /// The fleet that the resource belongs to.
    pub fn fleet(&self) -> Option<&Fleet> {
        self.fleet.as_ref().map(|observed| &*observed.fleet)
    }

    /// The list of the decision.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.fleet.as_ref()?.snapshot.as_deref()
    }

    /// The view of the accounts that a decision takes.
    pub fn view(&self, resource: &ObjectKey) -> AccountView {
        let fleet = self.fleet.as_ref().map(|observed| {
            let (trouble, wait) = observed.fleet.turns().status(resource);
            FleetView {
                sharing: observed.sharing,
                has_unseen_users: observed.has_unseen_users,
                snapshot: observed.snapshot.clone(),
                good_since: observed.good_since,
                problem: observed.problem.clone(),
                held: observed.held.clone(),
                stop: observed.stop,
                prices: observed.prices.clone(),
                balance: observed.balance.clone(),
                trouble,
                wait,
            }
        });
        AccountView {
            named: self.named.clone(),
            unchecked: self.unchecked,
            desired: self.desired.clone(),
            limits: self.limits.clone(),
            fleet,
        }
    }
}

/// Observes the accounts of the resource. Reads only memory, except for the namespace's labels if the account selects by labels.
pub async fn observe(context: &Context, resource: &CortecsInstance) -> Observation {
    let desired = desired(context, resource).await;
    let lives_in = match (home(resource), &desired) {
        (Some(home), _) => Some(fleet_of(home)),
        (None, Desired::Usable(account)) => Some(fleet_of(&account.identity)),
        (None, _) => None,
    };
    let fleet = lives_in.and_then(|key| context.directory.fleet(&key));
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
                        nearest: error.nearest,
                    })
                })
        }
        _ => None,
    };
    let named = named_account(resource, context.default_account.as_ref());
    let limiting = home_account(resource).or_else(|| named.clone());
    let limiting = limiting.and_then(|key| context.directory.account(&key.namespace, &key.name));
    Observation {
        limits: limiting.map(|entry| entry.spec.limits.clone()),
        sealed_id: check_sealed_id(resource, fleet.as_deref()),
        unchecked: is_unchecked(context, named.as_ref()),
        named,
        desired,
        capacity: fleet.as_ref().map_or(Capacity::NotAsked, |fleet| {
            context.free_hardware.cached(&fleet.key().api_url)
        }),
        fleet: fleet.map(|fleet| observe_fleet(context, fleet)),
        model,
    }
}

/// Whether this process has not checked the account yet.
fn is_unchecked(context: &Context, named: Option<&ObjectKey>) -> bool {
    let entry = named.and_then(|key| context.directory.account(&key.namespace, &key.name));
    !context.directory.synced() || entry.is_some_and(|e| e.state == AccountState::Pending)
}

/// Whether another operator manages the account of the resource's instance or, without an instance, the account that the resource
/// names.
pub fn is_managed_elsewhere(context: &Context, resource: &CortecsInstance) -> bool {
    let account = home_account(resource)
        .or_else(|| named_account(resource, context.default_account.as_ref()));
    let entry = account.and_then(|key| context.directory.account(&key.namespace, &key.name));
    let by_another = |entry: &AccountEntry| {
        let manager = entry.managed_by.as_ref();
        manager.is_some_and(|manager| *manager != context.this_operator)
    };
    // Before the account is checked, its status alone tells.
    entry.is_some_and(|entry| {
        entry.state.is_elsewhere() || (entry.state == AccountState::Pending && by_another(&entry))
    })
}

/// Checks the annotation with the client secret of the fleet, once the API has accepted it.
fn check_sealed_id(resource: &CortecsInstance, fleet: Option<&Fleet>) -> SealedId {
    let annotation = resource.annotations().get(annotations::INSTANCE_ID);
    let Some(value) = annotation.filter(|value| sealed_id::is_well_formed(value)) else {
        return SealedId::None;
    };
    let Some(fleet) = fleet else {
        return SealedId::Unchecked;
    };
    if fleet.health().last_good.is_none() {
        // The API has not accepted these credentials yet: whoever invents a secret could invent a proof.
        return SealedId::Unchecked;
    }
    let key = ObjectKey::of(resource);
    let secret = sealed_id::Key::derive(fleet.client().credentials().client_secret.expose_secret());
    let proven = secret.and_then(|secret| secret.verify(&key.namespace, &key.name, value));
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
        return Desired::Pending("the accounts are being checked".to_owned());
    }
    let Some(entry) = context.directory.account(&key.namespace, &key.name) else {
        return Desired::Unusable {
            reason: Reason::AccountNotFound,
            message: format!(
                "there is no CortecsAccount {key}: create it, or correct spec.accountRef"
            ),
        };
    };
    let namespace = resource.metadata.namespace.as_deref().unwrap_or_default();
    // Only a start needs the permission.
    let allowed = match context.settings.only_stops {
        true => Ok(true),
        false => context.directory.allows(&entry, namespace).await,
    };
    let allowed = match allowed {
        Ok(allowed) => allowed,
        Err(error) => {
            tracing::warn!(%error, account = %key, "cannot check whether the account may be used");
            return Desired::Pending(error.to_string());
        }
    };
    if let Some(why) = entry.unreadable.as_ref().filter(|_| allowed) {
        return Desired::Unusable {
            reason: Reason::Unreadable,
            message: format!("account {key}: {why}"),
        };
    }
    let fleet = match &entry.state {
        AccountState::Pending => {
            return Desired::Pending(format!("account {key} is being checked"));
        }
        AccountState::Unusable { .. } if !allowed => {
            // What is wrong with the account is not this namespace's to know.
            return Desired::Unusable {
                reason: Reason::AccountNotAllowed,
                message: format!(
                    "account {key} does not allow this namespace: see its spec.allowedNamespaces"
                ),
            };
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
    let may_act = match &entry.managed_by {
        Some(manager) => *manager == context.this_operator,
        // A process that starts nothing need not be named: whoever takes the account finds every instance as it is.
        None => context.settings.only_stops,
    };
    if !may_act {
        // Only the manager that the status names may start instances.
        return Desired::Pending(format!(
            "the status of account {key} does not name this operator as its manager yet"
        ));
    }
    let known = context.directory.fleet(fleet);
    Desired::Usable(Account {
        identity: AccountIdentity {
            namespace: key.namespace,
            name: key.name,
            api_url: fleet.api_url.clone(),
            client_id: fleet.client_id.clone(),
        },
        mode: context.directory.mode(fleet),
        mode_of: context.directory.mode_of(fleet).map(Box::new),
        adoption: entry.spec.adoption,
        deleting: entry.deleting,
        limits: entry.spec.limits.clone(),
        budgets: context.directory.budgets(fleet),
        allowed,
        wrong_url: known.and_then(|fleet| fleet.health().wrong_url()),
        selector_invalid: selector::flaw(&entry.spec.allowed_namespaces).is_some(),
    })
}

fn observe_fleet(context: &Context, fleet: Arc<Fleet>) -> ObservedFleet {
    // Read before and after the list: a list that was published during a hold or an order to stop must not be used without it.
    let held = context.directory.hold_message(fleet.key());
    let stop = context.directory.stop_order(fleet.key());
    let health = fleet.health();
    let problem = health.last_error.map(|error| {
        let kind = match error.class {
            RetryClass::Auth => FailureKind::Auth,
            _ => FailureKind::Transient,
        };
        (kind, error.message)
    });
    ObservedFleet {
        sharing: context.directory.sharing(fleet.key()),
        has_unseen_users: !context.directory.all_accounts(fleet.key(), |entry| {
            sees_all_users(&context.namespaces, entry)
        }),
        prices: fleet.finances().prices(),
        balance: fleet.finances().recent_balance(),
        snapshot: fleet.snapshot(),
        good_since: health.good_since.unwrap_or_default(),
        problem: match (health.authentication_failed, problem) {
            (true, Some((_, message))) => Some((FailureKind::Auth, message)),
            (_, problem) => problem,
        },
        held: held.or_else(|| context.directory.hold_message(fleet.key())),
        stop: stop.or_else(|| context.directory.stop_order(fleet.key())),
        fleet,
    }
}

#[cfg(test)]
#[path = "observe_tests.rs"]
mod tests;
