//! The simulator in the hands of a test.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cortecs_api::types::{Instance, InstanceArgs};

use crate::{
    endpoint::Endpoint,
    fault::{Fault, FaultId},
    held::InstanceHistory,
    journal::RequestRecord,
    lag::ListLag,
    shared::Shared,
    start,
    world::Refusal,
};

/// Looks into a running simulator and acts on it. Cheap to clone; outlives the simulator.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// The whole state at one time, as predicates of [`Handle::wait_for`] see it.
#[derive(Clone, Debug)]
pub struct View {
    /// Every instance ever created (the last 10,000 deleted ones), oldest first.
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

    /// How many requests to an endpoint there were since the counts were last reset.
    pub fn count(&self, endpoint: Endpoint) -> u64 {
        self.counts.get(&endpoint).copied().unwrap_or_default()
    }
}

/// A [`Handle::wait_for`] whose condition did not come true in time.
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

    /// The latest requests to the API (4096 unless configured), oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        let records = self.shared.read(|state, _| state.journal.records());
        records.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// How many requests each endpoint got since the start or the last reset; none is ever dropped.
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

    /// The instances that the owner of a client id has now, whatever lists show. Empty for an unknown client id.
    pub fn instances(&self, client_id: &str) -> Vec<Instance> {
        self.shared
            .read(|state, now| state.world.instances(client_id, now))
    }

    /// Every instance ever created (the last 10,000 deleted ones), of all accounts, oldest first.
    pub fn all_started(&self) -> Vec<InstanceHistory> {
        self.shared.read(|state, now| state.world.history(now))
    }

    /// Lets a fault wait for requests (at most 1000 do: then the oldest goes).
    pub fn add_fault(&self, fault: Fault) -> FaultId {
        self.shared.change(|state, _| state.faults.add(fault))
    }

    /// The faults that still wait, with what is left of their `times`.
    pub fn faults(&self) -> Vec<(FaultId, Fault)> {
        self.shared.read(|state, _| state.faults.waiting())
    }

    pub fn clear_faults(&self) {
        self.shared.change(|state, _| state.faults.clear());
    }

    /// Ends every delay that has begun, as if its time were over, and removes those that wait.
    pub fn release_delays(&self) {
        self.shared.release_delays();
    }

    /// Someone else starts an instance with an account's credentials; no request is recorded. The instance's id.
    ///
    /// # Errors
    /// What the API would answer with 400, or an unknown client id.
    pub fn outsider_start(&self, client_id: &str, args: InstanceArgs) -> Result<String, Refusal> {
        self.shared.change(|state, now| {
            let args = start::resolve(args.into(), &state.world.catalog)?;
            let instance = state.world.start(client_id, args, now, true)?;
            Ok(instance.instance_id)
        })
    }

    /// Someone else stops an instance of any account.
    ///
    /// # Errors
    /// No such instance, or it is stopped already.
    pub fn outsider_stop(&self, instance_id: &str) -> Result<(), Refusal> {
        self.shared
            .change(|state, now| state.world.outsider_stop(instance_id, now))
    }

    /// An instance of any account vanishes, whatever its state.
    ///
    /// # Errors
    /// No such instance.
    pub fn outsider_delete(&self, instance_id: &str) -> Result<(), Refusal> {
        self.shared
            .change(|state, now| state.world.outsider_delete(instance_id, now))
    }

    /// Someone else stops everything of an account; the ids of what was active.
    pub fn stop_everything(&self, client_id: &str) -> Vec<String> {
        self.shared
            .change(|state, now| state.world.stop_all(client_id, now))
    }

    /// While down, every call is answered with 503. Time goes on for the instances.
    pub fn set_down(&self, down: bool) {
        self.shared.change(|state, _| state.down = down);
    }

    /// Lets lists show an older state; other calls stay up to date.
    pub fn set_list_lag(&self, lag: impl Into<ListLag>) {
        let lag = lag.into();
        self.shared
            .change(|state, now| state.world.lag.set(lag, now));
    }

    /// Every token issued so far is worth nothing from now on.
    pub fn expire_tokens(&self) {
        self.shared
            .change(|state, _| state.world.access.expire_tokens());
    }

    /// Changes an account's secret. Tokens stay valid: see [`Handle::expire_tokens`]. False for an unknown client id.
    pub fn set_secret(&self, client_id: &str, secret: impl Into<String>) -> bool {
        let secret = secret.into();
        self.shared
            .change(|state, _| state.world.access.set_secret(client_id, secret))
    }

    /// Lets a client id stand for another owner's instances from now on. False for an unknown client id.
    pub fn set_owner(&self, client_id: &str, owner: impl Into<String>) -> bool {
        let owner = owner.into();
        self.shared
            .change(|state, _| state.world.access.set_owner(client_id, owner))
    }

    /// Limits how many workers can be active on a hardware type, over all accounts. What is active stays; starts and
    /// restarts beyond are answered with 400.
    ///
    /// # Errors
    /// No such hardware type.
    pub fn set_capacity(&self, hardware_type_id: &str, workers: u32) -> Result<(), Refusal> {
        self.limit(hardware_type_id, Some(workers))
    }

    /// Takes the limit away.
    ///
    /// # Errors
    /// No such hardware type.
    pub fn lift_capacity(&self, hardware_type_id: &str) -> Result<(), Refusal> {
        self.limit(hardware_type_id, None)
    }

    fn limit(&self, hardware: &str, workers: Option<u32>) -> Result<(), Refusal> {
        self.shared
            .change(|state, _| state.world.set_capacity(hardware, workers))
    }

    /// How long a worker takes for each step, of what is started or restarted from now on. A long one is a start that hangs.
    pub fn set_step_duration(&self, duration: Duration) {
        self.shared.change(|state, _| state.world.step = duration);
    }

    /// Lets answers leave `num_workers` out of `instance_args`.
    pub fn omit_num_workers(&self, omit: bool) {
        self.shared
            .change(|state, _| state.world.omit_num_workers = omit);
    }

    /// The whole state now.
    pub fn view(&self) -> View {
        self.view_and_next_change().0
    }

    /// Waits until the predicate holds: looks now, after every change, and whenever a worker takes a step.
    ///
    /// # Errors
    /// It did not hold within `deadline`; the error says how things stood.
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
