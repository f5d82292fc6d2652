//! The Cortecs API, as little of it as a walk needs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::cortecs::types::{Instance, InstanceArgs, InstanceState};

/// How long the past is kept, for lists that lag.
const KEPT: u64 = 100;

/// What a call does.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    Start(InstanceArgs),
    Restart(String),
    Stop(String),
    Delete(String),
    Get(String),
}

type Instances = BTreeMap<String, Arc<Instance>>;

#[derive(Default)]
pub(super) struct Api {
    instances: Instances,
    past: BTreeMap<u64, Instances>,
    made: u64,
    /// Effects that are still to come, and when.
    pub late: Vec<(u64, Effect)>,
    /// What resources left stopped on purpose.
    pub left: BTreeSet<String>,
}

impl Api {
    /// `None`: refused, since the instance is not there or not in the right state.
    pub(super) fn apply(&mut self, effect: &Effect) -> Option<Instance> {
        match effect {
            Effect::Start(args) => Some(self.start(args)),
            Effect::Restart(id) => self.change(id, &InstanceState::Stopped, InstanceState::Pending),
            Effect::Stop(id) => self.stop(id),
            Effect::Delete(id) => self.delete(id),
            Effect::Get(id) => self.get(id).cloned(),
        }
    }

    fn start(&mut self, args: &InstanceArgs) -> Instance {
        self.made += 1;
        let mut instance = super::instance(&format!("i-{}", self.made), "pending");
        instance.instance_args = args.clone();
        self.instances
            .insert(instance.instance_id.clone(), Arc::new(instance.clone()));
        instance
    }

    fn change(&mut self, id: &str, from: &InstanceState, to: InstanceState) -> Option<Instance> {
        let instance = Arc::make_mut(self.instances.get_mut(id)?);
        if instance.instance_status.status != *from {
            return None;
        }
        instance.instance_status.status = to;
        Some(instance.clone())
    }

    pub(super) fn stop(&mut self, id: &str) -> Option<Instance> {
        self.change(id, &InstanceState::Running, InstanceState::Stopped)
            .or_else(|| self.change(id, &InstanceState::Pending, InstanceState::Stopped))
    }

    pub(super) fn delete(&mut self, id: &str) -> Option<Instance> {
        if self.get(id)?.instance_status.status != InstanceState::Stopped {
            return None;
        }
        self.left.remove(id);
        self.instances.remove(id).map(Arc::unwrap_or_clone)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Instance> {
        self.instances.get(id).map(|i| &**i)
    }

    pub(super) fn any(&self, rng: &mut fastrand::Rng) -> Option<String> {
        let ids: Vec<&String> = self
            .instances
            .keys()
            .filter(|id| !self.left.contains(*id))
            .collect();
        if ids.is_empty() {
            return None;
        }
        Some(ids[rng.usize(0..ids.len())].clone())
    }

    /// A second passes.
    pub(super) fn tick(&mut self, now: u64) {
        let (due, later): (Vec<_>, Vec<_>) =
            self.late.drain(..).partition(|(when, _)| *when <= now);
        self.late = later;
        for (_, effect) in due {
            self.apply(&effect);
        }
        if now.is_multiple_of(3) {
            let ids: Vec<String> = self.instances.keys().cloned().collect();
            for id in ids {
                self.change(&id, &InstanceState::Pending, InstanceState::Running);
            }
        }
        self.past.insert(now, self.instances.clone());
        self.past = self.past.split_off(&now.saturating_sub(KEPT));
    }

    /// The instances as they were at `when`.
    pub(super) fn list(&self, when: u64) -> Instances {
        let newest = self
            .past
            .last_key_value()
            .is_none_or(|(now, _)| when >= *now);
        if newest {
            return self.instances.clone();
        }
        let then = self.past.range(..=when).next_back();
        then.map(|(_, instances)| instances.clone())
            .unwrap_or_default()
    }

    /// How many instances nobody owns or has left on purpose.
    pub(super) fn unowned(&self, owned: &[&String]) -> usize {
        self.instances
            .keys()
            .filter(|id| !owned.contains(id) && !self.left.contains(*id))
            .count()
    }

    pub(super) fn late_starts(&self) -> usize {
        self.late
            .iter()
            .filter(|(_, e)| matches!(e, Effect::Start(_)))
            .count()
    }

    /// Unless a resource has taken it over, what was left stopped stays so.
    pub(super) fn left_are_stopped(&self, owned: &[&String]) -> bool {
        self.left
            .iter()
            .filter(|id| !owned.contains(id))
            .filter_map(|id| self.get(id))
            .all(|i| i.instance_status.status == InstanceState::Stopped)
    }
}
