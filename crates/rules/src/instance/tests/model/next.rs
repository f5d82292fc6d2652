//! The events, and what they do.

use std::sync::Arc;

use cortecs_api::Error;
use cortecs_resources::{annotations, instance::DesiredState};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    KEYS, Lab,
    config::{Fault, Off, Order},
    state::{Broken, Flight, Late, Operator, State},
};
use crate::instance::{
    record::Times,
    tests::{
        world::{Effect, Process, call_of},
        *,
    },
};

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A process does what it has decided for a resource.
    Step {
        operator: usize,
        resource: usize,
        fault: Option<Fault>,
    },
    /// The answer to a start is there.
    Answer(usize),
    /// A call takes effect that nobody waits for.
    Effect(usize),
    /// A process lists the instances; some are shown as they were before so many changes.
    List {
        operator: usize,
        lag: Lag,
    },
    Tick,
    Crash(usize),
    Takeover,
    /// The watch falls behind, and catches up.
    Freeze,
    Thaw,
    Order(usize, Order),
    /// A person says what became of a start.
    Resolve(usize),
    Stranger,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Lag {
    None,
    /// This instance as it was before the change with this index.
    One(String, usize),
    /// Everything as it was before what is recent.
    All,
    /// The list shows nothing.
    Cut,
}

impl State {
    /// The state after an event.
    pub fn after(&self, lab: &Lab, event: &Event) -> Self {
        let mut next = self.clone();
        next.events += 1;
        next.happens(lab, event);
        next.forget();
        next.settle(lab);
        next.core = crate::instance::tests::model::canon::core(&next, lab);
        next
    }

    fn happens(&mut self, lab: &Lab, event: &Event) {
        match event {
            Event::Step {
                operator,
                resource,
                fault,
            } => self.step(lab, *operator, *resource, *fault),
            Event::Answer(index) => {
                let flight = self.air.remove(*index);
                // The settle time counts from the end of the call.
                for late in &mut self.late {
                    if late.owner == Some(flight.resource) && late.asked == flight.tick {
                        late.asked = self.tick;
                    }
                }
                self.answered(lab, &flight);
            }
            Event::Effect(index) => {
                let late = self.late.remove(*index);
                self.takes_effect(&late.effect, late.asked, late.owner);
            }
            Event::List { operator, lag } => self.list(lab, *operator, lag),
            Event::Tick => self.tick += 1,
            Event::Crash(operator) => {
                self.left.crashes -= 1;
                self.air.retain(|flight| flight.operator != *operator);
                self.operators[*operator] = self.begins(lab);
            }
            Event::Takeover => {
                self.left.takeovers -= 1;
                let new = self.begins(lab);
                if lab.config.is_off(Off::Deadline) {
                    self.operators.push(new);
                } else {
                    // From its deadline on the old holder does nothing; its calls may still take effect.
                    self.air.clear();
                    self.operators = vec![new];
                }
            }
            Event::Freeze => {
                self.left.freezes -= 1;
                self.cache = Some(self.server.objects.values().cloned().collect());
            }
            Event::Thaw => self.cache = None,
            Event::Order(resource, order) => {
                self.left.orders -= 1;
                self.order(lab, *resource, *order);
            }
            Event::Resolve(resource) => self.resolve(*resource),
            Event::Stranger => {
                self.left.strangers -= 1;
                self.stranger(&lab.args[0]);
            }
        }
    }

    /// A process begins, with a consistent list of the resources, which is the newest one unless that is taken away.
    fn begins(&self, lab: &Lab) -> Operator {
        let process = match &self.cache {
            Some(cache) if lab.config.stale => Process::begins(cache.iter()),
            _ => Process::begins(self.server.objects.values()),
        };
        Operator {
            process,
            todo: vec![None; lab.config.kinds.len()],
        }
    }

    fn step(&mut self, lab: &Lab, operator: usize, resource: usize, fault: Option<Fault>) {
        let Some(decision) = self.operators[operator].todo[resource].clone() else {
            return;
        };
        self.left.faults -= u8::from(fault.is_some());
        if let Step::Write(Write::Overtake { .. }) = decision.step {
            self.left.overtakes = self.left.overtakes.saturating_sub(1);
        }
        self.touches(resource, &decision.step);
        let now = self.now();
        let process = &mut self.operators[operator].process;
        process.announce(&KEYS[resource], &decision, now);
        match &decision.step {
            Step::QuorumRead => {
                let now = self.now();
                let process = &mut self.operators[operator].process;
                process.read_by_quorum(&self.server, now);
            }
            Step::Call(call) => {
                self.call(lab, operator, resource, call, fault);
            }
            _ => {
                let lost = fault == Some(Fault::WriteLost);
                self.write(lab, operator, resource, (*decision).clone(), lost);
            }
        }
    }

    /// Calls about an instance are made only by whose it is.
    fn touches(&mut self, resource: usize, step: &Step) {
        if let Step::Call(
            ApiCall::Restart { instance_id, .. }
            | ApiCall::Stop { instance_id }
            | ApiCall::Delete { instance_id },
        ) = step
            && let Some(fact) = self.facts.get(instance_id)
            && fact.owner != Some(resource)
        {
            self.broken = Some(match fact.owner {
                None => Broken::Stranger,
                Some(_) => Broken::Anothers,
            });
        }
    }

