//! That the canonical form does not take states for one that differ.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    Lab,
    config::{Budgets, Config, Fault, OTHER, Order, READY, RUNNING},
    next::Event,
    state::State,
};

/// So many states are followed.
const STATES: usize = 1000;

/// What makes states count as one.
type Form = (u128, [u8; 10]);

fn form(state: &State) -> Form {
    (state.core, state.left.counts())
}

/// States that count as one have successors that count as one.
#[test]
fn states_that_count_as_one_go_on_alike() {
    let quiet = Budgets {
        starts: 2,
        faults: 1,
        ..Budgets::default()
    };
    let with_orders = Config {
        budgets: Budgets { orders: 1, ..quiet },
        orders: vec![(0, Order::Delete), (1, Order::Delete)],
        ..Config::new("two and an order", &[READY, READY])
    };
    // Where nothing is stopped, deleted or missing, less is kept apart.
    let without = Config {
        budgets: Budgets {
            crashes: 1,
            ..quiet
        },
        ..Config::new("two that differ", &[READY, OTHER])
    };
    let with_lags = Config {
        budgets: Budgets {
            lags: 1,
            orders: 1,
            ..quiet
        },
        orders: vec![(0, Order::Delete), (0, Order::Resize)],
        ..Config::new("one and a list that lags", &[RUNNING])
    };
    for config in [with_orders, without, with_lags] {
        go_on_alike(config);
    }
}

fn go_on_alike(config: Config) {
    let name = config.name;
    let lab = Lab::new(config);
    let after = |state: &State| -> Vec<State> {
        let mut events = Vec::new();
        state.events(&lab, &mut events);
        let next = events.iter().map(|event| state.after(&lab, event));
        next.filter(|next| next.core != state.core).collect()
    };
    let mut queue = VecDeque::from([lab.initial()]);
    let mut seen: BTreeMap<Form, BTreeSet<Form>> = BTreeMap::new();
    let mut compared = 0;
    while let Some(state) = queue.pop_front() {
        let next = after(&state);
        let successors = next.iter().map(form).collect();
        if let Some(known) = seen.get(&form(&state)) {
            let (operators, facts) = (&state.operators, &state.facts);
            assert_eq!(*known, successors, "{name}: {operators:?} {facts:?}");
            compared += 1;
            continue;
        }
        seen.insert(form(&state), successors);
        if seen.len() <= STATES {
            queue.extend(next);
        }
    }
    assert!(compared > STATES / 2, "{name}: {compared}");
}

/// So faults need not have both.
#[test]
fn a_call_that_is_lost_after_its_effect_is_a_late_one_whose_effect_comes_at_once() {
    let mut config = Config::new("alike", &[RUNNING]);
    config.budgets = Budgets {
        starts: 2,
        faults: 2,
        orders: 1,
        ..Budgets::default()
    };
    config.orders = vec![(0, Order::Delete), (0, Order::Restart), (0, Order::Resize)];
    let lab = Lab::new(config);
    let mut queue = VecDeque::from([lab.initial()]);
    let mut seen = BTreeSet::new();
    let mut compared = BTreeSet::new();
    while let Some(state) = queue.pop_front() {
        if seen.len() > STATES || !seen.insert(form(&state)) {
            continue;
        }
        let mut events = Vec::new();
        state.events(&lab, &mut events);
        for event in events {
            let next = state.after(&lab, &event);
            if let Event::Step {
                operator,
                resource,
                fault: Some(Fault::Late),
            } = event
            {
                let last = next.late.len() - 1;
                let effect = next.late[last].effect.clone();
                let late = next.after(&lab, &Event::Effect(last));
                let fault = Some(Fault::LostAfter);
                let event = Event::Step {
                    operator,
                    resource,
                    fault,
                };
                let lost = state.after(&lab, &event);
                assert_eq!(form(&lost), form(&late), "{effect:?}");
                compared.insert(
                    format!("{effect:?}")
                        .split(['(', '{'])
                        .next()
                        .map(str::to_owned),
                );
            }
            queue.push_back(next);
        }
    }
    // Start, restart, stop and delete.
    assert_eq!(compared.len(), 4, "{compared:?}");
}
