//! A fleet: its client, its poll loop and its last good list.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard},
};

use cortecs_api::{Client, Credentials, RetryClass, types::Instance};
use cortecs_clock as clock;
use cortecs_clock::Moment;
use cortecs_resources::key::ObjectKey;
use cortecs_rules::{
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
    finances::Finances,
    hooks::{FleetObserver, Listed},
    supervise::supervise,
    turns::Turns,
};
use crate::mutex::lock;

/// The client of one client id at one API, and the last list. One loop lists for all accounts and resources of the fleet.
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
    finances: Finances,
    state: Mutex<State>,
    wake: Notify,
    /// The number of lists that have succeeded or failed.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    schedule: Schedule,
    settings: PollSettings,
    busy: BTreeSet<ObjectKey>,
    snapshot: Option<Arc<Snapshot>>,
    health: FleetHealth,
    /// The last list succeeded and was not published.
    withheld: bool,
    /// A list has failed since the last published one.
    failing: bool,
    /// Counts changes of the credentials, to ignore the refusal of earlier ones.
    credentials: u64,
}

/// A list that has begun.
struct ListRequest {
    requested_at: Moment,
    credentials: u64,
}

impl Fleet {
    /// Starts the poll loop. Call this within a tokio runtime.
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
            finances: Finances::default(),
            state: Mutex::new(State {
                settings,
                ..State::default()
            }),
            wake: Notify::new(),
            ended: watch::Sender::new(0),
        });
        let looped = Arc::clone(&inner);
        let task = tokio::spawn(supervise(looped.key.clone(), move || {
            let inner = Arc::clone(&looped);
            // A slow request for prices must not delay a list.
            async move {
                tokio::join!(inner.poll_lists(), inner.poll_finances());
            }
        }));
        Self { inner, task }
    }

    pub fn key(&self) -> &FleetKey {
        &self.inner.key
    }

    /// The client, for calls about single instances. After a call has failed with [`RetryClass::Auth`], request a list: the loop
    /// then finds out whether the API refuses the credentials.
    pub fn client(&self) -> &Client {
        &self.inner.client
    }

    /// The turns of the calls about single instances.
    pub fn turns(&self) -> &Turns {
        &self.inner.turns
    }

    /// The last published list.
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.inner.state().snapshot.clone()
    }

    /// The last published list, unless a newer one is withheld.
    pub(crate) fn newest_snapshot(&self) -> Option<Arc<Snapshot>> {
        let state = self.inner.state();
        state.snapshot.clone().filter(|_| !state.withheld)
    }

    /// The prices of the API and the balance of the owner.
    pub(crate) fn finances(&self) -> &Finances {
        &self.inner.finances
    }

    pub fn health(&self) -> FleetHealth {
        self.inner.state().health.clone()
    }

    /// The number of lists that have succeeded or failed; for waiting.
    pub fn ended(&self) -> watch::Receiver<u64> {
        self.inner.ended.subscribe()
    }

    /// Requests a list that begins after the moment `after`, unless the last list already did. The shortest interval of lists and
    /// the backoff after a failure still apply.
    pub fn request_list_after(&self, after: Moment) {
        self.inner.state().schedule.request(after);
        self.inner.wake.notify_one();
    }

    /// Requests a list if the last one is withheld.
    pub(crate) fn request_withheld(&self) {
        if self.inner.state().withheld {
            self.request_list_after(clock::moment());
        }
    }

    /// Sets whether the resource `key` is busy: something is in progress that the next lists will show. Whether this is a change.
    /// While any resource is busy, the active interval applies.
    pub fn set_busy(&self, key: &ObjectKey, busy: bool) -> bool {
        let mut state = self.inner.state();
        let was_idle = state.busy.is_empty();
        let changed = match busy {
            true => !state.busy.contains(key) && state.busy.insert(key.clone()),
            false => state.busy.remove(key),
        };
        if was_idle != state.busy.is_empty() {
            self.inner.wake.notify_one();
        }
        changed
    }

    /// Computes the summary of the last list anew: a removed resource may have left an instance.
    pub fn claims_changed(&self) {
        self.inner.observer.on_summary_stale(&self.inner.key);
    }

    /// Replaces the intervals.
    pub fn set_settings(&self, settings: PollSettings) {
        let before = std::mem::replace(&mut self.inner.state().settings, settings);
        if before != settings {
            self.inner.wake.notify_one();
        }
    }

    /// Replaces the client secret if it differs, and lists with the new one at once.
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

    /// Stops the loop. The last list stays readable.
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
    /// Locks the state. The lock must not be kept across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Asks for prices and balance; never completes.
    async fn poll_finances(&self) {
        let on_change = || self.observer.on_summary_stale(&self.key);
        let on_prices = || self.observer.on_prices_changed(&self.key);
        let is_spending = || {
            let snapshot = self.state().snapshot.clone();
            let mut instances = snapshot.iter().flat_map(|list| list.instances.values());
            instances.any(|instance| !instance.is_stopped())
        };
        let (client, key) = (&self.client, &self.key);
        tokio::join!(
            self.finances.poll_prices(client, key, on_prices),
            self.finances
                .poll_balance(client, key, is_spending, on_change),
        );
    }

    async fn poll_lists(&self) -> Infallible {
        loop {
            self.wait_until_due().await;
            let request = self.begin();
            let result = self.client.list_instances().await;
            self.turns.record_list(&result);
            self.end(&request, result);
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
                // A notification from before this await is not lost.
                () = self.wake.notified() => {}
            }
        }
    }

    fn begin(&self) -> ListRequest {
        let mut state = self.state();
        // Read under the lock, so that this list serves each request before this moment.
        let requested_at = clock::moment();
        state.schedule.begin(requested_at);
        ListRequest {
            requested_at,
            credentials: state.credentials,
        }
    }

    fn end(&self, request: &ListRequest, result: Result<Vec<Instance>, cortecs_api::Error>) {
        match result {
            Ok(instances) => {
                let (old, new) = self.succeed(request, instances);
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
                let busy = self.fail(request, &error);
                self.observer.on_list_failed(&self.key, &busy);
            }
        }
        self.ended.send_modify(|count| *count += 1);
    }

    fn succeed(
        &self,
        request: &ListRequest,
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
            requested_at: request.requested_at,
            received_at,
            instances,
        });
        state.withheld = true;
        state.schedule.succeed(received_at, fastrand::f64());
        state.health.clear();
        (old, new)
    }

    /// Publishes a list. Returns the busy resources, and whether a list has failed since the last published one.
    fn publish(&self, new: &Arc<Snapshot>) -> (Vec<ObjectKey>, bool) {
        let mut state = self.state();
        state.withheld = false;
        state.snapshot = Some(Arc::clone(new));
        let recovered = std::mem::take(&mut state.failing);
        let interval = state.settings.interval(!state.busy.is_empty());
        state.health.note_good(new, interval);
        (state.busy.iter().cloned().collect(), recovered)
    }

    /// Records a failed list. Returns the busy resources.
    fn fail(&self, request: &ListRequest, error: &cortecs_api::Error) -> Vec<ObjectKey> {
        let now = clock::moment();
        let auth = error.class() == RetryClass::Auth;
        let mut state = self.state();
        state.failing = true;
        let busy = state.busy.iter().cloned().collect();
        let superseded = request.credentials != state.credentials;
        let failure = Failure {
            auth,
            retry_after: error.retry_after(),
        };
        let interval = state.settings.interval(!state.busy.is_empty());
        state
            .schedule
            .fail(now, failure, interval, self.limits, fastrand::f64());
        if auth && superseded {
            // The refusal is about the earlier credentials. The new ones have not been tried yet.
            state.schedule.start_over();
            return busy;
        }
        state.health.failures = state.schedule.failures();
        if auth {
            state.health.authentication_failed = true;
            state.health.refused_at = Some(now);
        }
        // A refusal of the credentials stays visible until a list succeeds or the credentials change.
        if auth || !state.health.authentication_failed {
            state.health.last_error = Some(FleetError {
                class: error.class(),
                message: error.to_string(),
                elsewhere: error
                    .leads_elsewhere()
                    .then(|| error.exchange(&self.key.api_url)),
            });
        }
        tracing::debug!(fleet = %self.key, %error, "a list failed");
        busy
    }
}

#[cfg(test)]
#[path = "poll_tests.rs"]
mod tests;
