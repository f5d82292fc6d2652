//! One state: what is persisted, what each process knows, what is at the Cortecs API and in the air, and what may still
//! go wrong. Facts that nobody in the model can see tell whose each instance is.

use std::{collections::BTreeMap, sync::Arc};

use cortecs_api::{Error, types::InstanceState};

use super::{KEYS, config::Budgets};
use crate::instance::tests::{
    world::{Cloud, Effect, Process, Server},
    *,
};

/// Of one tick. The settle time is two: a call is young in its tick, a list is fresh in its tick.
pub const TICK: Duration = Duration::from_secs(60);
/// Effects come, and lists show them, within so many ticks of their call.
pub const SETTLE_TICKS: u64 = 2;

#[derive(Clone, Debug)]
pub struct State {
    pub tick: u64,
    /// Events so far: what happens later in a tick is later.
    pub events: u64,
    pub server: Server,
    /// While the watch lags: what it says.
    pub cache: Option<Vec<Arc<CortecsInstance>>>,
    pub operators: Vec<Operator>,
    pub cloud: Cloud,
    /// Of each instance that is there, or may still be listed.
    pub facts: BTreeMap<String, Fact>,
    /// Starts whose answers are awaited.
    pub air: Vec<Flight>,
    /// Calls that nobody waits for, with their effect to come.
    pub late: Vec<Late>,
    pub left: Budgets,
    /// When the list was asked for that each open start was decided on.
    pub listed: Vec<Option<Moment>>,
    /// What happened that must not happen.
    pub broken: Option<Broken>,
    /// The canonical form without what may still go wrong, hashed.
    pub core: u128,
}

#[derive(Clone, Debug)]
pub struct Operator {
    pub process: Process,
    /// What it is about to do for each resource.
    pub todo: Vec<Option<Arc<Decision>>>,
}

/// What nobody in the model can see of an instance.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Whose it is. Equal instances are exchanged when a resource takes another one's. `None`: an outsider's.
    pub owner: Option<usize>,
    /// A resource with the policy Stop or Orphan, or one that was removed by force, left it behind.
    pub left: bool,
    pub workers: u32,
    pub born: Moment,
    /// What it was before, and in which tick the change was asked for.
    pub past: Vec<(u64, Option<Arc<Instance>>)>,
}

#[derive(Clone, Debug)]
pub struct Flight {
    pub operator: usize,
    pub resource: usize,
    pub call: ApiCall,
    pub asked: Moment,
    pub tick: u64,
    pub result: Result<Instance, Error>,
}

#[derive(Clone, Debug)]
pub struct Late {
    pub effect: Effect,
    /// When the call was made, or has ended: effects come so many ticks after the end at most.
    pub asked: u64,
    /// For whom it starts an instance.
    pub owner: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// An outsider's instance, or one that is not proven to be its own, was bound or touched.
    Stranger,
    /// A call was made about another resource's instance.
    Anothers,
}

impl State {
    pub fn now(&self) -> Moment {
        let ticks = TICK * u32::try_from(self.tick).unwrap();
        at(1000).after(ticks + Duration::from_nanos(self.events))
    }

    /// Ticks since then.
    pub fn age(&self, then: Moment) -> u64 {
        self.tick - then.since(at(1000)).as_secs() / TICK.as_secs()
    }

    pub fn object(&self, resource: usize) -> Option<&Arc<CortecsInstance>> {
        self.server.objects.get(&KEYS[resource])
    }

    pub fn is_up(&self, id: &str) -> bool {
        self.cloud
            .get(id)
            .is_some_and(|i| i.instance_status.status != InstanceState::Stopped)
    }

    /// The persisted id.
    pub fn bound(&self, resource: usize) -> Option<&str> {
        let status = self.object(resource)?.status.as_ref()?;
        status.instance_id.as_deref()
    }

    pub fn is_in_flight(&self, operator: usize, resource: usize) -> bool {
        self.air
            .iter()
            .any(|f| f.operator == operator && f.resource == resource)
    }

    /// A call takes effect.
    pub fn takes_effect(
        &mut self,
        effect: &Effect,
        asked: u64,
        owner: Option<usize>,
    ) -> Option<Instance> {
        let before = effect.instance_id().and_then(|id| {
            let instance = self.cloud.instances.get(id)?;
            Some(Arc::clone(instance))
        });
        let done = self.cloud.apply(effect)?;
        let id = done.instance_id.clone();
        match effect {
            Effect::Get(_) => return Some(done),
            Effect::Start(args) => {
                let fact = Fact {
                    owner,
                    left: false,
                    workers: args.num_workers.unwrap_or(1),
                    born: self.now(),
                    past: Vec::new(),
                };
                self.facts.insert(id.clone(), fact);
            }
            Effect::Restart(_) | Effect::Stop(_) | Effect::Delete(_) => {}
        }
        if let Some(fact) = self.facts.get_mut(&id) {
            fact.past.push((asked, before));
        }
        Some(done)
    }

    /// An outsider's instance comes to be.
    pub fn stranger(&mut self, args: &InstanceArgs) {
        if let Some(instance) = self.takes_effect(&Effect::Start(args.clone()), self.tick, None)
            && let Some(fact) = self.facts.get_mut(&instance.instance_id)
        {
            fact.past.clear();
        }
    }

    /// An instance becomes a resource's: equal ones are exchanged, so that what it started itself is the other's.
    pub fn is_bound(&mut self, resource: usize, id: &str) {
        let Some(before) = self.facts.get(id).map(|fact| fact.owner) else {
            return;
        };
        if before == Some(resource) {
            return;
        }
        let workers = |of: &str| self.facts.get(of).map(|fact| fact.workers);
        let own = |(_, fact): &(&String, &Fact)| fact.owner == Some(resource) && !fact.left;
        let own = self.facts.iter().find(own).map(|(own, _)| own.as_str());
        if before.is_some() && own.is_some_and(|own| workers(own) != workers(id)) {
            self.broken = Some(Broken::Anothers);
        }
        for (other, fact) in &mut self.facts {
            if fact.owner == Some(resource) && other != id && !fact.left {
                fact.owner = before;
            }
        }
        for late in &mut self.late {
            if late.owner == Some(resource) {
                late.owner = before;
            }
        }
        if let Some(fact) = self.facts.get_mut(id) {
            fact.owner = Some(resource);
            fact.left = false;
        }
    }

    /// What is past, and what no list can show any more, is forgotten.
    pub fn forget(&mut self) {
        let (tick, cloud, lags) = (self.tick, &self.cloud, self.left.lags > 0);
        self.facts.retain(|id, fact| {
            fact.past
                .retain(|(asked, _)| lags && tick < asked + SETTLE_TICKS);
            cloud.instances.contains_key(id) || !fact.past.is_empty()
        });
    }
}
