//! What must never be, and what must be reached once nothing goes wrong any more.

use cortecs_resources::instance::{DeletionPolicy, DesiredState};

use super::{
    Lab,
    config::{Begin, Budgets, Order},
    next::{Event, Lag},
    state::{Broken, SETTLE_TICKS, State},
};

/// How many rounds the goal may take. Each resource needs a few, and each settle time two.
const ROUNDS: usize = 150;

/// At most one live instance is attributable to each resource.
pub fn one_each(_: &Lab, state: &State) -> bool {
    (0..state.listed.len()).all(|resource| {
        let own = |fact: &&crate::instance::tests::model::state::Fact| {
            fact.owner == Some(resource) && !fact.left
        };
        let ids = state
            .facts
            .iter()
            .filter(|(id, f)| own(f) && state.cloud.instances.contains_key(*id));
        ids.count() <= 1
    })
}

/// No instance is claimed by two, and nobody calls for another's.
pub fn one_claim(lab: &Lab, state: &State) -> bool {
    let mut bound: Vec<&str> = (0..lab.config.kinds.len())
        .filter_map(|r| state.bound(r))
        .collect();
    let all = bound.len();
    bound.sort_unstable();
    bound.dedup();
    bound.len() == all && state.broken != Some(Broken::Anothers)
}

/// A resource that is gone leaves nothing, or, with the policy Stop, nothing that is billed. What it may leave is left.
pub fn none_left(lab: &Lab, state: &State) -> bool {
    state.facts.iter().all(|(id, fact)| {
        let gone = fact
            .owner
            .is_some_and(|owner| state.object(owner).is_none());
        let there = state.cloud.instances.contains_key(id);
        let stops = fact
            .owner
            .is_some_and(|owner| lab.config.kinds[owner].policy == DeletionPolicy::Stop);
        !gone || !there || (fact.left && !(stops && state.is_up(id)))
    })
}

/// Nothing of an outsider's, and nothing unproven, is bound or touched.
pub fn no_stranger(_: &Lab, state: &State) -> bool {
    state.broken != Some(Broken::Stranger)
}

/// What is billed keeps to the budget.
pub fn in_budget(lab: &Lab, state: &State) -> bool {
    let up = state.cloud.instances.values().filter(|i| !i.is_stopped());
    let workers: u32 = up.map(|i| i.instance_args.num_workers.unwrap_or(1)).sum();
    lab.config.spend.is_none_or(|most| workers <= most)
}

/// When nothing goes wrong any more, every resource gets what it asks for.
pub fn no_wedge(lab: &Lab, state: &State) -> bool {
    if !lab.config.goal {
        return true;
    }
    let mut state = undisturbed(state);
    let mut way = Vec::new();
    for _ in 0..ROUNDS {
        if lab.goals.is_near(state.core) {
            lab.goals.note(way);
            return true;
        }
        way.push(state.core);
        state = round(lab, state);
        if is_reached(lab, &state).is_ok() {
            lab.goals.note(way);
            return true;
        }
    }
    false
}

/// The state at the goal.
///
/// # Errors
/// What is missing when nothing changes any more.
pub fn reaches_goal(lab: &Lab, state: &State) -> Result<State, String> {
    let mut state = undisturbed(state);
    let mut last = String::new();
    for _ in 0..ROUNDS {
        state = round(lab, state);
        match is_reached(lab, &state) {
            Ok(()) => return Ok(state),
            Err(missing) => last = missing,
        }
    }
    Err(last)
}

/// Nothing goes wrong any more, and nobody changes their mind.
fn undisturbed(state: &State) -> State {
    let left = Budgets {
        starts: u8::MAX,
        overtakes: u8::MAX,
        ..Budgets::default()
    };
    State {
        left,
        ..state.clone()
    }
}

