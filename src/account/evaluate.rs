//! Finding out whether an account can be used: its URL, its Secret, its fleet.

use std::{sync::Arc, time::Duration};

use cortecs_api::{Client, ClientConfig, ConfigError, Credentials, RetryClass};
use cortecs_clock as clock;
use cortecs_resources::{CortecsAccount, key::ObjectKey, reason::Reason};
use cortecs_rules::facts::{account_entry::AccountState, fleet_key::FleetKey};

use super::{context::AccountController, credentials};
use crate::fleet::{api_calls::ApiObserver, directory::Remembered, poll::Fleet};

/// How old what was read from a Secret may become while it matters; a little less than the time between two looks.
const SECRET_MAX_AGE: Duration = Duration::from_secs(50);

/// What becomes of an account, and the accounts to look at again because of it.
pub(super) struct Finding {
    pub state: AccountState,
    pub doubted: Vec<ObjectKey>,
}

impl From<AccountState> for Finding {
    fn from(state: AccountState) -> Self {
        Self {
            state,
            doubted: Vec::new(),
        }
    }
}

/// Looks at `account`. Calls Kubernetes only when the Secret is due, and the API only when its content is new to the fleet.
pub(crate) async fn look(
    controller: &AccountController,
    account: &CortecsAccount,
    in_use: bool,
) -> Finding {
    if let Err(message) = controller.allowed_hosts.check(&account.spec.api_url) {
        return unusable(Reason::ApiUrlNotAllowed, message).into();
    }
    let remembered = controller.directory.remembered(account);
    if !secret_is_due(controller, &remembered, in_use) {
        return judge_again(controller, remembered).into();
    }
    let secret = &account.spec.credentials_secret_ref.name;
    let namespace = account.metadata.namespace.as_deref().unwrap_or_default();
    let read_at = clock::moment();
    let read = credentials::read(&controller.client, namespace, secret).await;
    let directory = &controller.directory;
    match read {
        Ok(credentials) => {
            directory.note_read(account, read_at, Some(&credentials));
            enter(controller, account, credentials, &remembered).await
        }
        Err(error) if !error.is_transient() => {
            directory.note_read(account, read_at, None);
            unusable(error.reason(), error.to_string()).into()
        }
        Err(error) if remembered.credentials.is_some() => {
            tracing::warn!(account = %ObjectKey::of(account), %error, "keeping the credentials read before");
            judge_again(controller, remembered).into()
        }
        Err(error) => unusable(error.reason(), error.to_string()).into(),
    }
}

/// Whether to read the Secret: at first, while it is not as it should be, after a refusal, and once a minute while somebody depends on it or something is wrong.
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
        || health.refused_at.is_some_and(|refused| refused > read_at)
    {
        return true;
    }
    let healthy =
        matches!(remembered.state, AccountState::Usable(_)) && health.last_error.is_none();
    (in_use || !healthy) && clock::moment().since(read_at) >= SECRET_MAX_AGE
}

/// The state without a new look at the Secret: the fleet may have learnt something.
fn judge_again(controller: &AccountController, remembered: Remembered) -> AccountState {
    let fleet = remembered
        .fleet
        .as_ref()
        .and_then(|key| controller.directory.fleet(key));
    match (fleet, remembered.credentials) {
        (Some(fleet), Some(credentials)) if fleet.client().uses(&credentials) => of_fleet(&fleet),
        _ => remembered.state,
    }
}

/// Brings `account` into the fleet of its credentials. A fleet that works is never entered, nor changed, with a secret that the
/// API has not accepted: who merely knows the client id gets nothing.
async fn enter(
    controller: &AccountController,
    account: &CortecsAccount,
    credentials: Credentials,
    remembered: &Remembered,
) -> Finding {
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
        Ok(Some(fleet)) => of_fleet(&fleet).into(),
        Ok(None) => prove(controller, account, &key, &credentials, remembered).await,
        Err(error) => invalid_url(&error).into(),
    }
}

/// Asks the API for a token with credentials that the fleet does not have.
async fn prove(
    controller: &AccountController,
    account: &CortecsAccount,
    key: &FleetKey,
    credentials: &Credentials,
    remembered: &Remembered,
) -> Finding {
    let observer = observer(controller, account);
    let client = match client(controller, key, credentials, &observer) {
        Ok(client) => client,
        Err(error) => return invalid_url(&error).into(),
    };
    match client.verify_credentials().await {
        Ok(()) => Finding {
            doubted: controller.directory.join_with(account, key, credentials),
            state: AccountState::Usable(key.clone()),
        },
        Err(error) if error.class() == RetryClass::Auth => refused(&error.to_string()).into(),
        Err(error) => {
            tracing::warn!(account = %ObjectKey::of(account), %error, "credentials cannot be verified now");
            // A member stays one on the strength of the last proof; nobody becomes one without.
            match &remembered.state {
                AccountState::Usable(before) if before == key => remembered.state.clone().into(),
                _ => unusable(
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
    Client::new(config)
}

fn observer(controller: &AccountController, account: &CortecsAccount) -> Arc<ApiObserver> {
    let metrics = controller.metrics.clone();
    Arc::new(ApiObserver::new(metrics, &ObjectKey::of(account)))
}

fn of_fleet(fleet: &Fleet) -> AccountState {
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
