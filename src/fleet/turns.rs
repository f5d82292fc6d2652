//! The turns of a fleet's calls: [`Pressure`] with a clock and an observer.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use cortecs_api::{Error, RetryClass};
use cortecs_clock as clock;
use cortecs_resources::key::ObjectKey;
use cortecs_rules::{
    facts::fleet_key::FleetKey,
    pacing::pressure::{News, Pressure, Rank, Wait},
};

use super::hooks::FleetObserver;
use crate::mutex::lock;

/// The turns of one fleet. Clones share them.
#[derive(Clone)]
pub struct Turns(Arc<Inner>);

struct Inner {
    fleet: FleetKey,
    observer: Arc<dyn FleetObserver>,
    pressure: Mutex<Pressure>,
    /// The API's words when it last refused a start or restart for lack of money, until one is accepted.
    unpaid: Mutex<Option<String>>,
}

/// The right to make calls about one resource. Its drop gives the turn to the next resource.
pub struct Turn {
    inner: Arc<Inner>,
    key: ObjectKey,
}

impl Turns {
    pub(crate) fn new(fleet: FleetKey, observer: Arc<dyn FleetObserver>) -> Self {
        Self(Arc::new(Inner {
            fleet,
            observer,
            pressure: Mutex::default(),
            unpaid: Mutex::default(),
        }))
    }

    /// The first failure of the API, while its failures go on, and the reason why a call about `key` has to wait.
    pub fn status(&self, key: &ObjectKey) -> (Option<Arc<str>>, Option<Wait>) {
        let pressure = self.0.lock();
        (pressure.trouble(), pressure.wait(key, clock::moment()))
    }

    /// Takes the turn. Call this only if `key` does not have to wait.
    pub fn take(&self, key: &ObjectKey) -> Turn {
        self.0.lock().begin(key);
        Turn {
            inner: Arc::clone(&self.0),
            key: key.clone(),
        }
    }

    /// Adds `key` to the queue for a turn.
    pub fn queue(&self, key: &ObjectKey, rank: Rank) {
        self.0.lock().queue(key, rank);
    }

    /// Removes `key` from the queue. If the turn of `key` had come, the turn goes to the next resource.
    pub fn decline(&self, key: &ObjectKey) {
        let next = self.0.lock().decline(key, clock::moment());
        self.0.observer.on_turn(next);
    }

    /// Whether all calls are paused.
    pub fn are_paused(&self) -> bool {
        self.0.lock().paused(clock::moment()).is_some()
    }

    /// Records the result of a call.
    pub fn record_call<T>(&self, result: &Result<T, Error>) {
        self.0.record(result, News::Works);
    }

    /// Records whether the API took a call that costs money: a start or a restart.
    pub fn record_payment<T>(&self, result: &Result<T, Error>) {
        let now = match result {
            Ok(_) => None,
            Err(error) if error.status() == Some(402) => Some(error.to_string()),
            Err(_) => return,
        };
        let before = std::mem::replace(&mut *lock(&self.0.unpaid), now.clone());
        if before != now {
            self.0.observer.on_payment_changed(&self.0.fleet);
        }
    }

    /// The API's words when it last refused a start or restart for lack of money, until one is accepted.
    pub fn unpaid(&self) -> Option<String> {
        lock(&self.0.unpaid).clone()
    }

    /// Records the result of a list.
    pub fn record_list<T>(&self, result: &Result<T, Error>) {
        self.0.record(result, News::Listed);
    }
}

impl Inner {
    fn record<T>(&self, result: &Result<T, Error>, success: News) {
        let news = match result {
            Ok(_) => Some(success),
            Err(error) => news(error),
        };
        let Some(news) = news else { return };
        let now = clock::moment();
        let (waiting, pause) = {
            let mut pressure = self.lock();
            let before = pressure.paused(now);
            let waiting = pressure.hear(news, now, fastrand::f64());
            let after = pressure.paused(now);
            (waiting, after.filter(|_| before != after))
        };
        if let Some(until) = pause {
            let seconds = until.since(now).as_secs_f64();
            tracing::warn!(fleet = %self.fleet, seconds, "calls are paused");
        }
        self.observer.on_turn(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, Pressure> {
        lock(&self.pressure)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = self.inner.lock().end(&self.key, clock::moment());
        self.inner.observer.on_turn(next);
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").field("key", &self.key).finish()
    }
}

/// Classifies a failure, if it says anything about the state of the API. The message does not name the call, because all
/// waiting resources show it.
fn news(error: &Error) -> Option<News> {
    if error.is_accepted() {
        return Some(News::Works);
    }
    let Some(status) = error.status() else {
        // The API did not answer. A terminal error was found before the request was sent.
        return (error.class() != RetryClass::Terminal).then(|| News::Failed {
            message: paused("the API cannot be reached, or does not answer in time"),
        });
    };
    let message = || {
        let said = error.api_message().map(|said| format!(": {said}"));
        paused(&format!(
            "the API answers HTTP {status}{}",
            said.unwrap_or_default()
        ))
    };
    let asked = error.retry_after();
    if error.is_foreign() && error.class() == RetryClass::Transient && status != 429 {
        return Some(News::Failed {
            message: paused(&format!(
                "something in front of the API, such as a proxy, answers HTTP {status}"
            )),
        });
    }
    match status {
        429 | 503 => Some(News::Overloaded {
            message: message(),
            asked,
        }),
        500.. if asked.is_some() => Some(News::Overloaded {
            message: message(),
            asked,
        }),
        408 | 500.. => Some(News::Failed { message: message() }),
        400.. => Some(News::Works),
        _ => Some(News::Failed {
            message: paused(&format!(
                "the API answers HTTP {status} with an invalid response"
            )),
        }),
    }
}

fn paused(reason: &str) -> String {
    format!("{reason}; the account's calls are paused until the API works again")
}
