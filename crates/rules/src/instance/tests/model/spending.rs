//! Accounts with a budget: in every order of events, what is billed keeps to it.

use cortecs_resources::budget::Budget;

use super::{
    config::*,
    rules::{must_break, small},
    runs::config,
    *,
};

/// The account gets the budget of the configuration. A worker costs 1.20 an hour.
pub fn limit(config: &Config, around: &mut Surroundings) {
    let Some(workers) = config.spend else { return };
    let budget = Budget {
        max_price_per_hour: Some(format!("{:.2}", 1.2 * f64::from(workers))),
        currency: "EUR".to_owned(),
        min_balance: None,
    };
    let account = ObjectKey::new("ns", "main");
    around.account.budgets = vec![(account, budget)];
    around.prices = super::super::cost::prices(1.2);
}

fn spending(name: &'static str, kinds: &[Kind], workers: u32, budgets: Budgets) -> Config {
    Config {
        spend: Some(workers),
        goal: false,
        ..config(name, kinds, budgets)
    }
}

const STOPPED: Kind = Kind {
    begin: Begin::Stopped,
    ..READY
};

const ONCE: Budgets = Budgets {
    starts: 3,
    crashes: 1,
    takeovers: 0,
    faults: 1,
    lags: 0,
    cuts: 0,
    freezes: 0,
    orders: 0,
    strangers: 0,
    overtakes: 0,
};

/// What `cargo test` exhausts.
pub fn quick() -> Vec<Config> {
    let lagging = Budgets {
        starts: 0,
        crashes: 0,
        lags: 1,
        orders: 3,
        ..ONCE
    };
    vec![
        spending("budget: two, and room for one", &[READY, READY], 1, ONCE),
        // One stops, the other runs again, and then the first one is to run again as well.
        Config {
            orders: vec![(0, Order::Stop), (1, Order::Run), (0, Order::Run)],
            ..spending(
                "budget: one that runs, one that is stopped, and room for one",
                &[RUNNING, STOPPED],
                1,
                lagging,
            )
        },
    ]
}

/// What `make model` explores besides.
pub fn full() -> Vec<Config> {
    vec![
        spending(
            "budget: two, and lists that lag",
            &[READY, READY],
            1,
            Budgets {
                crashes: 2,
                lags: 1,
                ..ONCE
            },
        ),
        spending(
            "budget: two, a takeover and a watch that falls behind",
            &[READY, READY],
            1,
            Budgets {
                takeovers: 1,
                freezes: 1,
                ..ONCE
            },
        ),
        Config {
            orders: (0..2)
                .flat_map(|k| [(k, Order::Stop), (k, Order::Run), (k, Order::Restart)])
                .collect(),
            ..spending(
                "budget: one that runs, one that is stopped, two orders and a crash",
                &[RUNNING, STOPPED],
                1,
                Budgets {
                    starts: 0,
                    orders: 2,
                    ..ONCE
                },
            )
        },
        spending(
            "budget: two, one other, and room for two",
            &[READY, READY, OTHER],
            2,
            ONCE,
        ),
    ]
}

/// An intent that no list shows is forgotten.
#[test]
fn when_open_calls_do_not_count_the_budget_is_exceeded() {
    let off = Off::Decided(Rule::OpenCallsCount);
    let mut config = small(
        "counting what nothing shows yet",
        &[READY, READY],
        off,
        Budgets::default(),
    );
    config.budgets.starts = 2;
    config.spend = Some(1);
    must_break(config, IN_BUDGET);
}
