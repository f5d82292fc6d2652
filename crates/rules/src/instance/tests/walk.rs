//! Random walks: the real decisions against a small model of the API server and of the Cortecs API, where answers get lost,
//! effects come late, lists lag, watches are stale, the process crashes and people change their minds.
//!
//! After each event: no instance is two resources', and there are never more instances without an owner than starts that
//! are still open. At the end, when the faults stop: each resource has what it asks for, and nothing else is there.

mod api;
mod budget;
mod check;
mod people;
mod trail;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use api::Api;
use cortecs_api::Error;
use cortecs_resources::{
    instance::{DeletionPolicy, DesiredState},
    instance_status::CortecsInstanceStatus,
};
use kube::ResourceExt;
use trail::Trail;

use super::{
    world::{
        Effect, Landing, Moves, Process, Server, Surroundings, Written, call_of, sealed_id_of,
        surroundings,
    },
    *,
};
use crate::{
    instance::record::{self, Times},
    pacing::pressure::Wait,
};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered,
    /// Refused, or never sent.
    Refused,
    LostBefore,
    LostAfter,
    /// Lost, and its effect comes after so many seconds: less than the settle time, even for lists that lag.
    Late(u64),
    /// Answered, and the effect comes after so many seconds.
    Slow(u64),
}

/// An event of the watch: the object, or what is gone.
type WatchEvent = Result<Arc<CortecsInstance>, Arc<CortecsInstance>>;

struct Walk {
    rng: fastrand::Rng,
    now: u64,
    server: Server,
    watch: VecDeque<WatchEvent>,
    api: Api,
    process: Process,
    around: Surroundings,
    faults: bool,
    /// Answers leave the number of workers out.
    omits: bool,
    /// The account has a budget for so many workers.
    budget: Option<u32>,
    created: u64,
    trails: BTreeMap<ObjectKey, Trail>,
    log: Vec<String>,
}

/// Walks with these seeds, or as many as `WALK_SEEDS` says.
fn walks(most: u64, walk: impl Fn(u64)) {
    let seeds = std::env::var("WALK_SEEDS").ok();
    let seeds = seeds.and_then(|n| n.parse().ok());
    (0..seeds.unwrap_or(most)).for_each(walk);
}

#[test]
fn starts_and_restarts_keep_to_the_budget_together() {
    walks(25, |seed| {
        let mut walk = Walk::new(seed);
        walk.limit(1 + u32::try_from(seed % 3).unwrap());
        walk.run(seed);
    });
}

#[test]
fn nothing_is_paid_twice_and_nothing_is_left_behind() {
    walks(100, |seed| Walk::new(seed).run(seed));
}

