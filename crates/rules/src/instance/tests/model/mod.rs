//! The model checker: the real decisions, book, memory and records, in every order of events that some bounds allow.
//!
//! A state is what is persisted, what each process knows, what is at the Cortecs API, and what is in the air. After each
//! event each process decides, with the real code, what it will do next for each resource; doing it is an event, and so
//! are an answer, an effect that comes late, a list, a crash, a lease that changes hands, a watch that falls behind, and
//! whatever people and outsiders do. `stateright` walks through all orders of them.
//!
//! | file | what it has |
//! |---|---|
//! | `config` | the resources, and how often what may happen |
//! | `state` | a state |
//! | `offer`, `next`, `shell` | what may happen, what it does, and what each process does then without a choice |
//! | `shown` | what of a status is read again |
//! | `canon`, `known`, `alike` | which states are one, and the test of that |
//! | `goal` | the properties |
//! | `seen` | states that need no second look, since as much may still happen in one that was looked at |
//! | `rules` | each rule switched off: the checker can fail |
//! | `runs` | what is explored with all rules on |
//! | `spending` | the same in an account with a budget |
//!
//! Which rules it takes to break a property, each alone but where said otherwise:
//! - the intent's write, one call, the finalizer first, known ids, not knowing what may be of others, telling open starts, doubting absences, waiting for equal starts, asking in a shared account, the gone rule, restarts written ahead,
//!   restarts that stay open, the proof that it is stopped, the classes of statuses, overtaking, the lease's deadline: each is a test in `rules`.
//! - The quorum read and a beginning with the newest state are two locks of one door: a claim that another process wrote.
//!   Without the read, a process that begins with an old view claims an instance twice; with the read it does not; and
//!   without the read nothing is found as long as each process begins with the newest state. The deadline is a lock
//!   of its own: two processes that both act have both read before either has written.
//!
//! What is left out, and why that loses nothing or what it loses:
//! - Time passes in ticks of which the settle time has two; within a tick later events are later. What a walk of seconds
//!   would find between them is left to the random walks.
//! - A write that only reports is made at once, with nothing between it and the decision: nobody decides by it but by
//!   `StartUnresolved`, which is kept. Each list is noted by all resources at once: one that misses a list knows less
//!   and waits longer.
//! - A stop, a delete, a get, a restart and a write are one event with their answer: the resource does nothing else
//!   meanwhile, and no other looks at it. A start is two, since others look at whether it is in flight.
//! - A crash is between any two events. One between a call and the note of its answer is one after that note, since the
//!   note is in memory.
//! - From its deadline on a holder of the lease does nothing, and the next begins later: that is a crash whose calls may
//!   still take effect. Only with that rule off there are two that act.
//! - The watch is at its newest unless it is frozen; then nothing of it is seen until it is thawed. That is what may be
//!   known at two moments; more freezes are more moments.
//! - All resources take note of an event before any of them decides, so that their order does not matter: that one decides before
//!   another has noted a write whose answer was lost is left out.
//! - Instances run from the start on: pending and running are treated alike. Backoffs last until the next tick.
//!   A refusal is a 429: that a terminal one waits longer changes no order.
//! - Late effects and lists that lag keep, together, to the settle time: that is the protocol's premise. What an
//!   outsider starts is listed at once. A list that is cut short shows nothing at all.
//! - Two resources that are alike are interchangeable, and states that differ in their order are one. Ids are told apart
//!   by their order only among instances with the same arguments, since decisions compare no others. Ids are in no order: a
//!   later instance may have the lesser one.
//! - Since when an instance is known to be bound is forgotten where nobody can have it stopped or deleted and no list can
//!   lack it; what an instance was before is forgotten once no list can show it.
//! - Of states that differ only in what may still go wrong, one in which less may happen is not looked at: `seen`.
//! - A call that is lost after its effect is a late one whose effect comes at once: `alike` sees that it is so.
//! - Wall clocks agree, writes to Kubernetes land at once or never, nobody but the operator stops or deletes instances,
//!   and the catalog always answers about a model, or never.

