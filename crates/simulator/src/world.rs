//! The instances of the simulated API, and the effects of its calls. No I/O and no clock: callers pass the time in, as the
//! duration since the simulator's start.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use cortecs_api::types::{Balance, HardwareType, Instance, InstanceArgs};
use jiff::Timestamp;

use crate::{
    access::Access,
    catalog::{CURRENCY, Catalog},
    held::{Held, InstanceHistory},
    lag::Lag,
    omit::Omitted,
    rewrite::Rewrite,
};

/// The most deleted instances that are kept.
const MAX_DELETED: usize = 10_000;
/// The most instances of one owner.
const MAX_INSTANCES: usize = 5_000;

/// The reason for an answer of 400, with the text of its `message`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

impl Refusal {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    fn no_instance(id: &str) -> Self {
        Self(format!("Instance {id} not found"))
    }
}

pub(super) struct World {
    pub(super) access: Access,
    pub(super) catalog: Catalog,
    pub(super) lag: Lag,
    /// What answers leave out of instances.
    pub(super) omits: BTreeSet<Omitted>,
    pub(super) rewrites: Vec<Rewrite>,
    /// The step duration of instances that are started or restarted from now on.
    pub(super) step: Duration,
    epoch: Timestamp,
    initial_balance: f64,
    rng: fastrand::Rng,
    /// All instances, also the deleted ones, oldest first.
    instances: Vec<Held>,
    /// The cost in EUR of instances whose history was dropped, by owner.
    forgotten: BTreeMap<String, f64>,
    /// The most active workers, by hardware type; no limit if absent.
    capacity: BTreeMap<String, u32>,
}

impl World {
    /// `epoch` is the calendar time of the simulator's start.
    pub(super) fn new(
        access: Access,
        step: Duration,
        initial_balance: f64,
        epoch: Timestamp,
        rng: fastrand::Rng,
    ) -> Self {
        Self {
            access,
            catalog: Catalog::new(),
            lag: Lag::default(),
            omits: BTreeSet::new(),
            rewrites: Vec::new(),
            step,
            epoch,
            initial_balance,
            rng,
            instances: Vec::new(),
            forgotten: BTreeMap::new(),
            capacity: BTreeMap::new(),
        }
    }

    /// Starts an instance whose args are resolved (see [`super::start`]).
    pub(super) fn start(
        &mut self,
        client_id: &str,
        args: InstanceArgs,
        now: Duration,
        outsider: bool,
    ) -> Result<Instance, Refusal> {
        let owner = self.owner(client_id)?;
        let hardware = args.hardware_type_id.clone().unwrap_or_default();
        self.check_capacity(&hardware, args.num_workers.unwrap_or(1))?;
        if self.live(&owner).count() >= MAX_INSTANCES {
            return Err(Refusal::new("The maximum number of instances is reached"));
        }
        let id = format!("{:024x}", self.rng.u128(..) >> 32);
        let mut held = Held::new(id, owner, client_id.to_owned(), args);
        held.outsider = outsider;
        held.created = now;
        held.run(now, self.step);
        let instance = held.view(now, self.epoch);
        self.instances.push(held);
        Ok(instance)
    }

    pub(super) fn restart(
        &mut self,
        client_id: &str,
        id: &str,
        now: Duration,
    ) -> Result<Instance, Refusal> {
        let (step, epoch) = (self.step, self.epoch);
        let held = self.find(client_id, id)?;
        if held.is_active() {
            return Err(Refusal(format!("Instance {id} is not stopped")));
        }
        let (hardware, workers) = (held.hardware().to_owned(), held.workers());
        self.check_capacity(&hardware, workers)?;
        let held = self.find(client_id, id)?;
        held.run(now, step);
        Ok(held.view(now, epoch))
    }

