//! The one view of one owner's instances: its client, its poll loop and the last good list.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use cortecs_api;
use cortecs_api::{Client, Credentials, RetryClass, types::Instance};
use cortecs_clock as clock;
use cortecs_clock::Moment;
use cortecs_resources::key::ObjectKey;
use cortecs_rules::{
    cost::Prices,
    facts::{
        fleet_health::{FleetError, FleetHealth},
        fleet_key::FleetKey,
        snapshot::Snapshot,
    },
    pacing::schedule::{Failure, PollLimits, PollSettings, Schedule},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::sleep,
};

use super::{
    hooks::{FleetObserver, Listed},
    turns::Turns,
};
use crate::mutex::lock;

/// How long prices are taken for current.
const PRICES_FRESH: Duration = Duration::from_secs(3600);
/// How long they are not asked for again after that failed.
const PRICES_FAILED: Duration = Duration::from_secs(300);

/// The client of one owner at one API, and what it last said. However many accounts and resources share a fleet, one loop lists.
///
/// The loop runs from [`Fleet::start`] until [`Fleet::stop`] or the drop of the fleet.
pub struct Fleet {
    inner: Arc<Inner>,
    task: JoinHandle<()>,
}

struct Inner {
    key: FleetKey,
    client: Client,
    limits: PollLimits,
    observer: Arc<dyn FleetObserver>,
    turns: Turns,
    state: Mutex<State>,
    wake: Notify,
    /// Lists that have ended, good or not.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    schedule: Schedule,
    settings: PollSettings,
    busy: BTreeSet<ObjectKey>,
    snapshot: Option<Arc<Snapshot>>,
    prices: Option<Arc<Prices>>,
    health: FleetHealth,
    /// The last good list was not made known.
    withheld: bool,
    /// A list has failed since the last one that was made known.
    failing: bool,
    /// Counts changes of the credentials: what an older list says of them no longer matters.
    credentials: u64,
}

/// A list under way.
struct Begun {
    requested_at: Moment,
    credentials: u64,
}

impl Fleet {
    /// Starts to list. To be called within a tokio runtime.
    pub fn start(
        key: FleetKey,
        client: Client,
        settings: PollSettings,
        limits: PollLimits,
        observer: Arc<dyn FleetObserver>,
    ) -> Self {
        let inner = Arc::new(Inner {
            turns: Turns::new(key.clone(), Arc::clone(&observer)),
            key,
            client,
            limits,
            observer,
            state: Mutex::new(State {
                settings,
                ..State::default()
            }),
            wake: Notify::new(),
            ended: watch::Sender::new(0),
        });
        let task = tokio::spawn({
            let inner = Arc::clone(&inner);
            async move {
                // A slow answer about prices must not delay a list.
                tokio::join!(inner.keep_listing(), inner.keep_prices());
            }
        });
        Self { inner, task }
    }

    pub fn key(&self) -> &FleetKey {
        &self.inner.key
    }

    /// The client, for calls about single instances. After a call that failed with [`RetryClass::Auth`], ask for a list:
    /// it finds out whether the credentials are refused.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// Whose turn it is to make a call with it, and how calls went.
    pub fn turns(&self) -> &Turns {
        &self.inner.turns
    }

    /// The last good list.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.inner.state().snapshot.clone()
    }

    /// The last good list, unless there is a newer one that is not made known.
    pub(crate) fn undisputed(&self) -> Option<Arc<Snapshot>> {
        let state = self.inner.state();
        state.snapshot.clone().filter(|_| !state.withheld)
    }

    /// What the API last said of prices.
    pub(crate) fn prices(&self) -> Option<Arc<Prices>> {
        self.inner.state().prices.clone()
    }

    pub fn health(&self) -> FleetHealth {
        self.inner.state().health.clone()
    }

    /// Counts the lists that have ended, good or not; to wait for the next one.
    pub fn ended(&self) -> watch::Receiver<u64> {
        self.inner.ended.subscribe()
    }

    /// Asks for a list that begins after the moment `after`, as soon as the least distance between two lists, or the backoff
    /// after a failure, allows. Nothing is asked for where the last list began after it.
    pub fn request_list_after(&self, after: Moment) {
        self.inner.state().schedule.request(after);
        self.inner.wake.notify_one();
    }

    /// Asks for a list if the last one was not made known.
    pub(crate) fn request_withheld(&self) {
        if self.inner.state().withheld {
            self.request_list_after(clock::moment());
        }
    }

    /// Notes whether something is in progress for the resource `key`, and says whether that is news. While something is for any
    /// resource, lists follow each other in the active interval.
    pub fn set_busy(&self, key: &ObjectKey, busy: bool) -> bool {
        let mut state = self.inner.state();
        let was_idle = state.busy.is_empty();
        let news = match busy {
            true => !state.busy.contains(key) && state.busy.insert(key.clone()),
            false => state.busy.remove(key),
        };
        if was_idle != state.busy.is_empty() {
            self.inner.wake.notify_one();
        }
        news
    }

    /// Tells that a resource went and left an instance behind: the last list is summed up anew.
    pub fn claims_changed(&self) {
        self.inner.observer.on_summary_stale(&self.inner.key);
    }

    /// Swaps the intervals.
    pub fn set_settings(&self, settings: PollSettings) {
        let before = std::mem::replace(&mut self.inner.state().settings, settings);
        if before != settings {
            self.inner.wake.notify_one();
        }
    }

    /// Swaps the secret, if it is another, and lists with it at once.
    pub fn set_credentials(&self, credentials: Credentials) {
        if self.inner.client.uses(&credentials) {
            return;
        }
        {
            let mut state = self.inner.state();
            self.inner.client.set_credentials(credentials);
            state.credentials += 1;
            state.health.authentication_failed = false;
            let refused = |error: &mut FleetError| error.class == RetryClass::Auth;
            state.health.last_error.take_if(refused);
            state.schedule.start_over();
        }
        self.inner.wake.notify_one();
    }

    /// Ends the loop. What is known stays readable.
    pub fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("key", &self.inner.key)
            .finish_non_exhaustive()
    }
}

