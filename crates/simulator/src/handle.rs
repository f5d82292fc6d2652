//! The control of a simulator from within a test's process.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cortecs_api::types::{Instance, InstanceArgs};

use crate::{
    catalog::CatalogChange,
    endpoint::Endpoint,
    fault::{Fault, FaultId},
    held::InstanceHistory,
    journal::RequestRecord,
    lag::ListLag,
    omit::Omitted,
    rewrite::Rewrite,
    shared::Shared,
    start,
    world::Refusal,
};

/// Reads and changes the state of a running simulator. A handle is cheap to clone and outlives the simulator.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// The whole state at one time, as predicates of [`Handle::wait_for`] see it.
#[derive(Clone, Debug)]
pub struct View {
    /// All instances ever created, oldest first; of the deleted ones the last 10,000.
    pub instances: Vec<InstanceHistory>,
    pub counts: BTreeMap<Endpoint, u64>,
    /// The latest requests.
    pub requests: Vec<Arc<RequestRecord>>,
}

impl View {
    /// The instances that exist, of all owners.
    pub fn existing(&self) -> impl Iterator<Item = &Instance> {
        let live = self
            .instances
            .iter()
            .filter(|history| history.deleted_at.is_none());
        live.map(|history| &history.instance)
    }

    /// The number of requests to an endpoint since the counts were last reset.
    pub fn count(&self, endpoint: Endpoint) -> u64 {
        self.counts.get(&endpoint).copied().unwrap_or_default()
    }
}

