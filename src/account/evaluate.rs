//! Evaluates whether an account can be used: its URL, its Secret, its fleet.

use std::{sync::Arc, time::Duration};

use cortecs_api::{Client, ClientConfig, ConfigError, Credentials, RetryClass};
use cortecs_clock as clock;
use cortecs_resources::{CortecsAccount, key::ObjectKey, reason::Reason};
use cortecs_rules::facts::{account_entry::AccountState, fleet_key::FleetKey};
use secrecy::SecretString;

use super::{context::AccountController, credentials};
use crate::fleet::{api_calls::ApiObserver, directory::Remembered, poll::Fleet};

/// After this time the Secret is read again; a little less than the interval of reconciles.
const SECRET_MAX_AGE: Duration = Duration::from_secs(50);

/// The result of an evaluation.
pub(super) struct Evaluation {
    pub state: AccountState,
    /// Other accounts whose credentials have to be verified again.
    pub unverified: Vec<ObjectKey>,
}

impl From<AccountState> for Evaluation {
    fn from(state: AccountState) -> Self {
        Self {
            state,
            unverified: Vec::new(),
        }
    }
}

/// Evaluates `account`. Reads the Secret only if its last read is too old, and calls the API only if the fleet lacks these
/// credentials.
pub(crate) async fn evaluate(
    controller: &AccountController,
    account: &CortecsAccount,
    in_use: bool,
) -> Evaluation {
    if let Err(message) = controller.allowed_hosts.check(&account.spec.api_url) {
        return unusable(Reason::ApiUrlNotAllowed, message).into();
    }
    let remembered = controller.directory.remembered(account);
    if !secret_is_due(controller, &remembered, in_use) {
        return state_in_fleet(controller, remembered).into();
    }
    let secret = &account.spec.credentials_secret_ref.name;
    let namespace = account.metadata.namespace.as_deref().unwrap_or_default();
    let read_at = clock::moment();
    let read = credentials::read(&controller.client, namespace, secret).await;
    let directory = &controller.directory;
    match read {
        Ok(credentials) => {
            directory.record_read(account, read_at, Some(&credentials));
            join_fleet(controller, account, credentials, &remembered).await
        }
        Err(error) if !error.is_transient() => {
            directory.record_read(account, read_at, None);
            unusable(error.reason(), error.to_string()).into()
        }
        Err(error) if remembered.credentials.is_some() => {
            tracing::warn!(account = %ObjectKey::of(account), %error, "the Secret cannot be read now: the credentials of the last read stay in use");
            state_in_fleet(controller, remembered).into()
        }
        Err(error) => unusable(error.reason(), error.to_string()).into(),
    }
}

/// Whether to read the Secret: the first time, while the Secret is missing or wrong or its credentials cannot be verified, after a
/// refusal of its credentials, and once a minute while the account is in use or fails.
fn secret_is_due(controller: &AccountController, remembered: &Remembered, in_use: bool) -> bool {
    let Some(read_at) = remembered.read_at else {
        return true;
    };
    let fleet = remembered.fleet.as_ref();
    let health = fleet
        .and_then(|key| controller.directory.fleet(key))
        .map(|fleet| fleet.health())
        .unwrap_or_default();
    if remembered.state.awaits_secret()
        || remembered.state.is_passing()
        || health.refused_at.is_some_and(|refused| refused > read_at)
    {
        return true;
    }
    let healthy =
        matches!(remembered.state, AccountState::Usable(_)) && health.last_error.is_none();
    (in_use || !healthy) && clock::moment().since(read_at) >= SECRET_MAX_AGE
}

/// The state without a new read of the Secret: the health of the fleet may have changed.
fn state_in_fleet(controller: &AccountController, remembered: Remembered) -> AccountState {
    let fleet = remembered
        .fleet
        .as_ref()
        .and_then(|key| controller.directory.fleet(key));
    match (fleet, remembered.credentials) {
        (Some(fleet), Some(credentials)) if fleet.client().uses(&credentials) => {
            fleet_state(&fleet)
        }
        _ => remembered.state,
    }
}

