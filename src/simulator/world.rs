//! The state of the simulated API and what its calls do to it. No I/O and no clock: time is passed in, as the duration
//! since the simulator's start.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    account::SimulatedAccount,
    catalog::{CURRENCY, Catalog},
    held::{Held, InstanceHistory},
};
use crate::cortecs::types::{Balance, HardwareType, Instance, InstanceArgs};

/// Deleted instances kept as history.
const MAX_DELETED: usize = 10_000;
/// Instances of one owner.
const MAX_INSTANCES: usize = 5_000;
const MAX_TOKENS: usize = 1_000;
/// Past list calls remembered per owner; the largest lag in lists.
const MAX_LISTS: usize = 256;

/// Why a call was answered with 400, as its `message` says it.
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

/// How old the state is that lists show. The other calls are never behind.
///
/// A list never goes back behind the state at the time the lag was set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListLag {
    #[default]
    None,
    /// As it was this long ago.
    #[serde(rename = "milliseconds", with = "super::millis")]
    Time(Duration),
    /// As it was when the owner's n-th last list was served (at most 256): a new instance is missing from n lists,
    /// a deleted one is still shown in n.
    Lists(usize),
}

impl From<Duration> for ListLag {
    fn from(lag: Duration) -> Self {
        Self::Time(lag)
    }
}

impl From<usize> for ListLag {
    fn from(lists: usize) -> Self {
        Self::Lists(lists)
    }
}

struct Token {
    client_id: String,
    expires: Duration,
}

pub(super) struct World {
    pub(super) catalog: Catalog,
    pub(super) omit_num_workers: bool,
    accounts: Vec<SimulatedAccount>,
    step: Duration,
    token_lifetime: Duration,
    initial_balance: f64,
    epoch: Timestamp,
    rng: fastrand::Rng,
    /// Oldest first.
    tokens: VecDeque<(String, Token)>,
    /// Oldest first.
    instances: Vec<Held>,
    /// EUR of instances whose history was dropped, by owner.
    forgotten: BTreeMap<String, f64>,
    /// Workers that fit, by hardware type; unlimited where absent.
    capacity: BTreeMap<String, u32>,
    lag: ListLag,
    lag_since: Duration,
    lists: BTreeMap<String, VecDeque<Duration>>,
}

/// What a [`World`] is made of.
pub(super) struct Laws {
    pub(super) accounts: Vec<SimulatedAccount>,
    pub(super) step: Duration,
    pub(super) token_lifetime: Duration,
    pub(super) initial_balance: f64,
    pub(super) epoch: Timestamp,
    pub(super) rng: fastrand::Rng,
}

impl World {
    pub(super) fn new(laws: Laws) -> Self {
        Self {
            catalog: Catalog::new(),
            omit_num_workers: false,
            accounts: laws.accounts,
            step: laws.step,
            token_lifetime: laws.token_lifetime,
            initial_balance: laws.initial_balance,
            epoch: laws.epoch,
            rng: laws.rng,
            tokens: VecDeque::new(),
            instances: Vec::new(),
            forgotten: BTreeMap::new(),
            capacity: BTreeMap::new(),
            lag: ListLag::None,
            lag_since: Duration::ZERO,
            lists: BTreeMap::new(),
        }
    }

    pub(super) fn token_lifetime(&self) -> Duration {
        self.token_lifetime
    }

    // Accounts and tokens.

    /// A new access token, unless the pair is wrong.
    pub(super) fn issue_token(&mut self, id: &str, secret: &str, now: Duration) -> Option<String> {
        let mut known = self.accounts.iter();
        let account = known.find(|a| a.client_id == id && a.client_secret == secret)?;
        let client_id = account.client_id.clone();
        self.tokens.retain(|(_, token)| token.expires > now);
        if self.tokens.len() >= MAX_TOKENS {
            self.tokens.pop_front();
        }
        let token = format!("{}{}", self.fresh_id(), self.fresh_id());
        let expires = now.saturating_add(self.token_lifetime);
        self.tokens
            .push_back((token.clone(), Token { client_id, expires }));
        Some(token)
    }

    /// The client id that a valid token belongs to.
    pub(super) fn authenticate(&self, token: &str, now: Duration) -> Option<String> {
        let (_, found) = self.tokens.iter().find(|(word, _)| word == token)?;
        (found.expires > now).then(|| found.client_id.clone())
    }

    pub(super) fn revoke(&mut self, token: &str) {
        self.tokens.retain(|(word, _)| word != token);
    }