impl Walk {
    fn new(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            now: 1000,
            server: Server::default(),
            watch: VecDeque::new(),
            api: Api::default(),
            process: Process::default(),
            around: Surroundings {
                prices: cost::prices(1.2),
                ..surroundings()
            },
            faults: true,
            omits: seed % 2 == 1,
            budget: None,
            created: 0,
            trails: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    fn run(&mut self, seed: u64) {
        let events = if self.budget.is_some() { 1_600 } else { 400 };
        for _ in 0..events {
            self.event();
            self.check(seed);
            self.check_budget(seed);
        }
        self.faults = false;
        self.around.held = false;
        self.around.checked = true;
        self.around.capacity = Capacity::NotAsked;
        self.log.push("faults end".into());
        if self.budget.is_some() {
            self.calm(seed, 150);
            self.check_budget(seed);
            self.check_waits(seed);
            self.lift_budget();
        }
        self.calm(seed, 400);
        self.check_end(seed);
        self.restart_tells_nothing(seed);
    }

    /// Nothing goes wrong for so many rounds.
    fn calm(&mut self, seed: u64, rounds: u32) {
        for _ in 0..rounds {
            self.deliver_all();
            self.list(0);
            for name in NAMES {
                self.reconcile(&ObjectKey::new("ns", name));
                self.check(seed);
            }
            self.pass(7);
            self.answer_questions();
        }
    }

    fn event(&mut self) {
        match self.rng.u32(0..100) {
            0..50 => {
                let name = self.any_name();
                self.reconcile(&name);
            }
            50..65 => {
                let lag = if self.rng.bool() {
                    self.rng.u64(0..60)
                } else {
                    0
                };
                self.list(lag);
            }
            65..78 => {
                let seconds = self.rng.u64(1..40);
                self.pass(seconds);
            }
            78..85 => self.deliver_all(),
            85..88 => self.around.capacity = Capacity::NotAsked,
            88..90 => self.crash(),
            90..93 => self.disturb(),
            _ if !self.around.checked => self.around.checked = self.rng.bool(),
            93 => {
                self.around.held = !self.around.held;
                self.log.push(format!("held: {}", self.around.held));
            }
            _ => self.user(),
        }
    }

    fn any_name(&mut self) -> ObjectKey {
        ObjectKey::new("ns", NAMES[self.rng.usize(0..NAMES.len())])
    }

    fn store(&mut self, object: CortecsInstance) {
        let (object, stays) = self.server.store(object);
        self.tell(object, stays);
    }

    /// The watch tells of a new version.
    fn tell(&mut self, object: Arc<CortecsInstance>, stays: bool) {
        if stays {
            return self.watch.push_back(Ok(object));
        }
        let status = object.status.as_ref();
        if object.spec.deletion_policy == DeletionPolicy::Stop
            && let Some(id) = status.and_then(|s| s.instance_id.as_ref())
        {
            self.api.left.insert(id.clone());
        }
        self.watch.push_back(Err(object));
    }

    fn deliver_all(&mut self) {
        while let Some(event) = self.watch.pop_front() {
            match event {
                Ok(object) => drop(self.process.book.apply(object)),
                Err(gone) => {
                    self.process.book.deleted(&gone);
                }
            }
        }
    }

    fn crash(&mut self) {
        self.log.push("crash".into());
        self.watch.clear();
        self.process = Process::begins(self.server.objects.values());
        self.around.checked = false;
        self.excuse_lists();
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += 1;
            if self.api.tick(self.now) {
                self.excuse_lists();
            }
        }
    }

    fn list(&mut self, lag: u64) {
        if !self.around.checked {
            return;
        }
        let mut instances = self.api.list(self.now.saturating_sub(lag));
        for instance in instances.values_mut().filter(|_| self.omits) {
            Arc::make_mut(instance).instance_args.num_workers = None;
        }
        self.process.list(instances, at(self.now));
    }

    fn fate(&mut self) -> Fate {
        if !self.faults {
            return Fate::Answered;
        }
        match self.rng.u32(0..10) {
            0 => Fate::Refused,
            1 => Fate::LostBefore,
            2 => Fate::LostAfter,
            3 => Fate::Late(self.rng.u64(1..100)),
            _ => Fate::Answered,
        }
    }

    fn reconcile(&mut self, key: &ObjectKey) {
        let moves = Moves {
            now: at(self.now),
            uuid: Uuid::from_u128(self.rng.u128(..)),
            wait: self.calls_wait(),
            seals: true,
        };
        let Some(resource) = self.process.resource(key) else {
            return;
        };
        let Some(decision) = self.process.decide(key, &self.around, moves) else {
            return;
        };
        self.judge(key, &resource, &decision);
        if decision.step != Step::Rest {
            self.log
                .push(format!("{} {key}: {:?}", self.now, decision.step));
        }
        self.process.announce(key, &decision, at(self.now));
        let needs_list = decision.list_after.is_some();
        self.act(key, decision);
        // A fleet makes a list that is needed soon, unless lists fail.
        if !self.faults || (needs_list && self.rng.bool()) {
            self.list(0);
        }
    }