/// Makes `account` a member of the fleet of its credentials. A client secret that the fleet lacks must first be verified by the
/// API: a Secret with another account's client id alone must give no access to its fleet.
async fn join_fleet(
    controller: &AccountController,
    account: &CortecsAccount,
    credentials: Credentials,
    remembered: &Remembered,
) -> Evaluation {
    let key = FleetKey::new(&account.spec.api_url, credentials.client_id.clone());
    let observer = observer(controller, account);
    let joined = controller
        .directory
        .join(account, &key, &credentials, |settings| {
            let client = client(controller, &key, &credentials, &observer)?;
            let relay = controller.relay();
            let fleet = Fleet::start(key.clone(), client, settings, controller.limits, relay);
            Ok((fleet, Arc::clone(&observer)))
        });
    match joined {
        Ok(Some(fleet)) => fleet_state(&fleet).into(),
        Ok(None) => verify(controller, account, &key, &credentials, remembered).await,
        Err(error) => invalid_url(&error).into(),
    }
}

/// Verifies credentials that the fleet lacks: asks the API for a token.
async fn verify(
    controller: &AccountController,
    account: &CortecsAccount,
    key: &FleetKey,
    credentials: &Credentials,
    remembered: &Remembered,
) -> Evaluation {
    let observer = observer(controller, account);
    let client = match client(controller, key, credentials, &observer) {
        Ok(client) => client,
        Err(error) => return invalid_url(&error).into(),
    };
    let is_known = matches!(&remembered.state, AccountState::Usable(before) if before == key);
    match client.verify_credentials().await {
        Ok(()) => Evaluation {
            unverified: controller.directory.join_with(account, key, credentials),
            state: AccountState::Usable(key.clone()),
        },
        Err(error) if error.class() == RetryClass::Auth => refused(&error.to_string()).into(),
        Err(error) if error.leads_elsewhere() && !is_known => {
            let exchange = error.exchange(&key.api_url);
            let message = format!("apiUrl is probably wrong: {exchange}");
            unusable(Reason::ApiUrlInvalid, message).into()
        }
        Err(error) => {
            tracing::warn!(account = %ObjectKey::of(account), %error, "credentials cannot be verified now");
            // A member whose credentials were verified before stays a member; other accounts do not become members.
            match is_known {
                true => remembered.state.clone().into(),
                false => unusable(
                    Reason::CredentialsUnverified,
                    format!("the credentials cannot be verified now ({error})"),
                )
                .into(),
            }
        }
    }
}

fn client(
    controller: &AccountController,
    key: &FleetKey,
    credentials: &Credentials,
    observer: &Arc<ApiObserver>,
) -> Result<Client, ConfigError> {
    let mut config = ClientConfig::new(key.api_url.clone(), credentials.clone());
    config.request_timeout = controller.request_timeout;
    config.connect_timeout = config.connect_timeout.min(config.request_timeout / 3);
    config.observer = Some(Arc::clone(observer) as _);
    // What is wrong with a variable of the environment was said at the start of the process.
    let proxy = controller.proxies.for_url(&key.api_url);
    let proxy = proxy.map_err(|_| ConfigError::Proxy)?;
    config.proxy = proxy.map(|proxy| SecretString::from(proxy.url_with_credentials()));
    Client::new(config)
}

fn observer(controller: &AccountController, account: &CortecsAccount) -> Arc<ApiObserver> {
    let metrics = controller.metrics.clone();
    Arc::new(ApiObserver::new(metrics, &ObjectKey::of(account)))
}

fn fleet_state(fleet: &Fleet) -> AccountState {
    let health = fleet.health();
    match health.last_error {
        Some(error) if health.authentication_failed => refused(&error.message),
        _ => AccountState::Usable(fleet.key().clone()),
    }
}

fn refused(error: &str) -> AccountState {
    unusable(
        Reason::CredentialsInvalid,
        format!("the API refuses the credentials ({error}): correct the Secret"),
    )
}

fn invalid_url(error: &ConfigError) -> AccountState {
    unusable(Reason::ApiUrlInvalid, error.to_string())
}

fn unusable(reason: Reason, message: impl Into<String>) -> AccountState {
    AccountState::Unusable {
        reason,
        message: message.into(),
    }
}