/// Everything that can happen happens once, and a tick passes when nothing else is to be done.
fn round(lab: &Lab, mut state: State) -> State {
    let before = state.core;
    if state.cache.is_some() {
        state = state.after(lab, &Event::Thaw);
    }
    while !state.late.is_empty() {
        state = state.after(lab, &Event::Effect(0));
    }
    for operator in 0..state.operators.len() {
        let lag = Lag::None;
        state = state.after(lab, &Event::List { operator, lag });
        for resource in 0..lab.config.kinds.len() {
            // A quorum read and what it is for are decided on one list.
            for _ in 0..2 {
                if state.operators[operator].todo[resource].is_some() {
                    let fault = None;
                    state = state.after(
                        lab,
                        &Event::Step {
                            operator,
                            resource,
                            fault,
                        },
                    );
                }
                while !state.air.is_empty() {
                    state = state.after(lab, &Event::Answer(0));
                }
            }
        }
    }
    if state.core == before {
        for resource in 0..lab.config.kinds.len() {
            let asked = state
                .object(resource)
                .is_some_and(|o| crate::instance::tests::model::shown::asks(o));
            if asked && lab.config.answers {
                state = state.after(lab, &Event::Resolve(resource));
            }
        }
        state = state.after(lab, &Event::Tick);
    }
    state
}

/// Without a person who answers, whoever asks one stays as it is, and so does what may be its own.
fn waits(lab: &Lab, state: &State, resource: usize) -> bool {
    !lab.config.answers
        && state
            .object(resource)
            .is_some_and(|o| crate::instance::tests::model::shown::asks(o))
}

fn is_reached(lab: &Lab, state: &State) -> Result<(), String> {
    for (resource, kind) in lab.config.kinds.iter().enumerate() {
        let Some(object) = state.object(resource) else {
            continue;
        };
        if waits(lab, state, resource) {
            continue;
        }
        let status = object.status.clone().unwrap_or_default();
        if object.metadata.deletion_timestamp.is_some() {
            return Err(format!("{resource} is still being deleted: {status:?}"));
        }
        if status.slot().start.is_some() || status.slot().restart.is_some() {
            return Err(format!("a call of {resource} is open: {status:?}"));
        }
        let running = object.spec.state == DesiredState::Running;
        let fact = match (&status.instance_id, running) {
            (None, false) => continue,
            (None, true) => return Err(format!("{resource} has no instance")),
            (Some(id), _) if running != state.is_up(id) => {
                return Err(format!("the instance of {resource} is not as asked"));
            }
            (Some(id), _) => state.facts.get(id),
        };
        let workers = fact.map(|f| f.workers);
        if running && workers != Some(State::wants(object)) {
            return Err(format!("{resource} ({kind:?}) has other arguments"));
        }
    }
    for (id, fact) in &state.facts {
        let owned = fact
            .owner
            .is_none_or(|owner| state.bound(owner) == Some(id) || waits(lab, state, owner));
        if state.cloud.instances.contains_key(id) && !owned && !fact.left {
            return Err(format!("{id} is nobody's: {fact:?}"));
        }
    }
    Ok(())
}

/// The state in which the resources begin: reached the long way, with all budgets full.
pub fn begin(lab: &Lab, mut state: State) -> State {
    let kinds = || lab.config.kinds.iter().enumerate();
    if kinds().all(|(_, kind)| matches!(kind.begin, Begin::New)) {
        return state;
    }
    let order = |state: &mut State, with: &[Begin], order| {
        for (resource, _) in kinds().filter(|(_, kind)| with.contains(&kind.begin)) {
            state.left.orders = 1;
            *state = state.after(lab, &Event::Order(resource, order));
        }
    };
    order(&mut state, &[Begin::Ready, Begin::New], Order::Stop);
    state = reaches_goal(lab, &state).unwrap();
    order(&mut state, &[Begin::Stopped], Order::Stop);
    state = reaches_goal(lab, &state).unwrap();
    for _ in 0..SETTLE_TICKS {
        state = state.after(lab, &Event::Tick);
    }
    order(&mut state, &[Begin::Ready, Begin::New], Order::Run);
    state.left = lab.config.budgets;
    state.settle(lab);
    state.core = crate::instance::tests::model::canon::core(&state, lab);
    state
}
