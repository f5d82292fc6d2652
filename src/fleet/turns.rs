//! The turns of a fleet's calls: [`Pressure`] with a clock, and someone to tell whose turn it is.

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
}

/// The right to make calls about one resource. Dropped, it is the next one's turn.
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
        }))
    }

    /// What the API said when the bad times began, while they last, and why a call about `key` has to wait.
    pub fn look(&self, key: &ObjectKey) -> (Option<Arc<str>>, Option<Wait>) {
        let pressure = self.0.lock();
        (pressure.trouble(), pressure.wait(key, clock::moment()))
    }

    /// Takes the turn; only when `key` need not wait.
    pub fn take(&self, key: &ObjectKey) -> Turn {
        self.0.lock().begin(key);
        Turn {
            inner: Arc::clone(&self.0),
            key: key.clone(),
        }
    }

    /// `key` is to be woken when it is its turn.
    pub fn queue(&self, key: &ObjectKey, rank: Rank) {
        self.0.lock().queue(key, rank);
    }

    /// `key` is gone, or wants no call any more: if it was its turn, it is the next one's.
    pub fn decline(&self, key: &ObjectKey) {
        let next = self.0.lock().decline(key, clock::moment());
        self.0.observer.on_turn(next);
    }

    /// Whether no call is to be made now, whoever's turn it is.
    pub fn are_paused(&self) -> bool {
        self.0.lock().paused(clock::moment()).is_some()
    }

    /// Takes note of how a call ended.
    pub fn hear<T>(&self, result: &Result<T, Error>) {
        self.0.hear(result, News::Works);
    }

    /// Takes note of how a list ended.
    pub fn hear_list<T>(&self, result: &Result<T, Error>) {
        self.0.hear(result, News::Listed);
    }
}

impl Inner {
    fn hear<T>(&self, result: &Result<T, Error>, good: News) {
        let news = match result {
            Ok(_) => Some(good),
            Err(error) => news(error),
        };
        let Some(news) = news else { return };
        let now = clock::moment();
        let (longer, pause) = {
            let mut pressure = self.lock();
            let before = pressure.paused(now);
            let longer = pressure.hear(news, now, fastrand::f64());
            let after = pressure.paused(now);
            (longer, after.filter(|_| before != after))
        };
        if let Some(until) = pause {
            let seconds = until.since(now).as_secs_f64();
            tracing::warn!(fleet = %self.fleet, seconds, "calls are held back");
        }
        self.observer.on_turn(longer);
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

/// What a failure says of the API, if anything. The words do not name the call: everyone who waits shows them.
fn news(error: &Error) -> Option<News> {
    let Some(status) = error.status() else {
        // Without an answer. What is wrong by itself was never sent.
        return (error.class() != RetryClass::Terminal).then(|| News::Failed {
            message: held_back("the API cannot be reached, or does not answer in time"),
        });
    };
    let message = || {
        let said = error.api_message().map(|said| format!(": {said}"));
        held_back(&format!(
            "the API answers HTTP {status}{}",
            said.unwrap_or_default()
        ))
    };
    let asked = error.retry_after();
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
            message: held_back(&format!(
                "the API answers HTTP {status} with something unusable"
            )),
        }),
    }
}

fn held_back(why: &str) -> String {
    format!("{why}; the account's calls are held back until it works again")
}