mod alike;
mod canon;
mod config;
mod goal;
mod known;
mod next;
mod offer;
mod rules;
mod runs;
mod seen;
mod shell;
mod shown;
mod spending;
mod state;

use std::{
    collections::BTreeMap,
    hash::Hash,
    sync::{
        LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use config::{Begin, Config, Off};
use cortecs_resources::instance::DeletionPolicy;
use next::Event;
use seen::{Goals, Seen};
use state::{Operator, State, TICK};
use stateright::{Checker, HasDiscoveries, Model, Property};

use super::{
    world::{Cloud, MISSPELT_MODEL, Process, Server, Surroundings, surroundings},
    *,
};
use crate::facts::defaults;

pub(super) static KEYS: LazyLock<[ObjectKey; 3]> =
    LazyLock::new(|| ["a", "b", "c"].map(|name| ObjectKey::new("ns", name)));

/// A configuration, ready to be explored.
struct Lab {
    config: Config,
    around: Surroundings,
    /// What each resource asks for at first.
    args: Vec<InstanceArgs>,
    symmetric: bool,
    /// Which properties are known to be broken: the first trace is the one that is kept.
    broken: [AtomicBool; 6],
    seen: Seen,
    goals: Goals,
}

const ONE_EACH: &str = "at most one live instance is attributable to each resource";
const ONE_CLAIM: &str = "no instance is claimed by two";
const NONE_LEFT: &str = "a resource that is gone leaves nothing that is billed";
const NO_WEDGE: &str = "once nothing goes wrong any more, the goal is reached";
const IN_BUDGET: &str = "what is billed keeps to the account's budget";
const NO_STRANGER: &str = "nothing of an outsider's and nothing unproven is touched";

impl Lab {
    fn new(config: Config) -> Self {
        let mut around = surroundings();
        around.settings = Settings {
            rules: config.rules(),
            ..Settings::new(TICK * 2)
        };
        if config.shared && !config.is_off(Off::Sharing) {
            around.sharing = Sharing::Shared;
        }
        spending::limit(&config, &mut around);
        let args = (0..config.kinds.len())
            .map(|resource| {
                let object = object(&config, resource);
                let model = around.model_of(&object).as_deref().ok();
                defaults::pin(&object.spec, model).unwrap()
            })
            .collect();
        Self {
            symmetric: config.is_symmetric(),
            broken: Default::default(),
            seen: Seen::default(),
            goals: Goals::default(),
            around,
            args,
            config,
        }
    }

    /// Whether the property still holds; it is broken once.
    fn keeps(&self, property: usize, holds: bool) -> bool {
        holds || self.broken[property].swap(true, Ordering::Relaxed)
    }

    fn initial(&self) -> State {
        let mut server = Server::default();
        for resource in 0..self.config.kinds.len() {
            server.store(object(&self.config, resource));
        }
        let operator = Operator {
            process: Process::begins(server.objects.values()),
            todo: Vec::new(),
        };
        let mut state = State {
            tick: 0,
            events: 0,
            server,
            cache: None,
            operators: vec![operator],
            cloud: Cloud::default(),
            facts: BTreeMap::new(),
            air: Vec::new(),
            late: Vec::new(),
            left: self.config.budgets,
            listed: vec![None; self.config.kinds.len()],
            broken: None,
            core: 0,
        };
        state.operators[0].todo = vec![None; self.config.kinds.len()];
        state.settle(self);
        state.core = canon::core(&state, self);
        if self.config.spend.is_none() {
            return goal::begin(self, state);
        }
        // The budget is set when what is to run at first does.
        let before = Self::new(Config {
            spend: None,
            ..self.config.clone()
        });
        let mut state = goal::begin(&before, state);
        state.settle(self);
        state.core = canon::core(&state, self);
        state
    }
}

fn object(config: &Config, resource: usize) -> CortecsInstance {
    let kind = config.kinds[resource];
    let policy = match kind.policy {
        DeletionPolicy::Delete => "Delete",
        DeletionPolicy::Stop => "Stop",
        DeletionPolicy::Orphan => "Orphan",
    };
    let spec = json!({ "deletionPolicy": policy, "numWorkers": kind.workers });
    let mut value = super::resource(&KEYS[resource].name, spec, json!({}));
    if kind.misspelt {
        let spec = &mut value["spec"];
        spec["modelId"] = json!(MISSPELT_MODEL);
        spec["hardwareTypeId"] = json!("NVIDIA_L4_1");
        spec["contextLength"] = json!(16_000);
    }
    if kind.begin == Begin::New {
        value["metadata"]["finalizers"] = json!([]);
    }
    serde_json::from_value(value).unwrap()
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.core == other.core && self.left == other.left
    }
}

impl Hash for State {
    fn hash<H: std::hash::Hasher>(&self, hasher: &mut H) {
        self.core.hash(hasher);
        self.left.hash(hasher);
    }
}

impl Model for Lab {
    type State = State;
    type Action = Event;

    fn init_states(&self) -> Vec<State> {
        vec![self.initial()]
    }

    fn actions(&self, state: &State, events: &mut Vec<Event>) {
        state.events(self, events);
    }

    fn next_state(&self, state: &State, event: Event) -> Option<State> {
        let next = state.after(self, &event);
        (next.core != state.core).then_some(next)
    }

    fn within_boundary(&self, state: &State) -> bool {
        self.seen.is_new(state.core, state.left)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(ONE_EACH, |lab, s| lab.keeps(0, goal::one_each(lab, s))),
            Property::always(ONE_CLAIM, |lab, s| lab.keeps(1, goal::one_claim(lab, s))),
            Property::always(NONE_LEFT, |lab, s| lab.keeps(2, goal::none_left(lab, s))),
            Property::always(NO_STRANGER, |lab, s| {
                lab.keeps(3, goal::no_stranger(lab, s))
            }),
            Property::always(IN_BUDGET, |lab, s| lab.keeps(5, goal::in_budget(lab, s))),
            Property::always(NO_WEDGE, |lab, s| lab.keeps(4, goal::no_wedge(lab, s))),
        ]
    }
}

