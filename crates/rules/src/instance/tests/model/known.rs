//! The canonical form of what a process knows.

use super::{
    KEYS,
    canon::{Writer, looks},
    state::{Operator, SETTLE_TICKS},
};
use crate::{
    facts::bound::Bound,
    instance::tests::{world::MISSPELT_MODEL, *},
};

impl Writer<'_> {
    pub(super) fn operator(&mut self, operator: &Operator) {
        let process = &operator.process;
        let read = process.book.quorum_read_at();
        match &process.snapshot {
            None => self.byte(0),
            Some(snapshot) => {
                self.byte(1);
                self.flag(self.state.age(snapshot.requested_at) == 0);
                self.flag(read.is_some_and(|read| read >= snapshot.received_at));
                for n in 0..self.ids.len() {
                    let state = looks(snapshot.instances.get(self.ids[n]));
                    self.byte(state);
                }
                self.strangers(Some(snapshot.requested_at));
            }
        }
        for resource in self.order.clone() {
            let key = &KEYS[resource];
            let entry = process.book.get(key);
            self.view(resource, entry.map(|e| &e.resource));
            if let Some(entry) = entry {
                self.memory(&entry.memory, process.snapshot.as_deref());
            }
        }
        self.ids_mask(|id| process.book.was_let_go(API, id));
        for model in ["org/name", MISSPELT_MODEL] {
            match process.book.last_ended(API, model) {
                None => self.byte(0),
                Some(ended) => {
                    self.byte(1);
                    self.age(ended);
                }
            }
        }
        // Reservations are seen by nothing but this.
        for n in 0..self.ids.len() {
            let claims = self.order.clone().into_iter().enumerate();
            let claims = claims.fold(0_u8, |mask, (place, resource)| {
                let mut claimants = process.book.claimants(API, self.ids[n]);
                mask | u8::from(claimants.any(|key| *key == KEYS[resource])) << place
            });
            self.byte(claims);
        }
    }

    fn memory(&mut self, memory: &Memory, snapshot: Option<&Snapshot>) {
        let now = self.state.now();
        let asked = snapshot.map(|s| s.requested_at);
        match &memory.start {
            None => self.byte(0),
            Some(attempt) => self.attempt(attempt, asked),
        }
        match &memory.writing_start {
            None => self.byte(0),
            Some(writing) => {
                self.byte(1);
                self.args(Some(&writing.intent.args));
                self.long_age(writing.since);
            }
        }
        match &memory.held_up {
            None => self.byte(0),
            Some(_) if self.state.left.overtakes == 0 => self.byte(0),
            Some(held_up) => {
                self.byte(1);
                let rank = self.intent_rank(held_up.by);
                self.byte(rank);
                self.long_age(held_up.since);
            }
        }
        match &memory.restart {
            None => self.byte(0),
            Some(attempt) => self.attempt(attempt, asked),
        }
        match &memory.bound {
            None => self.byte(0),
            Some(bound) => self.bound(bound, asked),
        }
        self.flag(memory.failure.as_ref().is_some_and(|f| now < f.retry_at));
        if self.spends() {
            let wait = memory.budget_wait.as_ref();
            self.ids_mask(|id| memory.removed.as_deref() == Some(id));
            self.flag(memory.writing_restart);
            self.flag(wait.is_some_and(|wait| wait.lasts(now)));
            self.flag(wait.is_some_and(|wait| wait.is_shown(now)));
        }
    }

    fn attempt(&mut self, attempt: &Attempt, asked: Option<Moment>) {
        self.byte(1);
        match &attempt.outcome {
            Outcome::Unknown(_) => self.long_age(attempt.first_seen),
            // The settle time of what is accepted in the end is longer.
            _ => {
                let others = u64::from(self.state.left.overtakes > 0);
                self.age_up_to(attempt.first_seen, SETTLE_TICKS + 1 + others);
            }
        }
        match &attempt.outcome {
            Outcome::Written => self.byte(1),
            Outcome::Dropped => self.byte(6),
            Outcome::InFlight => self.byte(2),
            Outcome::Accepted(instance) => {
                self.byte(3);
                self.id(Some(&instance.instance_id));
            }
            Outcome::Refused(_) => self.byte(4),
            Outcome::Unknown(since) => {
                self.byte(5);
                self.long_age(*since);
                self.flag(asked.is_some_and(|asked| asked >= *since));
            }
        }
        let most = if self.state.left.overtakes > 0 { 4 } else { 2 };
        self.byte(u8::try_from(attempt.settled_lists.min(most)).unwrap());
        self.flag(attempt.ordered);
        for n in 0..self.ids.len() {
            let lookup = attempt.lookups.get(self.ids[n]);
            self.byte(match lookup {
                None => 0,
                Some(lookup) if lookup.is_found() => 1,
                Some(lookup) => {
                    let now = self.state.now();
                    let is_newest = asked.is_some_and(|asked| lookup.asked >= asked);
                    2 + u8::from(is_newest) + 2 * u8::from(now < lookup.retry_at())
                }
            });
            if let Some(lookup) = lookup.filter(|lookup| !lookup.is_found()) {
                self.age(lookup.first_failed);
            }
        }
    }

    fn bound(&mut self, bound: &Bound, asked: Option<Moment>) {
        self.byte(1);
        self.id(Some(&bound.id));
        let spends = self.spends();
        if self.is_kept() || spends {
            self.age(bound.first_seen);
        }
        self.byte(u8::try_from(bound.absent_lists.min(2)).unwrap());
        if let Some(since) = bound.unlisted_since {
            self.byte(9);
            self.age(since);
        }
        self.flag(bound.lookup_failed);
        if let Some(lookup) = &bound.lookup {
            let now = self.state.now();
            self.byte(10 + u8::from(now < lookup.retry_at()));
            self.flag(asked.is_some_and(|asked| lookup.asked >= asked));
        }
        self.flag(bound.stop_answered);
        self.flag(bound.stop_accepted);
        if let Some((at, count)) = bound.delete_accepted {
            self.byte(12 + u8::try_from(count.min(8)).unwrap());
            self.flag(asked.is_some_and(|asked| asked > at));
            self.age(at);
        }
        self.flag(bound.stopped);
        self.flag(bound.removal_tried);
        self.flag(bound.deleted);
        let direct = bound.direct.as_ref();
        self.byte(looks(direct.map(|(_, instance)| instance)));
        if let Some((at, _)) = direct {
            self.flag(asked.is_some_and(|asked| *at < asked));
        }
        let Some(called) = bound.called else {
            return self.byte(0);
        };
        self.byte(1);
        let compare = |at: Option<Moment>| match at.map(|at| at.cmp(&called)) {
            None => 3,
            Some(std::cmp::Ordering::Less) => 0,
            Some(std::cmp::Ordering::Equal) => 1,
            Some(std::cmp::Ordering::Greater) => 2,
        };
        self.byte(compare(asked));
        self.byte(compare(direct.map(|(at, _)| *at)));
        self.byte(u8::try_from(bound.stops.min(8)).unwrap());
        let patience = (1_u64 << bound.stops.min(8)) / 60 + 1;
        let patience = patience.max(if spends { SETTLE_TICKS } else { 0 });
        self.byte(u8::try_from(self.state.age(called).min(patience)).unwrap());
    }
}