/// The condition of a [`Handle::wait_for`] did not hold in time.
#[derive(Debug, thiserror::Error)]
#[error("the condition did not hold within {after:?}; instances: {states:?}, requests: {counts:?}")]
pub struct WaitTimeout {
    after: Duration,
    states: Vec<String>,
    counts: BTreeMap<Endpoint, u64>,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The latest requests to the API, oldest first: 4096 unless configured.
    pub fn requests(&self) -> Vec<RequestRecord> {
        let records = self.shared.read(|state, _| state.journal.records());
        records.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// The number of requests to each endpoint since the start or the last reset. Unlike the records, no request is dropped.
    pub fn counts(&self) -> BTreeMap<Endpoint, u64> {
        self.shared.read(|state, _| state.journal.counts().clone())
    }

    /// The count of one endpoint.
    pub fn count(&self, endpoint: Endpoint) -> u64 {
        self.counts().get(&endpoint).copied().unwrap_or_default()
    }

    pub fn reset_counts(&self) {
        self.shared.change(|state, _| state.journal.reset_counts());
    }

    /// The instances that the owner of a client id has now, also those that lists do not show. Empty for an unknown client id.
    pub fn instances(&self, client_id: &str) -> Vec<Instance> {
        self.shared
            .read(|state, now| state.world.instances(client_id, now))
    }

    /// All instances of all accounts ever created, oldest first; of the deleted ones the last 10,000.
    pub fn all_started(&self) -> Vec<InstanceHistory> {
        self.shared.read(|state, now| state.world.history(now))
    }

    /// Lets a fault wait for requests. At most 1000 faults wait; beyond that the oldest is removed.
    pub fn add_fault(&self, fault: Fault) -> FaultId {
        self.shared.change(|state, _| state.faults.add(fault))
    }

    /// The faults that still wait, with the rest of their `times`.
    pub fn faults(&self) -> Vec<(FaultId, Fault)> {
        self.shared.read(|state, _| state.faults.waiting())
    }

    pub fn clear_faults(&self) {
        self.shared.change(|state, _| state.faults.clear());
    }

    /// Ends all delays that have begun, as if their time were over, and removes the delays that wait.
    pub fn release_delays(&self) {
        self.shared.release_delays();
    }

    /// Starts an instance as another client with an account's credentials does, and records no request. The instance's id.
    ///
    /// # Errors
    /// The API would answer with 400, or the client id is unknown.
    pub fn outsider_start(&self, client_id: &str, args: InstanceArgs) -> Result<String, Refusal> {
        self.shared.change(|state, now| {
            let args = start::resolve(args.into(), &state.world.catalog)?;
            let instance = state.world.start(client_id, args, now, true)?;
            Ok(instance.instance_id)
        })
    }

    /// Stops an instance of any account as another client does.
    ///
    /// # Errors
    /// There is no such instance, or the instance is stopped already.
    pub fn outsider_stop(&self, instance_id: &str) -> Result<(), Refusal> {
        self.shared
            .change(|state, now| state.world.outsider_stop(instance_id, now))
    }

    /// Restarts a stopped instance of an account as another client does.
    ///
    /// # Errors
    /// No such stopped instance, or no capacity.
    pub fn outsider_restart(&self, client_id: &str, instance_id: &str) -> Result<(), Refusal> {
        self.shared.change(|state, now| {
            let restarted = state.world.restart(client_id, instance_id, now);
            restarted.map(|_| ())
        })
    }

    /// Deletes an instance of any account in any state.
    ///
    /// # Errors
    /// No such instance.
    pub fn outsider_delete(&self, instance_id: &str) -> Result<(), Refusal> {
        self.shared
            .change(|state, now| state.world.outsider_delete(instance_id, now))
    }

    /// Stops all instances of an account as another client does. The ids of the instances that were active.
    pub fn stop_everything(&self, client_id: &str) -> Vec<String> {
        self.shared
            .change(|state, now| state.world.stop_all(client_id, now))
    }

    /// Answers every call with 503, or ends that. Time goes on for the instances.
    pub fn set_down(&self, down: bool) {
        self.shared.change(|state, _| state.down = down);
    }

    /// Lets lists show an older state. Other calls stay up to date.
    pub fn set_list_lag(&self, lag: impl Into<ListLag>) {
        let lag = lag.into();
        self.shared
            .change(|state, now| state.world.lag.set(lag, now));
    }

    /// Makes all tokens invalid that were issued so far.
    pub fn expire_tokens(&self) {
        self.shared
            .change(|state, _| state.world.access.expire_tokens());
    }

    /// Changes an account's secret. Issued tokens stay valid: see [`Handle::expire_tokens`]. False for an unknown client id.
    pub fn set_secret(&self, client_id: &str, secret: impl Into<String>) -> bool {
        let secret = secret.into();
        self.shared
            .change(|state, _| state.world.access.set_secret(client_id, secret))
    }

    /// Gives a client id to another owner from now on. False for an unknown client id.
    pub fn set_owner(&self, client_id: &str, owner: impl Into<String>) -> bool {
        let owner = owner.into();
        self.shared
            .change(|state, _| state.world.access.set_owner(client_id, owner))
    }

    /// Limits how many workers of all accounts can be active on a hardware type. Active workers stay. Starts and restarts beyond
    /// the limit are answered with 400.
    ///
    /// # Errors
    /// There is no such hardware type.
    pub fn set_capacity(&self, hardware_type_id: &str, workers: u32) -> Result<(), Refusal> {
        self.limit(hardware_type_id, Some(workers))
    }

    /// Removes the limit on a hardware type.
    ///
    /// # Errors
    /// There is no such hardware type.
    pub fn lift_capacity(&self, hardware_type_id: &str) -> Result<(), Refusal> {
        self.limit(hardware_type_id, None)
    }

    fn limit(&self, hardware: &str, workers: Option<u32>) -> Result<(), Refusal> {
        self.shared
            .change(|state, _| state.world.set_capacity(hardware, workers))
    }

    /// Changes the models and hardware types that the API offers.
    pub fn change_catalog(&self, change: CatalogChange) {
        self.shared
            .change(|state, _| state.world.catalog.change(change));
    }

    /// Sets how long each step of a worker takes, for starts and restarts from now on. With a long step a start hangs.
    pub fn set_step_duration(&self, duration: Duration) {
        self.shared.change(|state, _| state.world.step = duration);
    }

    /// From now on answers leave these fields out of instances, and no others.
    pub fn omit(&self, fields: impl IntoIterator<Item = Omitted>) {
        let fields = fields.into_iter().collect();
        self.shared.change(|state, _| state.world.omits = fields);
    }

    /// From now on answers have these values so, and all others as they are.
    pub fn rewrite(&self, rewrites: impl IntoIterator<Item = Rewrite>) {
        let rewrites = rewrites.into_iter().collect();
        self.shared
            .change(|state, _| state.world.rewrites = rewrites);
    }

    /// The whole state now.
    pub fn view(&self) -> View {
        self.view_and_next_change().0
    }

    /// Waits until the predicate holds. Looks now, after every change, and when a worker takes a step.
    ///
    /// # Errors
    /// The predicate did not hold within `deadline`. The error has the last state.
    pub async fn wait_for(
        &self,
        predicate: impl Fn(&View) -> bool,
        deadline: Duration,
    ) -> Result<(), WaitTimeout> {
        let end = tokio::time::Instant::now() + deadline;
        let mut changes = self.shared.subscribe();
        loop {
            changes.mark_unchanged();
            let (view, next) = self.view_and_next_change();
            if predicate(&view) {
                return Ok(());
            }
            if tokio::time::Instant::now() >= end {
                return Err(WaitTimeout {
                    after: deadline,
                    states: states(&view),
                    counts: view.counts,
                });
            }
            let step = next.and_then(|next| self.shared.instant(next));
            let wake = step.map_or(end, |step| step.min(end));
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    fn view_and_next_change(&self) -> (View, Option<Duration>) {
        self.shared.read(|state, now| {
            let view = View {
                instances: state.world.history(now),
                counts: state.journal.counts().clone(),
                requests: state.journal.records(),
            };
            (view, state.world.next_change(now))
        })
    }
}

fn states(view: &View) -> Vec<String> {
    let existing = view.existing();
    existing
        .map(|instance| {
            let state = instance.instance_status.status.as_str();
            format!(
                "{} of {} {state}",
                instance.instance_id, instance.instance_args.model_id
            )
        })
        .take(20)
        .collect()
}
