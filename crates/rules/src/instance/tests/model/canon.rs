//! The canonical form of a state, in which equivalent states coincide.
//!
//! Times are kept as ages in ticks, up to the settle time, and as the answers to the comparisons that decisions make of
//! them; ids of instances and intents as ranks among those with the same arguments, since only these are ever compared;
//! versions of objects as whether they are current. Resources that are alike are put in the order that gives the lesser
//! form. What nothing can ask for any more is left out (`Writer::is_kept`).

use std::{
    collections::{BTreeSet, hash_map::DefaultHasher},
    hash::Hasher,
};

use cortecs_api::types::InstanceState;
use cortecs_resources::{
    annotations, identity::InstanceArgs as StatusArgs, instance::DesiredState, journal::StartIntent,
};
use kube::ResourceExt;

use super::{
    KEYS, Lab,
    shown::is_unresolved,
    state::{Broken, SETTLE_TICKS, State},
};
use crate::{
    facts::known::is_known_to,
    instance::tests::{world::Effect, *},
};

/// The canonical form, hashed.
pub fn core(state: &State, lab: &Lab) -> u128 {
    let bytes = form(state, lab);
    let mut halves = [0_u64; 2];
    for (salt, half) in halves.iter_mut().enumerate() {
        let mut hasher = DefaultHasher::new();
        hasher.write_usize(salt);
        hasher.write(&bytes);
        *half = hasher.finish();
    }
    u128::from(halves[0]) << 64 | u128::from(halves[1])
}

pub fn form(state: &State, lab: &Lab) -> Vec<u8> {
    let count = lab.config.kinds.len();
    let order: Vec<usize> = (0..count).collect();
    let form = Writer::new(state, lab, order.clone()).write();
    if !lab.symmetric {
        return form;
    }
    let mut swapped = order;
    swapped.swap(0, 1);
    form.min(Writer::new(state, lab, swapped).write())
}