    pub(super) fn stop(
        &mut self,
        client_id: &str,
        id: &str,
        now: Duration,
    ) -> Result<Instance, Refusal> {
        if !self.find(client_id, id)?.is_active() {
            return Err(Refusal(format!("Instance {id} is already stopped")));
        }
        self.stop_where(now, |held| held.id == id);
        self.get(client_id, id, now)
    }

    /// Stops all instances of an account. The ids of those that were running or pending.
    pub(super) fn stop_all(&mut self, client_id: &str, now: Duration) -> Vec<String> {
        let owner = self.owner(client_id);
        self.stop_where(now, |held| owner.as_ref() == Ok(&held.owner))
    }

    pub(super) fn delete(
        &mut self,
        client_id: &str,
        id: &str,
        now: Duration,
    ) -> Result<(), Refusal> {
        if self.find(client_id, id)?.is_active() {
            return Err(Refusal(format!(
                "Instance {id} must be stopped before it can be deleted"
            )));
        }
        self.delete_where(now, |held| held.id == id);
        Ok(())
    }

    /// Deletes the stopped instances of an account, or with `force` all. The ids of the deleted ones.
    pub(super) fn delete_all(
        &mut self,
        client_id: &str,
        force: bool,
        now: Duration,
    ) -> Vec<String> {
        let owner = self.owner(client_id);
        self.delete_where(now, |held| {
            owner.as_ref() == Ok(&held.owner) && (force || !held.is_active())
        })
    }

    pub(super) fn get(
        &mut self,
        client_id: &str,
        id: &str,
        now: Duration,
    ) -> Result<Instance, Refusal> {
        let epoch = self.epoch;
        self.find(client_id, id).map(|held| held.view(now, epoch))
    }

    /// The answer to a list call, with the lag.
    pub(super) fn list(&mut self, client_id: &str, now: Duration) -> Vec<Instance> {
        let Ok(owner) = self.owner(client_id) else {
            return Vec::new();
        };
        let shown = self.lag.serve(&owner, now);
        self.instances
            .iter()
            .filter(|held| held.owner == owner && held.existed_at(shown))
            .map(|held| held.view(shown, self.epoch))
            .collect()
    }

    /// All instances that exist now, without a lag. Nothing for an unknown account.
    pub(super) fn instances(&self, client_id: &str, now: Duration) -> Vec<Instance> {
        let owner = self.owner(client_id).unwrap_or_default();
        self.live(&owner)
            .map(|held| held.view(now, self.epoch))
            .collect()
    }

    /// All instances that ever existed, oldest first.
    pub(super) fn history(&self, now: Duration) -> Vec<InstanceHistory> {
        let all = self.instances.iter();
        all.map(|held| held.history(now, self.epoch, &self.catalog))
            .collect()
    }

    /// The model of an instance of any owner.
    pub(super) fn model_of(&self, id: &str) -> Option<&str> {
        let held = self.instances.iter().find(|held| held.id == id)?;
        Some(&held.args.model_id)
    }

    /// The balance: what is left after all costs.
    pub(super) fn balance(&self, client_id: &str, now: Duration) -> Balance {
        let owner = self.owner(client_id).unwrap_or_default();
        let mine = self.instances.iter().filter(|held| held.owner == owner);
        let spent: f64 = mine.map(|held| held.cost(now, &self.catalog)).sum();
        let forgotten = self.forgotten.get(&owner).copied().unwrap_or_default();
        let left = self.initial_balance - spent - forgotten;
        Balance {
            current_balance: (left * 10_000.0).round() / 10_000.0,
            currency: CURRENCY.to_owned(),
        }
    }

    /// The hardware types on which another worker fits.
    pub(super) fn available_hardware(&self) -> Vec<HardwareType> {
        let types = self.catalog.hardware_types().iter();
        types
            .filter(|hardware| self.check_capacity(&hardware.hardware_type_id, 1).is_ok())
            .cloned()
            .collect()
    }

    /// The time of the next step of any worker.
    pub(super) fn next_change(&self, now: Duration) -> Option<Duration> {
        self.instances
            .iter()
            .filter_map(|held| held.next_change(now))
            .min()
    }