    pub(super) fn expire_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Changes a secret; tokens that were issued stay valid. False for an unknown account.
    pub(super) fn set_secret(&mut self, client_id: &str, secret: String) -> bool {
        match self
            .accounts
            .iter_mut()
            .find(|account| account.client_id == client_id)
        {
            Some(account) => {
                account.client_secret = secret;
                true
            }
            None => false,
        }
    }

    pub(super) fn has_account(&self, client_id: &str) -> bool {
        self.owner(client_id).is_some()
    }

    fn owner(&self, client_id: &str) -> Option<String> {
        let mut accounts = self.accounts.iter();
        let account = accounts.find(|account| account.client_id == client_id)?;
        Some(account.owner.clone())
    }

    fn owner_or_refuse(&self, client_id: &str) -> Result<String, Refusal> {
        self.owner(client_id)
            .ok_or_else(|| Refusal::new(format!("No account has the client id {client_id}")))
    }

    // Instances.

    /// Starts an instance whose args are resolved (see [`super::start`]).
    pub(super) fn start(
        &mut self,
        client_id: &str,
        args: InstanceArgs,
        now: Duration,
        outsider: bool,
    ) -> Result<Instance, Refusal> {
        let owner = self.owner_or_refuse(client_id)?;
        let hardware = args.hardware_type_id.clone().unwrap_or_default();
        self.check_capacity(&hardware, args.num_workers.unwrap_or(1))?;
        if self.live(&owner).count() >= MAX_INSTANCES {
            return Err(Refusal::new("The maximum number of instances is reached"));
        }
        let id = self.fresh_id();
        let held = Held::start(id, owner, client_id.to_owned(), args, now, outsider);
        let instance = held.view(now, self.step, self.epoch);
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
            return Err(Refusal::new(format!("Instance {id} is not stopped")));
        }
        let (hardware, workers) = (held.hardware().to_owned(), held.workers());
        self.check_capacity(&hardware, workers)?;
        let held = self.find(client_id, id)?;
        held.restart(now);
        Ok(held.view(now, step, epoch))
    }

    pub(super) fn stop(
        &mut self,
        client_id: &str,
        id: &str,
        now: Duration,
    ) -> Result<Instance, Refusal> {
        let index = self.position(client_id, id)?;
        let (step, epoch) = (self.step, self.epoch);
        let held = self.at(index, id)?;
        if !held.is_active() {
            return Err(Refusal::new(format!("Instance {id} is already stopped")));
        }
        self.stop_where(now, |held| held.id == id);
        Ok(self.at(index, id)?.view(now, step, epoch))
    }

    /// The ids of those that were running or pending.
    pub(super) fn stop_all(&mut self, client_id: &str, now: Duration) -> Vec<String> {
        let owner = self.owner(client_id);
        self.stop_where(now, |held| Some(&held.owner) == owner.as_ref())
    }

    pub(super) fn delete(
        &mut self,
        client_id: &str,
        id: &str,
        now: Duration,
    ) -> Result<(), Refusal> {
        let held = self.find(client_id, id)?;
        if held.is_active() {
            return Err(Refusal::new(format!(
                "Instance {id} must be stopped before it can be deleted"
            )));
        }
        self.delete_where(now, |held| held.id == id);
        Ok(())
    }

    /// The ids of the deleted: the stopped ones, or with `force` all.
    pub(super) fn delete_all(
        &mut self,
        client_id: &str,
        force: bool,
        now: Duration,
    ) -> Vec<String> {
        let owner = self.owner(client_id);
        self.delete_where(now, |held| {
            Some(&held.owner) == owner.as_ref() && (force || !held.is_active())
        })
    }

    pub(super) fn get(
        &mut self,
        client_id: &str,
        id: &str,
        now: Duration,
    ) -> Result<Instance, Refusal> {
        let (step, epoch) = (self.step, self.epoch);
        self.find(client_id, id)
            .map(|held| held.view(now, step, epoch))
    }

    /// What the list call answers: as old as the lag says.
    pub(super) fn list(&mut self, client_id: &str, now: Duration) -> Vec<Instance> {
        let Some(owner) = self.owner(client_id) else {
            return Vec::new();
        };
        let past = self.lists.entry(owner.clone()).or_default();
        let at = match self.lag {
            ListLag::None => now,
            ListLag::Time(lag) => now.saturating_sub(lag).max(self.lag_since),
            ListLag::Lists(0) => now,
            ListLag::Lists(lists) => past
                .len()
                .checked_sub(lists.min(MAX_LISTS))
                .and_then(|index| past.get(index).copied())
                .unwrap_or_default()
                .max(self.lag_since),
        };
        past.push_back(now);
        if past.len() > MAX_LISTS {
            past.pop_front();
        }
        self.instances
            .iter()
            .filter(|held| held.owner == owner && held.existed_at(at))
            .map(|held| held.view(at, self.step, self.epoch))
            .collect()
    }

    /// All that exist now, without any lag; nothing for an unknown account.
    pub(super) fn instances(&self, client_id: &str, now: Duration) -> Vec<Instance> {
        let owner = self.owner(client_id).unwrap_or_default();
        self.live(&owner)
            .map(|held| held.view(now, self.step, self.epoch))
            .collect()
    }

    /// All that ever existed, oldest first.
    pub(super) fn history(&self, now: Duration) -> Vec<InstanceHistory> {
        self.instances
            .iter()
            .map(|held| held.history(now, self.step, self.epoch, &self.catalog))
            .collect()
    }

    /// The model of an existing instance, whoever owns it.
    pub(super) fn model_of(&self, id: &str) -> Option<&str> {
        let mut found = self.instances.iter().filter(|held| held.id == id);
        found.next().map(|held| held.args.model_id.as_str())
    }

    /// Money left after everything that was billed.
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

    /// When the next worker takes a step.
    pub(super) fn next_change(&self, now: Duration) -> Option<Duration> {
        self.instances
            .iter()
            .filter_map(|held| held.next_change(now, self.step))
            .min()
    }

    // What others do.

    /// Stops an instance of any account.
    pub(super) fn outsider_stop(&mut self, id: &str, now: Duration) -> Result<(), Refusal> {
        let stopped = self.stop_where(now, |held| held.id == id);
        if stopped.is_empty() {
            Err(Refusal::no_instance(id))
        } else {
            Ok(())
        }
    }

    /// Makes an instance of any account vanish, whatever its state.
    pub(super) fn outsider_delete(&mut self, id: &str, now: Duration) -> Result<(), Refusal> {
        let deleted = self.delete_where(now, |held| held.id == id);
        if deleted.is_empty() {
            Err(Refusal::no_instance(id))
        } else {
            Ok(())
        }
    }

    pub(super) fn set_list_lag(&mut self, lag: ListLag, now: Duration) {
        self.lag = lag;
        self.lag_since = now;
    }

    pub(super) fn set_capacity(
        &mut self,
        hardware_type_id: &str,
        workers: Option<u32>,
    ) -> Result<(), Refusal> {
        let mut types = self.catalog.hardware_types().iter();
        if !types.any(|hardware| hardware.hardware_type_id == hardware_type_id) {
            return Err(Refusal::new(format!(
                "Unknown hardware type {hardware_type_id}"
            )));
        }
        match workers {
            Some(workers) => self.capacity.insert(hardware_type_id.to_owned(), workers),
            None => self.capacity.remove(hardware_type_id),
        };
        Ok(())
    }

    // Inner workings.

    fn check_capacity(&self, hardware: &str, workers: u32) -> Result<(), Refusal> {
        let Some(capacity) = self.capacity.get(hardware) else {
            return Ok(());
        };
        let active = self
            .instances
            .iter()
            .filter(|held| held.is_active() && held.hardware() == hardware);
        let used: u32 = active.map(Held::workers).sum();
        if used.saturating_add(workers) > *capacity {
            return Err(Refusal::new(format!(
                "No capacity available for hardware type {hardware} at the moment"
            )));
        }
        Ok(())
    }

    fn live<'a>(&'a self, owner: &'a str) -> impl Iterator<Item = &'a Held> {
        self.instances
            .iter()
            .filter(move |held| held.owner == owner && held.deleted.is_none())
    }

    fn position(&self, client_id: &str, id: &str) -> Result<usize, Refusal> {
        let owner = self.owner_or_refuse(client_id)?;
        self.instances
            .iter()
            .position(|held| held.id == id && held.owner == owner && held.deleted.is_none())
            .ok_or_else(|| Refusal::no_instance(id))
    }

    fn at(&mut self, index: usize, id: &str) -> Result<&mut Held, Refusal> {
        self.instances
            .get_mut(index)
            .ok_or_else(|| Refusal::no_instance(id))
    }

    fn find(&mut self, client_id: &str, id: &str) -> Result<&mut Held, Refusal> {
        let index = self.position(client_id, id)?;
        self.at(index, id)
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

    fn fresh_id(&mut self) -> String {
        format!(
            "{:012x}{:012x}",
            self.rng.u64(..) >> 16,
            self.rng.u64(..) >> 16
        )
    }
}