pub(super) struct Writer<'a> {
    pub(super) state: &'a State,
    lab: &'a Lab,
    /// Which resource comes in which place.
    pub(super) order: Vec<usize>,
    pub(super) ids: Vec<&'a str>,
    intents: Vec<(u32, Timestamp, Uuid)>,
    out: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn new(state: &'a State, lab: &'a Lab, order: Vec<usize>) -> Self {
        let mut ids: BTreeSet<&str> = state.facts.keys().map(String::as_str).collect();
        let mut intents = Vec::new();
        let mut note = |object: &'a CortecsInstance| {
            if let Some(status) = &object.status {
                ids.extend(status.instance_id.as_deref());
                intents.extend(status.slot().start.as_ref().map(|s| {
                    let workers = s.args.num_workers.filter(|_| !lab.config.omits);
                    let alike = u32::try_from(workers.unwrap_or(0)).unwrap();
                    (alike, s.requested_at, s.id)
                }));
            }
        };
        state.server.objects.values().for_each(|o| note(o));
        for operator in &state.operators {
            operator
                .process
                .book
                .iter()
                .for_each(|(_, e)| note(&e.resource));
        }
        for operator in &state.operators {
            if let Some(snapshot) = &operator.process.snapshot {
                ids.extend(snapshot.instances.keys().map(String::as_str));
            }
            for (_, entry) in operator.process.book.iter() {
                ids.extend(entry.memory.bound.as_ref().map(|b| b.id.as_str()));
                ids.extend(entry.memory.accepted_id());
            }
        }
        intents.sort_unstable();
        intents.dedup();
        let mut writer = Self {
            state,
            lab,
            order,
            ids: Vec::new(),
            intents,
            out: Vec::with_capacity(256),
        };
        let mut ids: Vec<(u32, &str)> = ids.into_iter().map(|id| (writer.group(id), id)).collect();
        ids.sort_unstable();
        writer.ids = ids.into_iter().map(|(_, id)| id).collect();
        writer
    }

    /// With which arguments an instance was ever seen.
    fn group(&self, id: &str) -> u32 {
        if self.lab.config.omits {
            return 0;
        }
        if let Some(fact) = self.state.facts.get(id) {
            return fact.workers;
        }
        let snapshots = self.state.operators.iter().map(|o| &o.process.snapshot);
        let seen = snapshots
            .flatten()
            .find_map(|snapshot| snapshot.instances.get(id));
        seen.and_then(|i| i.instance_args.num_workers).unwrap_or(0)
    }

    /// Whether the account has a budget.
    pub(super) fn spends(&self) -> bool {
        self.lab.config.spend.is_some()
    }

    /// Whether it can still matter since when an instance is known: as long as anybody can have it stopped or deleted, or
    /// a list can lack it.
    pub(super) fn is_kept(&self) -> bool {
        let most = &self.lab.config.budgets;
        most.orders > 0 || most.lags > 0
    }

    fn write(mut self) -> Vec<u8> {
        let state = self.state;
        self.flag(state.cache.is_some());
        self.byte(match state.broken {
            None => 0,
            Some(Broken::Stranger) => 1,
            Some(Broken::Anothers) => 2,
        });
        for resource in self.order.clone() {
            let object = state.object(resource).cloned();
            self.object(resource, object.as_deref());
        }
        if let Some(cache) = &state.cache {
            // It matters only to a process that begins with it, but is little.
            for resource in self.order.clone() {
                let cached = cache
                    .iter()
                    .find(|o| ObjectKey::of(&***o) == KEYS[resource]);
                self.view(resource, cached);
            }
        }
        for operator in &state.operators {
            self.operator(operator);
        }
        self.api();
        self.air();
        self.out
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.out.push(flag.into());
    }

    pub(super) fn age(&mut self, then: Moment) {
        self.age_up_to(then, SETTLE_TICKS);
    }

    pub(super) fn age_up_to(&mut self, then: Moment, most: u64) {
        let age = self.state.age(then).min(most);
        self.byte(u8::try_from(age).unwrap());
    }

    /// The same, up to the age at which an open start can be overtaken, where there are others.
    pub(super) fn long_age(&mut self, then: Moment) {
        let others = u64::from(self.state.left.overtakes > 0);
        self.age_up_to(then, SETTLE_TICKS + others);
    }

    fn rank(&self, id: &str) -> u8 {
        let rank = self.ids.iter().position(|i| *i == id);
        u8::try_from(rank.map_or(200, |r| r + 1)).unwrap()
    }

    pub(super) fn id(&mut self, id: Option<&str>) {
        let rank = id.map_or(0, |id| self.rank(id));
        self.byte(rank);
    }

    fn place(&self, resource: usize) -> u8 {
        let place = self.order.iter().position(|r| *r == resource);
        u8::try_from(place.map_or(100, |p| p + 1)).unwrap()
    }

    pub(super) fn ids_mask(&mut self, has: impl Fn(&str) -> bool) {
        let mask = self
            .ids
            .iter()
            .enumerate()
            .fold(0_u16, |mask, (n, id)| mask | u16::from(has(id)) << n);
        self.out.extend(mask.to_le_bytes());
    }

    fn object(&mut self, resource: usize, object: Option<&CortecsInstance>) {
        let Some(object) = object else {
            return self.byte(250);
        };
        let status = object.status.clone().unwrap_or_default();
        let annotation = |name| object.annotations().get(name).map(String::as_str);
        self.byte(u8::from(object.metadata.deletion_timestamp.is_some()));
        self.flag(object.finalizers().is_empty());
        self.flag(object.spec.state == DesiredState::Running);
        self.byte(u8::try_from(object.spec.num_workers).unwrap());
        self.flag(
            annotation(annotations::RESTARTED_AT) == status.last_handled_restart_at.as_deref(),
        );
        let order = annotation(annotations::RESOLVE_START);
        self.answer(order);
        self.id(status.instance_id.as_deref());
        self.flag(status.slot().restart.is_some());
        self.flag(status.account.is_some());
        self.flag(status.slot().last_start_time.is_some());
        if let Some(at) = status.slot().last_start_time.filter(|_| self.spends()) {
            let at = Duration::try_from(at.duration_since(Timestamp::UNIX_EPOCH)).unwrap();
            self.age_up_to(Moment::from_boot(at), SETTLE_TICKS + 1);
        }
        self.args(status.instance_args.as_ref());
        self.args(status.slot().requested_args.as_ref());
        self.flag(is_unresolved(&status));
        match &status.slot().start {
            None => self.byte(0),
            Some(start) => self.intent(resource, start, order),
        }
    }

    fn answer(&mut self, answer: Option<&str>) {
        let byte = match answer {
            None => 0,
            Some("none") => 255,
            Some(id) => self.rank(id),
        };
        self.byte(byte);
    }

    pub(super) fn args(&mut self, args: Option<&StatusArgs>) {
        let workers = args.map_or(0, |a| 1 + a.num_workers.unwrap_or(90));
        self.byte(u8::try_from(workers).unwrap());
    }

    fn intent(&mut self, resource: usize, intent: &StartIntent, order: Option<&str>) {
        let rank = self.intent_rank(intent.id);
        self.byte(rank);
        self.args(Some(&intent.args));
        self.ids_mask(|id| is_known_to(intent, id));
        self.ids_mask(|id| intent.candidate_ids.iter().any(|named| named == id));
        self.flag(intent.old_order.as_deref() == order);
        self.flag(intent.overtaken);
        let state = self.state;
        let listed = state.listed[resource];
        self.strangers(listed);
    }

    pub(super) fn intent_rank(&self, id: Uuid) -> u8 {
        let rank = self.intents.iter().position(|(_, _, i)| *i == id);
        u8::try_from(rank.map_or(60, |r| r + 1)).unwrap()
    }

    /// Which outsiders' instances were there at that time.
    pub(super) fn strangers(&mut self, then: Option<Moment>) {
        let state = self.state;
        self.ids_mask(|id| {
            let fact = state.facts.get(id);
            fact.is_some_and(|f| f.owner.is_none() && then.is_some_and(|then| f.born < then))
        });
    }

    /// What somebody knows of an object.
    pub(super) fn view(&mut self, resource: usize, known: Option<&Arc<CortecsInstance>>) {
        let current = self.state.object(resource);
        match (known, current) {
            (None, _) => self.byte(251),
            (Some(known), Some(current))
                if known.metadata.resource_version == current.metadata.resource_version
                    && known.status == current.status =>
            {
                self.byte(252);
            }
            (Some(known), _) => {
                self.byte(253);
                let current = self.state.server.is_current(known);
                self.flag(current);
                self.object(resource, Some(known));
            }
        }
    }

    /// What is at the Cortecs API.
    fn api(&mut self) {
        let state = self.state;
        for n in 0..self.ids.len() {
            let id = self.ids[n];
            self.byte(looks(state.cloud.instances.get(id)));
            let Some(fact) = state.facts.get(id) else {
                self.byte(0);
                continue;
            };
            let owner = fact.owner.map_or(99, |owner| self.place(owner));
            self.byte(owner);
            self.flag(fact.left);
            self.byte(u8::try_from(fact.workers).unwrap());
            for (asked, before) in &fact.past {
                self.byte(u8::try_from(10 + state.tick - asked).unwrap());
                self.byte(looks(before.as_ref()));
            }
        }
    }

    /// What is under way. The order of what is under way does not matter.
    fn air(&mut self) {
        let state = self.state;
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for flight in &state.air {
            let answer = match &flight.result {
                Ok(instance) => self.rank(&instance.instance_id),
                Err(error) if error.refused() => 254,
                Err(_) => 255,
            };
            let operator = u8::try_from(flight.operator).unwrap();
            let age = u8::try_from(state.tick - flight.tick).unwrap();
            parts.push(vec![1, operator, self.place(flight.resource), answer, age]);
        }
        for late in &state.late {
            let (what, on) = match &late.effect {
                Effect::Start(args) => (1, u8::try_from(args.num_workers.unwrap_or(0)).unwrap()),
                Effect::Restart(id) => (2, self.rank(id)),
                Effect::Stop(id) => (3, self.rank(id)),
                Effect::Delete(id) => (4, self.rank(id)),
                Effect::Get(id) => (5, self.rank(id)),
            };
            let age = u8::try_from(state.tick - late.asked).unwrap();
            let owner = late.owner.map_or(99, |owner| self.place(owner));
            parts.push(vec![2, what, on, age, owner]);
        }
        parts.sort_unstable();
        self.out.extend(parts.into_iter().flatten());
    }
}

/// How an instance is seen: absent, up or stopped, and with how many workers.
pub(super) fn looks(instance: Option<&Arc<Instance>>) -> u8 {
    let Some(instance) = instance else { return 0 };
    let workers = u8::try_from(instance.instance_args.num_workers.unwrap_or(0)).unwrap();
    let stopped = instance.instance_status.status == InstanceState::Stopped;
    1 + u8::from(stopped) + 2 * workers
}
