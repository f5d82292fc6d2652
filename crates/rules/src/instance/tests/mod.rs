//! Decisions, one rule at a time. A [`Scene`] is everything that one decision is taken from.

mod accepted;
mod account_changed;
mod ask;
mod bound;
mod budget;
mod calm;
mod capacity;
mod cost;
mod delete;
mod held;
mod hostile;
mod limit;
mod model;
mod odd;
mod orders;
mod others;
mod overtaken;
mod parting;
mod patience;
mod reap;
mod resolve;
mod restart;
mod restored;
mod samples;
mod start;
mod stop_all;
mod unanswered;
mod under_way;
mod unlisted;
mod voided;
mod waiting;
mod walk;
mod world;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cortecs_api::types::{HardwareConfig, Instance, InstanceArgs, Model};
use cortecs_clock::Moment;
use cortecs_resources::{
    CortecsInstance,
    account::{AccountMode, Adoption, Sharing},
    conditions::{RECONCILING, STALLED, find_condition},
    identity::AccountIdentity,
    key::ObjectKey,
    limits::Limits,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use samples::*;

use super::{
    decide,
    input::{
        Account, AccountView, CatalogAnswer, CatalogProblem, Desired, FleetView, Input, Settings,
    },
    protocol::{Rule, Rules},
    step::{ApiCall, Decision, Purpose, Step, Write},
};
use crate::{
    facts::{
        attempt::{Attempt, Outcome},
        bound::Bound,
        capacity::Capacity,
        fleet_key::FleetKey,
        known::digest,
        lookup::{self, Lookup},
        memory::Memory,
        sealed_id::SealedId,
        snapshot::Snapshot,
        stored::{slot, stored},
    },
    ledger::book::Book,
};

const API: &str = "https://api.example/v1";
const SETTLE: Duration = Duration::from_secs(180);
/// When the settle time of what was first seen at 1000 has passed.
const SETTLED: u64 = 1000 + SETTLE.as_secs();

/// What a decision is taken from, in a form that is easy to change.
struct Scene {
    resource: Value,
    others: Vec<Value>,
    view: AccountView,
    memory: Option<Memory>,
    /// What the annotation is worth; unless given, it names the bound instance.
    sealed_id: Option<SealedId>,
    /// What is remembered of the others.
    remembered: Vec<(&'static str, Memory)>,
    /// Newer versions of the others.
    later: Vec<Value>,
    model: Option<CatalogAnswer>,
    capacity: Capacity,
    now: Moment,
    quorum_read_at: Option<Moment>,
    fresh_id: Uuid,
    settings: Settings,
}

fn at(seconds: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(seconds))
}

impl Scene {
    /// A resource with this spec and status, at second 1000, with a list taken at second 999.
    fn new(spec: Value, status: Value) -> Self {
        let mut scene = Self {
            resource: resource("me", spec, status),
            others: Vec::new(),
            view: AccountView {
                named: Some(ObjectKey::new("ns", "main")),
                unchecked: false,
                desired: Desired::Usable(account()),
                limits: Some(Limits::default()),
                fleet: Some(FleetView::default()),
            },
            memory: None,
            sealed_id: None,
            remembered: Vec::new(),
            later: Vec::new(),
            model: Some(model()),
            capacity: Capacity::Unknown,
            now: at(1000),
            quorum_read_at: None,
            fresh_id: Uuid::from_u128(77),
            settings: Settings::new(SETTLE),
        };
        scene.list(999, &[]);
        scene
    }

    /// A get, sent at this second, did not find the instance.
    fn missing(&mut self, id: &str, second: u64) {
        let attempt = self.memory.as_mut().unwrap().start.as_mut().unwrap();
        let lookup = Lookup::next(
            attempt.lookups.get(id),
            at(second),
            lookup::Answer::NotFound,
        );
        attempt.lookups.insert(id.to_owned(), lookup);
    }

    fn account(&mut self, change: impl FnOnce(&mut Account)) {
        if let Desired::Usable(account) = &mut self.view.desired {
            change(account);
            self.view.limits = Some(account.limits.clone());
        }
    }

    fn fleet(&mut self, change: impl FnOnce(&mut FleetView)) {
        change(self.view.fleet.as_mut().unwrap());
    }

    /// The account's last good list, requested and received at this second.
    fn list(&mut self, second: u64, instances: &[Instance]) {
        let snapshot = Snapshot {
            sequence: second,
            requested_at: at(second),
            received_at: at(second),
            instances: instances
                .iter()
                .map(|i| (i.instance_id.clone(), Arc::new(i.clone())))
                .collect(),
        };
        if let Some(fleet) = &mut self.view.fleet {
            fleet.snapshot = Some(Arc::new(snapshot));
        }
    }

    /// The account is on hold, or is not any more.
    fn hold(&mut self, held: bool) {
        self.fleet(|fleet| fleet.held = held.then(|| "it is on hold".to_owned()));
    }

    /// It is being deleted, and its status says so.
    fn deleting(mut self) -> Self {
        self.resource["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
        self.resource["status"]["phase"] = json!("Deleting");
        self
    }

    /// The status becomes what the decision says.
    fn shown(mut self) -> Self {
        let decision = self.decide();
        self.resource["status"] = serde_json::to_value(&decision.status).unwrap();
        self
    }

    fn annotated(mut self, name: &str, value: &str) -> Self {
        self.resource["metadata"]["annotations"] = json!({ name: value });
        self
    }

    fn parsed(&self) -> CortecsInstance {
        serde_json::from_value(self.resource.clone()).unwrap()
    }

    /// Lets the memory take note of the scene, as the shell does before each decision.
    fn observe(&mut self) {
        let resource = self.parsed();
        let snapshot = self.view.fleet.as_ref().and_then(|f| f.snapshot.clone());
        let memory = self.memory.get_or_insert_default();
        memory.observe(&resource, snapshot.as_deref(), SETTLE, self.now);
        let bound = resource.status.as_ref().and_then(|s| s.instance_id.clone());
        let sealed_id = self.sealed_id.clone();
        let sealed_id = sealed_id.unwrap_or_else(|| bound.map_or(SealedId::None, SealedId::Proven));
        let fleet = fleet();
        let fleet = self.view.fleet.as_ref().map(|_| &fleet);
        memory.observe_sealed_id(sealed_id, fleet, &resource, snapshot.as_deref(), self.now);
    }

    fn decide(&mut self) -> Decision {
        self.with_input(decide)
    }

    /// What follows from what a decision is taken from.
    fn with_input<T>(&mut self, then: impl FnOnce(&Input<'_>) -> T) -> T {
        self.observe();
        let resource = self.parsed();
        let key = ObjectKey::of(&resource);
        let mut book = Book::default();
        for other in std::iter::once(&self.resource).chain(&self.others) {
            let other: CortecsInstance = serde_json::from_value(other.clone()).unwrap();
            book.apply(Arc::new(other));
        }
        if let Some(read) = self.quorum_read_at {
            book.read_by_quorum(read);
        }
        let memory = self.memory.clone().unwrap_or_default();
        book.remember(&key, |m| *m = memory.clone());
        for (name, remembered) in &self.remembered {
            book.remember(&ObjectKey::new("ns", *name), |m| *m = remembered.clone());
        }
        for other in &self.later {
            book.apply(Arc::new(serde_json::from_value(other.clone()).unwrap()));
        }
        then(&Input {
            key: &key,
            resource: &resource,
            account: &self.view,
            book: &book,
            memory: &memory,
            model: self.model.as_ref(),
            capacity: &self.capacity,
            settings: &self.settings,
            now: self.now,
            wall: "2026-01-03T00:00:00Z".parse::<Timestamp>().unwrap(),
            uuid: self.fresh_id,
        })
    }

    /// Whether the fleet makes a list because of this decision: the scene's last list does not meet it.
    fn asks_for_list(&self, decision: &Decision) -> bool {
        let snapshot = self
            .view
            .fleet
            .as_ref()
            .and_then(|fleet| fleet.snapshot.as_ref());
        let listed = snapshot.map(|snapshot| snapshot.requested_at);
        decision
            .list_after
            .is_some_and(|after| listed.is_none_or(|listed| listed <= after))
    }

    /// What is remembered of the bound instance.
    fn memory_of_bound(&mut self) -> &mut Bound {
        self.memory.as_mut().unwrap().bound.as_mut().unwrap()
    }

    /// Each of these was looked up by itself just now and is there.
    fn found(&mut self, ids: &[&str]) {
        let attempt = self.memory.as_mut().unwrap().start.as_mut().unwrap();
        let found = || Lookup::next(None, self.now, lookup::Answer::Found);
        let lookups = ids.iter().map(|id| ((*id).to_owned(), found()));
        attempt.lookups.extend(lookups);
    }

    /// This process wrote the open start itself and knows what became of it.
    fn remember_start(&mut self, outcome: Outcome) {
        let resource = self.parsed();
        let id = resource.status.unwrap().slot().start.as_ref().unwrap().id;
        let mut attempt = Attempt::written(id, self.now);
        attempt.outcome = outcome;
        self.memory.get_or_insert_default().start = Some(attempt);
    }

    /// Lists at these seconds, one after the other, each noted.
    fn lists(&mut self, seconds: impl IntoIterator<Item = u64>, instances: &[Instance]) {
        for second in seconds {
            self.list(second, instances);
            self.now = self.now.max(at(second));
            self.observe();
        }
    }
}

/// The reason of `Stalled`, if it is there.
fn stalled(decision: &Decision) -> Option<&str> {
    find_condition(&decision.status.conditions, STALLED).map(|c| c.reason.as_str())
}

/// The reason of `Reconciling`, if it is there.
fn reconciling(decision: &Decision) -> Option<&str> {
    find_condition(&decision.status.conditions, RECONCILING).map(|c| c.reason.as_str())
}
