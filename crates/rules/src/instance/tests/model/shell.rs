//! The shell of the processes: what they write, and what happens without a choice after each event.

use std::sync::Arc;

use cortecs_resources::{annotations, instance::DeletionPolicy};

use super::{
    KEYS, Lab,
    config::Off,
    shown::shown,
    state::{Broken, Operator, State},
};
use crate::{
    facts::args,
    instance::tests::{
        world::{Landing, Moves, Written},
        *,
    },
};

impl State {
    pub fn write(
        &mut self,
        lab: &Lab,
        operator: usize,
        resource: usize,
        mut decision: Decision,
        lost: bool,
    ) {
        let now = self.now();
        let key = &KEYS[resource];
        decision.status = shown(&decision.status, lab.config.spend.is_some());
        let step = decision.step.clone();
        if lab.config.is_off(Off::KnownIds)
            && let Some(start) = &mut decision.status.slot_mut().start
        {
            start.known_instances.clear();
        }
        let landing = if lost {
            Landing::LostAfter
        } else {
            Landing::Answered
        };
        let process = &mut self.operators[operator].process;
        let listed = process.snapshot.as_ref().map(|s| s.requested_at);
        let before = self.server.objects.get(key).cloned();
        let recorded_unwritten = lab.config.is_off(Off::IntentWrite)
            && matches!(step, Step::Write(Write::RecordAccepted { .. }))
            && self.put_back(operator, resource);
        let process = &mut self.operators[operator].process;
        let written = process.write(key, decision, &mut self.server, landing, now);
        let Written::Landed(object, stays) = written else {
            return;
        };
        match &step {
            Step::Write(Write::Status(Purpose::StartIntent(_))) => {
                self.listed[resource] = self.window(lab, resource, listed);
                if lab.config.is_off(Off::IntentWrite) {
                    self.take_back(resource, before.as_deref());
                }
            }
            Step::Write(Write::Status(Purpose::Bind { instance_id, .. })) => {
                self.binds(lab, resource, instance_id, before.as_deref());
            }
            Step::Write(Write::RecordAccepted { instance, .. }) => {
                debug_assert!(recorded_unwritten || before.is_some());
                self.is_bound(resource, &instance.instance_id);
            }
            _ => {}
        }
        if !stays {
            self.goes(&object);
        }
    }

    /// Since when an instance may be the start's. What equal starts that are open do not know, it does not know either.
    fn window(&self, lab: &Lab, resource: usize, listed: Option<Moment>) -> Option<Moment> {
        let start = |of| self.object(of)?.status.as_ref()?.slot().start.clone();
        let args = start(resource).map(|s| s.args);
        let equal = |of: &usize| lab.config.omits || start(*of).map(|s| s.args) == args;
        (0..self.listed.len())
            .filter(|of| *of != resource)
            .filter(equal)
            .filter_map(|of| self.listed[of])
            .chain(listed)
            .min()
    }

    /// Binds by likeness: never what an outsider had before the list, and in a shared account only what a person named.
    fn binds(&mut self, lab: &Lab, resource: usize, id: &str, before: Option<&CortecsInstance>) {
        let order = before.and_then(|o| {
            o.metadata
                .annotations
                .as_ref()?
                .get(annotations::RESOLVE_START)
        });
        let proven = order.is_some_and(|order| order == id);
        if let Some(fact) = self.facts.get(id) {
            let known = self.listed[resource].is_some_and(|listed| fact.born < listed);
            if (fact.owner.is_none() && known) || fact.left || (lab.config.shared && !proven) {
                self.broken = Some(Broken::Stranger);
            }
        }
        self.is_bound(resource, id);
    }

    /// The resource is gone.
    pub fn goes(&mut self, object: &CortecsInstance) {
        let status = object.status.as_ref();
        if object.spec.deletion_policy != DeletionPolicy::Delete
            && let Some(id) = status.and_then(|s| s.instance_id.as_ref())
            && let Some(fact) = self.facts.get_mut(id)
        {
            fact.left = true;
        }
    }