/// What a run has found.
struct Found {
    /// States that were looked at.
    unique: usize,
    /// Those of them that differ in more than in what may still go wrong.
    cores: usize,
    depth: usize,
    seconds: f64,
    /// All that the bounds allow was explored.
    exhausted: bool,
    /// By property: the events that lead to a state that breaks it.
    broken: BTreeMap<&'static str, Vec<Event>>,
}

/// Explores breadth first until a property is broken, so that the trace is a shortest one.
fn shortest(config: Config, property: &'static str) -> Found {
    let finish = HasDiscoveries::AnyOf([property].into());
    let began = Instant::now();
    let checker = Lab::new(config).checker().finish_when(finish);
    let checker = checker.spawn_bfs().join();
    found(&checker, began)
}

/// Explores everything, or as many states as the configuration says.
fn all(config: Config, threads: usize) -> Found {
    let most = config.most;
    let began = Instant::now();
    let checker = Lab::new(config)
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures);
    let checker = if most > 0 {
        checker.target_state_count(most)
    } else {
        checker
    };
    let checker = checker.spawn_bfs().join();
    let mut found = found(&checker, began);
    found.exhausted &= most == 0 || checker.state_count() < most;
    found
}

fn found(checker: &impl Checker<Lab>, began: Instant) -> Found {
    let broken = checker.discoveries();
    Found {
        unique: checker.unique_state_count(),
        cores: checker.model().seen.count(),
        depth: checker.max_depth(),
        seconds: began.elapsed().as_secs_f64(),
        exhausted: checker.is_done() && broken.is_empty(),
        broken: broken
            .into_iter()
            .map(|(name, path)| (name, path.into_actions()))
            .collect(),
    }
}