    fn call(
        &mut self,
        lab: &Lab,
        operator: usize,
        resource: usize,
        made: &ApiCall,
        fault: Option<Fault>,
    ) {
        let mut effect = Effect::of(made);
        if let Effect::Start(args) = &mut effect {
            // However a start spells it.
            args.model_id = "org--name".to_owned();
        }
        let starts = matches!(effect, Effect::Start(_));
        self.left.starts = self.left.starts.saturating_sub(starts.into());
        let owner = starts.then_some(resource);
        let done = match fault {
            None | Some(Fault::LostAfter | Fault::Status(_)) => {
                self.takes_effect(&effect, self.tick, owner)
            }
            Some(Fault::Late) => {
                self.late.push(Late {
                    effect,
                    asked: self.tick,
                    owner,
                });
                None
            }
            _ => None,
        };
        let call = call_of(made);
        let result = match (fault, done) {
            (None, Some(instance)) => Ok(instance),
            (None, None) => Err(Error::answered(call, 400)),
            (Some(Fault::Refused), _) => Err(Error::answered(call, 429)),
            (Some(Fault::Status(_)), _) if lab.config.is_off(Off::StatusClasses) => {
                Err(Error::answered(call, 400))
            }
            (Some(Fault::Status(status)), _) => Err(Error::answered(call, status)),
            _ => Err(Error::unanswered(call)),
        };
        let flight = Flight {
            operator,
            resource,
            call: made.clone(),
            asked: self.now(),
            tick: self.tick,
            result,
        };
        if starts {
            self.air.push(flight);
        } else {
            self.answered(lab, &flight);
        }
    }

    fn answered(&mut self, lab: &Lab, flight: &Flight) {
        let times = Times {
            asked: flight.asked,
            answered: self.now(),
        };
        let mut result = flight.result.clone();
        if let (Ok(instance), true) = (&mut result, lab.config.omits) {
            instance.instance_args.num_workers = None;
        }
        let process = &mut self.operators[flight.operator].process;
        process.answered(&KEYS[flight.resource], &flight.call, result, times);
    }

    fn list(&mut self, lab: &Lab, operator: usize, lag: &Lag) {
        self.left.lags -= u8::from(matches!(lag, Lag::One(..) | Lag::All));
        self.left.cuts -= u8::from(*lag == Lag::Cut);
        let mut instances = match lag {
            Lag::Cut => Default::default(),
            _ => self.cloud.instances.clone(),
        };
        for (id, fact) in &self.facts {
            let index = match lag {
                Lag::One(of, index) if of == id => *index,
                Lag::All => 0,
                _ => continue,
            };
            match fact.past.get(index) {
                Some((_, Some(before))) => {
                    instances.insert(id.clone(), Arc::clone(before));
                }
                Some((_, None)) => {
                    instances.remove(id);
                }
                None => {}
            }
        }
        if lab.config.omits {
            for instance in instances.values_mut() {
                Arc::make_mut(instance).instance_args.num_workers = None;
            }
        }
        let now = self.now();
        self.operators[operator].process.list(instances, now);
    }

    fn order(&mut self, lab: &Lab, resource: usize, order: Order) {
        let Some(object) = self.object(resource) else {
            return;
        };
        if order == Order::Force {
            return self.removed_by_force(resource);
        }
        let mut object = (**object).clone();
        match order {
            Order::Force => {}
            Order::Delete => object.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH)),
            Order::Stop => object.spec.state = DesiredState::Stopped,
            Order::Run => object.spec.state = DesiredState::Running,
            Order::Resize => {
                let before = lab.config.kinds[resource].workers;
                object.spec.num_workers = if object.spec.num_workers == before {
                    3
                } else {
                    before
                };
            }
            Order::Restart => {
                let annotations = object.metadata.annotations.get_or_insert_default();
                annotations.insert(annotations::RESTARTED_AT.into(), self.events.to_string());
            }
        }
        let (object, stays) = self.server.store(object);
        if !stays {
            self.goes(&object);
        }
    }

    /// A person who knows which of the instances that are named is the start's answers so: that one, or none of them,
    /// though the start's own may still be to come. Who has said so before takes it back first.
    fn resolve(&mut self, resource: usize) {
        let Some(object) = self.object(resource) else {
            return;
        };
        let mut object = (**object).clone();
        let start = object.status.as_ref().and_then(|s| s.slot().start.as_ref());
        let named = start.map(|s| s.candidate_ids.clone()).unwrap_or_default();
        let own = |id: &&String| {
            let fact = self.facts.get(*id);
            fact.is_some_and(|f| f.owner == Some(resource) && !f.left)
        };
        let answer = named.iter().find(own).map_or("none", String::as_str);
        let annotations = object.metadata.annotations.get_or_insert_default();
        if annotations
            .get(annotations::RESOLVE_START)
            .is_some_and(|said| said == answer)
        {
            annotations.remove(annotations::RESOLVE_START);
        } else {
            annotations.insert(annotations::RESOLVE_START.into(), answer.to_owned());
        }
        self.server.store(object);
    }
}
