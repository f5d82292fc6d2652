//! The money of a fleet: the prices of the API and the balance of the owner.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use cortecs_api::{Client, Error};
use cortecs_rules::{
    cost::{
        Prices,
        money::{self, Money},
    },
    facts::fleet_key::FleetKey,
};
use tokio::time::sleep;

use crate::mutex::lock;

/// How often it is checked whether a balance is old.
const TICK: Duration = Duration::from_secs(60);
/// The pause after a failed request.
const FAILED: Duration = Duration::from_secs(300);

/// The last answers of the API.
#[derive(Debug, Default)]
pub(super) struct Finances {
    prices: Mutex<Option<Arc<Prices>>>,
    balance: Mutex<Option<Money>>,
}

impl Finances {
    pub fn prices(&self) -> Option<Arc<Prices>> {
        lock(&self.prices).clone()
    }

    pub fn balance(&self) -> Option<Money> {
        lock(&self.balance).clone()
    }

    /// Asks for the prices regularly; never completes. `on_change` is called when a price is another one than before.
    pub async fn poll_prices(
        &self,
        client: &Client,
        fleet: &FleetKey,
        on_change: impl Fn(),
    ) -> Infallible {
        loop {
            let wait = match client.list_hardware_types().await {
                Ok(catalog) => {
                    let prices = Arc::new(Prices::of(catalog));
                    let before = lock(&self.prices).replace(Arc::clone(&prices));
                    if before.as_ref() != Some(&prices) {
                        on_change();
                    }
                    money::FRESH
                }
                Err(error) => failed(fleet, "the prices", &error),
            };
            sleep(wait).await;
        }
    }

    /// Asks for the balance regularly, more often while an instance runs; never completes. `on_change` is called after each answer.
    pub async fn poll_balance(
        &self,
        client: &Client,
        fleet: &FleetKey,
        is_spending: impl Fn() -> bool,
        on_change: impl Fn(),
    ) -> Infallible {
        loop {
            match client.balance().await {
                Ok(answer) => {
                    *lock(&self.balance) = money::balance(&answer);
                    on_change();
                    let mut age = Duration::ZERO;
                    while !money::is_due(age, is_spending()) {
                        sleep(TICK).await;
                        age += TICK;
                    }
                }
                Err(error) => sleep(failed(fleet, "the balance", &error)).await,
            }
        }
    }
}

/// The pause after this failure.
fn failed(fleet: &FleetKey, what: &str, error: &Error) -> Duration {
    tracing::debug!(%fleet, %error, "{what} cannot be fetched");
    FAILED.max(error.retry_after().unwrap_or_default())
}