impl Inner {
    /// The state. Held only for a moment, never across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    async fn keep_prices(&self) -> Infallible {
        loop {
            let wait = match self.client.list_hardware_types().await {
                Ok(catalog) => {
                    self.state().prices = Some(Arc::new(Prices::of(catalog)));
                    self.observer.on_summary_stale(&self.key);
                    PRICES_FRESH
                }
                Err(error) => {
                    tracing::debug!(fleet = %self.key, %error, "no prices");
                    PRICES_FAILED.max(error.retry_after().unwrap_or_default())
                }
            };
            sleep(wait).await;
        }
    }

    async fn keep_listing(&self) -> Infallible {
        loop {
            self.wait_until_due().await;
            let begun = self.begin();
            let result = self.client.list_instances().await;
            self.turns.hear_list(&result);
            self.end(&begun, result);
        }
    }

    async fn wait_until_due(&self) {
        loop {
            let due = {
                let state = self.state();
                let busy = !state.busy.is_empty() || state.withheld;
                state.schedule.due(busy, state.settings, self.limits)
            };
            let wait = due.since(clock::moment());
            if wait.is_zero() {
                return;
            }
            tokio::select! {
                () = sleep(wait) => {}
                // A wake-up that came before this await is kept.
                () = self.wake.notified() => {}
            }
        }
    }

    fn begin(&self) -> Begun {
        let mut state = self.state();
        // Taken under the lock: whoever asked for a list before now gets one that begins after the question.
        let requested_at = clock::moment();
        state.schedule.begin(requested_at);
        Begun {
            requested_at,
            credentials: state.credentials,
        }
    }

    fn end(&self, begun: &Begun, result: Result<Vec<Instance>, cortecs_api::Error>) {
        match result {
            Ok(instances) => {
                let (old, new) = self.succeed(begun, instances);
                if self.observer.admits(&self.key, old.as_deref(), &new) {
                    let (busy, recovered) = self.publish(&new);
                    self.observer.on_list(Listed {
                        fleet: &self.key,
                        old: old.as_deref(),
                        new: &new,
                        busy: &busy,
                        recovered,
                    });
                }
            }
            Err(error) => {
                let busy = self.fail(begun, &error);
                self.observer.on_list_failed(&self.key, &busy);
            }
        }
        self.ended.send_modify(|count| *count += 1);
    }

    fn succeed(
        &self,
        begun: &Begun,
        instances: Vec<Instance>,
    ) -> (Option<Arc<Snapshot>>, Arc<Snapshot>) {
        let received_at = clock::moment();
        let instances = instances
            .into_iter()
            .map(|instance| (instance.instance_id.clone(), Arc::new(instance)))
            .collect();
        let mut state = self.state();
        let old = state.snapshot.clone();
        let new = Arc::new(Snapshot {
            sequence: old.as_ref().map_or(0, |old| old.sequence) + 1,
            requested_at: begun.requested_at,
            received_at,
            instances,
        });
        state.withheld = true;
        state.schedule.succeed(received_at, fastrand::f64());
        state.health = FleetHealth {
            last_good: state.health.last_good,
            refused_at: state.health.refused_at,
            ..FleetHealth::default()
        };
        (old, new)
    }

    /// Makes a list known. The resources with something in progress, and whether a list has failed before this one.
    fn publish(&self, new: &Arc<Snapshot>) -> (Vec<ObjectKey>, bool) {
        let mut state = self.state();
        state.withheld = false;
        state.health.last_good = Some(new.received_at);
        state.snapshot = Some(Arc::clone(new));
        let recovered = std::mem::take(&mut state.failing);
        (state.busy.iter().cloned().collect(), recovered)
    }

    /// Takes note of a failed list. The resources with something in progress.
    fn fail(&self, begun: &Begun, error: &cortecs_api::Error) -> Vec<ObjectKey> {
        let now = clock::moment();
        let auth = error.class() == RetryClass::Auth;
        let mut state = self.state();
        state.failing = true;
        let busy = state.busy.iter().cloned().collect();
        let superseded = begun.credentials != state.credentials;
        let failure = Failure {
            auth,
            retry_after: error.retry_after(),
        };
        let interval = state.settings.interval(!state.busy.is_empty());
        state
            .schedule
            .fail(now, failure, interval, self.limits, fastrand::f64());
        if auth && superseded {
            // It speaks of the credentials before: those of now have not been tried yet.
            state.schedule.start_over();
            return busy;
        }
        state.health.failures = state.schedule.failures();
        if auth {
            state.health.authentication_failed = true;
            state.health.refused_at = Some(now);
        }
        // A refusal stands until something succeeds or changes.
        if auth || !state.health.authentication_failed {
            state.health.last_error = Some(FleetError {
                class: error.class(),
                message: error.to_string(),
            });
        }
        tracing::debug!(fleet = %self.key, %error, "list failed");
        busy
    }
}

#[cfg(test)]
#[path = "poll_tests.rs"]
mod tests;
