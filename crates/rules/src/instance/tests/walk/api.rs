//! The Cortecs API, as little of it as a walk needs.

use std::collections::{BTreeMap, BTreeSet};

use cortecs_api::types::{Instance, InstanceArgs, InstanceState};

use crate::instance::tests::world::{Cloud, Effect, Instances};

/// How long the past is kept, for lists that lag.
const KEPT: u64 = 100;

#[derive(Default)]
pub(super) struct Api {
    cloud: Cloud,
    past: BTreeMap<u64, Instances>,
    /// Effects that are still to come, and when.
    pub late: Vec<(u64, Effect)>,
    /// What resources left stopped on purpose.
    pub left: BTreeSet<String>,
    /// What has to be provisioned once more, and until when that takes.
    faltering: BTreeMap<String, u64>,
}

impl Api {
    /// `None`: refused, since the instance is not there or not in the right state.
    pub(super) fn apply(&mut self, effect: &Effect) -> Option<Instance> {
        let done = self.cloud.apply(effect);
        if let (Some(_), Effect::Delete(id)) = (&done, effect) {
            self.left.remove(id);
        }
        done
    }

    pub(super) fn stop(&mut self, id: &str) {
        self.apply(&Effect::Stop(id.to_owned()));
    }

    pub(super) fn delete(&mut self, id: &str) {
        self.apply(&Effect::Delete(id.to_owned()));
    }

    pub(super) fn get(&self, id: &str) -> Option<&Instance> {
        self.cloud.get(id)
    }

    /// An instance that was started with these arguments and that is none of these, nor left on purpose.
    pub(super) fn made_with(&self, args: &InstanceArgs, taken: &[String]) -> Option<String> {
        let instances = self.cloud.instances.values();
        let mut made = instances.filter(|instance| {
            let id = &instance.instance_id;
            instance.instance_args == *args && !taken.contains(id) && !self.left.contains(id)
        });
        made.next().map(|instance| instance.instance_id.clone())
    }

    pub(super) fn any(&self, rng: &mut fastrand::Rng) -> Option<String> {
        let ids: Vec<&String> = self
            .cloud
            .instances
            .keys()
            .filter(|id| !self.left.contains(*id))
            .collect();
        if ids.is_empty() {
            return None;
        }
        Some(ids[rng.usize(0..ids.len())].clone())
    }

    /// What runs has to be provisioned once more, as when its host is replaced.
    pub(super) fn falter(&mut self, id: &str, until: u64) {
        let (running, pending) = (InstanceState::Running, InstanceState::Pending);
        if self.cloud.change(id, &running, pending).is_some() {
            self.faltering.insert(id.to_owned(), until);
        }
    }

    /// A second passes. Whether that changes an instance.
    pub(super) fn tick(&mut self, now: u64) -> bool {
        let before = self.cloud.instances.clone();
        let (due, later): (Vec<_>, Vec<_>) =
            self.late.drain(..).partition(|(when, _)| *when <= now);
        self.late = later;
        for (_, effect) in due {
            self.apply(&effect);
        }
        if now.is_multiple_of(3) {
            self.faltering.retain(|_, until| *until > now);
            let ids = self.cloud.instances.keys();
            let ids = ids.filter(|id| !self.faltering.contains_key(*id));
            for id in ids.cloned().collect::<Vec<_>>() {
                self.cloud
                    .change(&id, &InstanceState::Pending, InstanceState::Running);
            }
        }
        self.past.insert(now, self.cloud.instances.clone());
        self.past = self.past.split_off(&now.saturating_sub(KEPT));
        self.cloud.instances != before
    }

    /// The instances as they were at `when`.
    pub(super) fn list(&self, when: u64) -> Instances {
        let newest = self
            .past
            .last_key_value()
            .is_none_or(|(now, _)| when >= *now);
        if newest {
            return self.cloud.instances.clone();
        }
        let then = self.past.range(..=when).next_back();
        then.map(|(_, instances)| instances.clone())
            .unwrap_or_default()
    }

    /// How many instances nobody owns or has left on purpose.
    pub(super) fn unowned(&self, owned: &[&String]) -> usize {
        self.cloud
            .instances
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

    /// How many workers are billed now.
    pub(super) fn billed_workers(&self) -> u32 {
        let up = self.cloud.instances.values().filter(|i| !i.is_stopped());
        up.map(|i| i.instance_args.num_workers.unwrap_or(1)).sum()
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
