//! What may happen next.

use cortecs_resources::instance::DesiredState;

use super::{
    Lab,
    config::{Fault, Order},
    next::{Event, Lag},
    shown::asks,
    state::{Flight, Late, SETTLE_TICKS, State},
};
use crate::instance::tests::*;

impl State {
    /// What may happen now.
    pub fn events(&self, lab: &Lab, events: &mut Vec<Event>) {
        for (operator, it) in self.operators.iter().enumerate() {
            for (resource, todo) in it.todo.iter().enumerate() {
                if let Some(decision) = todo {
                    self.steps(lab, operator, resource, &decision.step, events);
                }
            }
            self.lists(operator, events);
            if self.left.crashes > 0 {
                events.push(Event::Crash(operator));
            }
        }
        events.extend((0..self.air.len()).map(Event::Answer));
        events.extend((0..self.late.len()).map(Event::Effect));
        if self.may_tick(lab) {
            events.push(Event::Tick);
        }
        if self.left.takeovers > 0 {
            events.push(Event::Takeover);
        }
        if self.cache.is_some() {
            events.push(Event::Thaw);
        } else if self.left.freezes > 0 {
            events.push(Event::Freeze);
        }
        if self.left.strangers > 0 {
            events.push(Event::Stranger);
        }
        if self.left.orders > 0 {
            let possible =
                |(resource, order): &&(usize, Order)| self.makes_sense(*resource, *order);
            let orders = lab.config.orders.iter().filter(possible);
            events.extend(orders.map(|(resource, order)| Event::Order(*resource, *order)));
        }
        let asking = |resource: &usize| {
            lab.config.answers && self.object(*resource).is_some_and(|o| asks(o))
        };
        events.extend(
            (0..lab.config.kinds.len())
                .filter(asking)
                .map(Event::Resolve),
        );
    }

    /// Answers are there, and effects have come, within the settle time. A slow call lasts until the next tick.
    pub fn may_tick(&self, lab: &Lab) -> bool {
        let due = |late: &Late| self.tick + 1 >= late.asked + SETTLE_TICKS;
        let ends = |flight: &Flight| !lab.config.slow || flight.tick < self.tick;
        !self.air.iter().any(ends) && !self.late.iter().any(due)
    }

    fn steps(
        &self,
        lab: &Lab,
        operator: usize,
        resource: usize,
        step: &Step,
        events: &mut Vec<Event>,
    ) {
        let starts = matches!(step, Step::Call(ApiCall::Start { .. }));
        let overtakes = matches!(step, Step::Write(Write::Overtake { .. }));
        if (starts && self.left.starts == 0) || (overtakes && self.left.overtakes == 0) {
            return;
        }
        let mut push = |fault| {
            events.push(Event::Step {
                operator,
                resource,
                fault,
            })
        };
        push(None);
        if self.left.faults == 0 {
            return;
        }
        let fits = |fault: &&Fault| match (step, fault) {
            (
                Step::Write(
                    Write::Status(_) | Write::RecordAccepted { .. } | Write::Overtake { .. },
                ),
                Fault::WriteLost,
            ) => true,
            (Step::Call(ApiCall::Start { .. } | ApiCall::Restart { .. }), fault) => {
                **fault != Fault::WriteLost
            }
            // To these a refusal and a lost call are the same.
            (
                Step::Call(ApiCall::Stop { .. } | ApiCall::Delete { .. }),
                Fault::LostBefore | Fault::LostAfter | Fault::Late,
            ) => true,
            _ => false,
        };
        for fault in lab.config.faults.iter().filter(fits) {
            push(Some(*fault));
        }
    }

    fn lists(&self, operator: usize, events: &mut Vec<Event>) {
        let mut push = |lag| events.push(Event::List { operator, lag });
        push(Lag::None);
        if self.left.cuts > 0 {
            push(Lag::Cut);
        }
        if self.left.lags == 0 {
            return;
        }
        let mut recent = 0;
        for (id, fact) in &self.facts {
            recent += usize::from(!fact.past.is_empty());
            for index in 0..fact.past.len() {
                push(Lag::One(id.clone(), index));
            }
        }
        if recent > 1 {
            push(Lag::All);
        }
    }

    fn makes_sense(&self, resource: usize, order: Order) -> bool {
        let Some(object) = self.object(resource) else {
            return false;
        };
        let running = object.spec.state == DesiredState::Running;
        object.metadata.deletion_timestamp.is_none()
            && match order {
                Order::Delete => true,
                Order::Force => self.bound(resource).is_some(),
                Order::Stop => running,
                Order::Run => !running,
                Order::Restart | Order::Resize => running,
            }
    }
}