    /// The API's answer about free hardware: no answer, none is free, or what is asked for is.
    fn answer(&mut self) -> Capacity {
        let free = args()["hardwareTypeId"].as_str().map(str::to_owned);
        let ids = match self.rng.u32(0..3) {
            _ if !self.faults => free.into_iter().collect(),
            0 => return Capacity::Unknown,
            1 => BTreeSet::new(),
            _ => free.into_iter().collect(),
        };
        Capacity::Available(Arc::new(ids))
    }

    /// Calls may be delayed at any moment.
    fn calls_wait(&mut self) -> Option<Wait> {
        match self.rng.u32(0..20) {
            _ if !self.faults => None,
            0 => Some(Wait::Until(at(self.now + self.rng.u64(1..30)))),
            1 => Some(Wait::Turn),
            _ => None,
        }
    }

    fn act(&mut self, key: &ObjectKey, decision: Decision) {
        match decision.step {
            Step::Rest | Step::Call(ApiCall::FetchModel { .. }) => {}
            Step::Call(ApiCall::FetchCapacity) => self.around.capacity = self.answer(),
            Step::Write(_) => self.write(key, decision),
            Step::QuorumRead => {
                self.process.read_by_quorum(&self.server, at(self.now));
                self.reconcile(key);
            }
            Step::Call(call) => self.call(key, &call),
        }
    }

    /// A write whose answer may be lost.
    fn write(&mut self, key: &ObjectKey, decision: Decision) {
        let landing = match self.fate() {
            Fate::Answered => Landing::Answered,
            Fate::Refused => Landing::Refused,
            Fate::LostBefore => Landing::LostBefore,
            Fate::LostAfter | Fate::Late(_) | Fate::Slow(_) => Landing::LostAfter,
        };
        let now = at(self.now);
        let written = self
            .process
            .write(key, decision, &mut self.server, landing, now);
        self.log.push(format!("  {landing:?}"));
        match written {
            Written::Landed(object, stays) => self.tell(object, stays),
            Written::Conflict => self.log.push(format!("conflict on {key}")),
            Written::Nothing => {}
        }
    }

    fn call(&mut self, key: &ObjectKey, made: &ApiCall) {
        if self.faults && self.rng.u32(0..20) == 0 {
            self.log.push("  not made".into());
            self.process.book.remember(key, record::call_not_made);
            return;
        }
        let fate = match (self.fate(), made) {
            (Fate::Answered, ApiCall::Stop { .. }) if self.faults && self.rng.bool() => {
                Fate::Slow(self.rng.u64(1..100))
            }
            (fate, _) => fate,
        };
        self.log.push(format!("  {fate:?}"));
        let effect = Effect::of(made);
        let done = match fate {
            Fate::Answered | Fate::LostAfter => Some(self.api.apply(&effect)),
            Fate::Slow(seconds) => {
                let id = effect.instance_id().cloned().unwrap_or_default();
                let up = self.api.get(&id).filter(|i| !i.is_stopped()).cloned();
                self.api.late.push((self.now + seconds, effect));
                Some(up)
            }
            Fate::Late(seconds) => {
                self.api.late.push((self.now + seconds, effect));
                None
            }
            Fate::Refused | Fate::LostBefore => None,
        };
        let call = call_of(made);
        let result = match (fate, done) {
            (Fate::Answered | Fate::Slow(_), Some(Some(mut instance))) => {
                let args = &mut instance.instance_args;
                args.num_workers = args.num_workers.filter(|_| !self.omits);
                Ok(instance)
            }
            (Fate::Answered | Fate::Slow(_), _) => Err(Error::answered(call, 400)),
            (Fate::Refused, _) => Err(Error::answered(call, 429)),
            _ => Err(Error::unanswered(call)),
        };
        let times = Times {
            asked: at(self.now),
            answered: at(self.now),
        };
        self.process.answered(key, made, result, times);
    }
}
