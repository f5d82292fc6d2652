//! The money of a fleet: the prices of the API and the balance of the owner.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use cortecs_api::{Client, Error, RetryClass, answers::Readable, types::HardwareType};
use cortecs_clock::{self as clock, Backoff, Moment};
use cortecs_rules::{
    cost::{
        Prices,
        money::{self, Money},
    },
    facts::fleet_key::FleetKey,
};
use tokio::{sync::Notify, time::sleep};

use crate::mutex::lock;

/// How often it is checked whether a balance is old.
const TICK: Duration = Duration::from_secs(60);

/// The pause after a refusal of the credentials.
const REFUSED: Duration = Duration::from_secs(300);

/// The last answers of the API.
#[derive(Debug, Default)]
pub(crate) struct Finances {
    prices: Mutex<Option<Arc<Prices>>>,
    /// The hardware types, from which the prices are.
    hardware: Mutex<Option<Arc<Readable<HardwareType>>>>,
    /// When the prices were last asked for.
    asked_at: Mutex<Option<Moment>>,
    wake: Notify,
    balance: Mutex<Option<(Moment, Money)>>,
    /// Whether starts depend on the balance.
    watches_balance: AtomicBool,
}

impl Finances {
    pub fn prices(&self) -> Option<Arc<Prices>> {
        lock(&self.prices).clone()
    }

    /// The hardware types of the last good answer.
    pub fn hardware_types(&self) -> Option<Arc<Readable<HardwareType>>> {
        lock(&self.hardware).clone()
    }

    /// Asks for the prices now, if that was last done before this time.
    pub fn request_prices(&self, older_than: Duration) {
        let asked_at = *lock(&self.asked_at);
        if asked_at.is_some_and(|at| clock::moment().since(at) >= older_than) {
            self.wake.notify_one();
        }
    }

    /// The last balance.
    pub fn balance(&self) -> Option<Money> {
        let balance = lock(&self.balance);
        balance.as_ref().map(|(_, balance)| balance.clone())
    }

    /// The same, unless it is so old that nothing may be decided by it.
    pub fn recent_balance(&self) -> Option<Money> {
        let balance = lock(&self.balance).clone();
        let balance = balance.filter(|(at, _)| clock::moment().since(*at) < money::OLD);
        balance.map(|(_, balance)| balance)
    }

    /// Sets whether starts depend on the balance: then it is asked for as often as while an instance runs.
    pub fn watch_balance(&self, watches: bool) {
        self.watches_balance.store(watches, Ordering::Relaxed);
    }

    /// Asks for the prices regularly; never completes. `on_change` is called when a price is another one than before.
    pub async fn poll_prices(
        &self,
        client: &Client,
        fleet: &FleetKey,
        on_change: impl Fn(),
    ) -> Infallible {
        let mut backoff = Backoff::default();
        loop {
            *lock(&self.asked_at) = Some(clock::moment());
            let wait = match client.list_readable_hardware_types().await {
                Ok(list) => {
                    let prices = Arc::new(Prices::of(list.entries.clone()));
                    let before = lock(&self.prices).replace(Arc::clone(&prices));
                    *lock(&self.hardware) = Some(Arc::new(list));
                    if before.as_ref() != Some(&prices) {
                        on_change();
                    }
                    backoff = Backoff::default();
                    money::FRESH
                }
                Err(error) => failed(fleet, "the prices", &error, &mut backoff),
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.wake.notified() => {}
            }
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
        let mut backoff = Backoff::default();
        loop {
            match client.balance().await {
                Ok(answer) => {
                    backoff = Backoff::default();
                    let balance = money::balance(&answer);
                    *lock(&self.balance) = balance.map(|money| (clock::moment(), money));
                    on_change();
                    let mut age = Duration::ZERO;
                    let watches = || self.watches_balance.load(Ordering::Relaxed);
                    while !money::is_due(age, watches() || is_spending()) {
                        sleep(TICK).await;
                        age += TICK;
                    }
                }
                Err(error) => sleep(failed(fleet, "the balance", &error, &mut backoff)).await,
            }
        }
    }
}

/// The pause after this failure.
fn failed(fleet: &FleetKey, what: &str, error: &Error, backoff: &mut Backoff) -> Duration {
    tracing::debug!(%fleet, %error, "{what} cannot be fetched");
    if error.class() == RetryClass::Auth {
        // Lists find out whether the credentials work again.
        return REFUSED;
    }
    backoff.next(fastrand::f64(), error.retry_after())
}