    /// A resource is removed with its finalizer: what it had is nobody's from then on.
    pub fn removed_by_force(&mut self, resource: usize) {
        let bound = self.bound(resource).map(str::to_owned);
        if let Some(fact) = bound.and_then(|id| self.facts.get_mut(&id)) {
            fact.left = true;
        }
        self.server.remove(&KEYS[resource]);
        self.watch();
    }

    /// The process believes that its intent is written, and it is not.
    fn take_back(&mut self, resource: usize, before: Option<&CortecsInstance>) {
        if let (Some(object), Some(before)) = (self.server.objects.get_mut(&KEYS[resource]), before)
        {
            Arc::make_mut(object).status.clone_from(&before.status);
        }
    }

    /// What the process believes to be written is there when the answer is recorded.
    fn put_back(&mut self, operator: usize, resource: usize) -> bool {
        let believed = self.operators[operator].process.resource(&KEYS[resource]);
        let Some(object) = self.server.objects.get_mut(&KEYS[resource]) else {
            return false;
        };
        Arc::make_mut(object).status = believed.and_then(|b| b.status.clone());
        true
    }

    /// What needs no choice: the watch tells, lists are noted, reports are written, and each process decides.
    pub fn settle(&mut self, lab: &Lab) {
        self.watch();
        for operator in 0..self.operators.len() {
            while self.decide(lab, operator) {
                self.watch();
            }
        }
    }

    fn watch(&mut self) {
        if self.cache.is_some() {
            return;
        }
        for Operator { process, .. } in &mut self.operators {
            for key in KEYS.iter() {
                match (self.server.objects.get(key), process.resource(key)) {
                    (Some(now), _) => drop(process.book.apply(Arc::clone(now))),
                    (None, Some(gone)) => {
                        process.book.deleted(&gone);
                    }
                    (None, None) => {}
                }
            }
        }
    }

    /// Each resource is decided on; whether a report was written, so that all is to be decided again.
    fn decide(&mut self, lab: &Lab, operator: usize) -> bool {
        let moves = |state: &Self, resource: usize| Moves {
            wait: None,
            seals: false,
            now: state.now(),
            uuid: Uuid::from_u128(u128::from(state.events) * 8 + (operator * 4 + resource) as u128),
        };
        // All are observed before one is decided on: else the order of the resources would matter.
        for resource in 0..lab.config.kinds.len() {
            if !self.is_in_flight(operator, resource) {
                let moves = moves(self, resource);
                let process = &mut self.operators[operator].process;
                process.observe(&KEYS[resource], &lab.around, moves);
            }
        }
        for resource in 0..lab.config.kinds.len() {
            self.operators[operator].todo[resource] = None;
            if self.is_in_flight(operator, resource) {
                continue;
            }
            let moves = moves(self, resource);
            let process = &mut self.operators[operator].process;
            let key = &KEYS[resource];
            let Some(decision) = process.decide(key, &lab.around, moves) else {
                continue;
            };
            // A step is announced when it is done.
            process.book.remember(key, |memory| {
                memory.held_up.clone_from(&decision.held_up);
                memory.budget_wait.clone_from(&decision.budget_wait);
            });
            match &decision.step {
                Step::Rest => continue,
                Step::Write(Write::Status(Purpose::Report)) => {
                    let known = process.resource(key);
                    let status = shown(&decision.status, lab.config.spend.is_some());
                    if known
                        .as_ref()
                        .is_some_and(|k| k.status.as_ref() == Some(&status))
                    {
                        continue;
                    }
                    if known.is_some_and(|known| self.server.is_current(&known)) {
                        self.write(lab, operator, resource, decision, false);
                        return true;
                    }
                }
                _ => {}
            }
            self.operators[operator].todo[resource] = Some(Arc::new(decision));
        }
        false
    }

    /// The arguments that a resource asks for.
    pub fn wants(object: &CortecsInstance) -> u32 {
        args::stated(&object.spec).num_workers.unwrap_or(1)
    }
}