    /// Stops an instance of any account.
    pub(super) fn outsider_stop(&mut self, id: &str, now: Duration) -> Result<(), Refusal> {
        match self.stop_where(now, |held| held.id == id).is_empty() {
            true => Err(Refusal(format!("Instance {id} is not active"))),
            false => Ok(()),
        }
    }

    /// Deletes an instance of any account in any state.
    pub(super) fn outsider_delete(&mut self, id: &str, now: Duration) -> Result<(), Refusal> {
        match self.delete_where(now, |held| held.id == id).is_empty() {
            true => Err(Refusal::no_instance(id)),
            false => Ok(()),
        }
    }

    /// Limits the active workers on a hardware type, or lifts the limit.
    pub(super) fn set_capacity(
        &mut self,
        hardware: &str,
        workers: Option<u32>,
    ) -> Result<(), Refusal> {
        let mut types = self.catalog.hardware_types().iter();
        if !types.any(|known| known.hardware_type_id == hardware) {
            return Err(Refusal(format!("Unknown hardware type {hardware}")));
        }
        match workers {
            Some(workers) => self.capacity.insert(hardware.to_owned(), workers),
            None => self.capacity.remove(hardware),
        };
        Ok(())
    }

    fn check_capacity(&self, hardware: &str, workers: u32) -> Result<(), Refusal> {
        let Some(capacity) = self.capacity.get(hardware) else {
            return Ok(());
        };
        let active = self.instances.iter().filter(|held| held.is_active());
        let used: u32 = active
            .filter(|held| held.hardware() == hardware)
            .map(Held::workers)
            .sum();
        if used.saturating_add(workers) > *capacity {
            return Err(Refusal(format!(
                "No capacity available for hardware type {hardware} at the moment"
            )));
        }
        Ok(())
    }

    fn owner(&self, client_id: &str) -> Result<String, Refusal> {
        let owner = self.access.owner(client_id).map(str::to_owned);
        owner.ok_or_else(|| Refusal(format!("No account has the client id {client_id}")))
    }

    fn live<'a>(&'a self, owner: &'a str) -> impl Iterator<Item = &'a Held> {
        self.instances
            .iter()
            .filter(move |held| held.owner == owner && held.deleted.is_none())
    }

    fn find(&mut self, client_id: &str, id: &str) -> Result<&mut Held, Refusal> {
        let owner = self.owner(client_id)?;
        self.instances
            .iter_mut()
            .find(|held| held.id == id && held.owner == owner && held.deleted.is_none())
            .ok_or_else(|| Refusal::no_instance(id))
    }

    fn stop_where(&mut self, now: Duration, wanted: impl Fn(&Held) -> bool) -> Vec<String> {
        let active = self
            .instances
            .iter_mut()
            .filter(|held| held.is_active() && wanted(held));
        active
            .map(|held| {
                held.stop(now, &self.catalog);
                held.id.clone()
            })
            .collect()
    }

    fn delete_where(&mut self, now: Duration, wanted: impl Fn(&Held) -> bool) -> Vec<String> {
        let live = self
            .instances
            .iter_mut()
            .filter(|held| held.deleted.is_none() && wanted(held));
        let ids = live
            .map(|held| {
                held.delete(now, &self.catalog);
                held.id.clone()
            })
            .collect();
        self.drop_old_history(now);
        ids
    }

    fn drop_old_history(&mut self, now: Duration) {
        let deleted = self
            .instances
            .iter()
            .filter(|held| held.deleted.is_some())
            .count();
        let mut excess = deleted.saturating_sub(MAX_DELETED);
        let (catalog, forgotten) = (&self.catalog, &mut self.forgotten);
        self.instances.retain(|held| {
            if excess == 0 || held.deleted.is_none() {
                return true;
            }
            excess -= 1;
            *forgotten.entry(held.owner.clone()).or_default() += held.cost(now, catalog);
            false
        });
    }
}
