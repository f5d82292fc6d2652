//! That the canonical form does not take states for one that differ.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    Lab,
    config::{Budgets, Config, Order, READY},
    state::State,
};

/// States that count as one have successors that count as one.
#[test]
fn states_that_count_as_one_go_on_alike() {
    let mut config = Config::new("alike", &[READY, READY]);
    config.budgets = Budgets {
        starts: 2,
        faults: 1,
        orders: 1,
        ..Budgets::default()
    };
    config.orders = vec![(0, Order::Delete), (1, Order::Delete)];
    let lab = Lab::new(config);
    let after = |state: &State| -> BTreeSet<u128> {
        let mut events = Vec::new();
        state.events(&lab, &mut events);
        let next = events.iter().map(|event| state.after(&lab, event).print);
        next.filter(|print| *print != state.print).collect()
    };
    let mut queue = VecDeque::from([lab.initial()]);
    let mut seen = BTreeMap::new();
    let mut compared = 0;
    while let Some(state) = queue.pop_front() {
        let successors = after(&state);
        if let Some(known) = seen.get(&state.print) {
            assert_eq!(
                *known, successors,
                "{:?} {:?}",
                state.operators, state.facts
            );
            compared += 1;
            continue;
        }
        seen.insert(state.print, successors);
        if seen.len() > 1500 {
            continue;
        }
        let mut events = Vec::new();
        state.events(&lab, &mut events);
        queue.extend(events.iter().map(|event| state.after(&lab, event)));
    }
    assert!(compared > 1000, "{compared}");
}
