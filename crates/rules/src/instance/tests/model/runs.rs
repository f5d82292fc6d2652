//! The runs with all rules on: small ones that every test run exhausts, and those of `make model`.
//!
//! Bounds can be steered: `MODEL_ONLY` runs what has this word in its name, `MODEL_STATES` ends each search after so
//! many states (it then counts as cut, never as exhausted), `MODEL_THREADS` sets the number of threads.

use super::{config::*, spending, *};

/// No disturbance.
const QUIET: Budgets = Budgets {
    starts: 4,
    crashes: 0,
    takeovers: 0,
    faults: 0,
    lags: 0,
    cuts: 0,
    freezes: 0,
    orders: 0,
    strangers: 0,
    overtakes: 0,
};

const PAIR: [Kind; 2] = [READY, READY];
const TRIO: [Kind; 3] = [READY, READY, OTHER];

pub(super) fn config(name: &'static str, kinds: &[Kind], budgets: Budgets) -> Config {
    let every = [
        Order::Delete,
        Order::Stop,
        Order::Run,
        Order::Restart,
        Order::Resize,
    ];
    let orders = (0..kinds.len()).flat_map(|k| every.map(|order| (k, order)));
    Config {
        budgets,
        orders: orders.collect(),
        ..Config::new(name, kinds)
    }
}

/// Two crashes, two faults, four starts.
const TWICE: Budgets = Budgets {
    crashes: 2,
    faults: 2,
    ..QUIET
};

/// A resource that leaves its instance stopped.
const STOPPING: Kind = Kind {
    policy: DeletionPolicy::Stop,
    ..RUNNING
};

/// A resource that leaves its instance as it is.
const LEAVING: Kind = Kind {
    policy: DeletionPolicy::Orphan,
    ..RUNNING
};

const STOPPED: Kind = Kind {
    begin: Begin::Stopped,
    ..STOPPING
};

/// What `cargo test` exhausts.
fn quick() -> Vec<Config> {
    let once = Budgets {
        starts: 2,
        crashes: 1,
        faults: 1,
        orders: 1,
        ..QUIET
    };
    let lagging = Budgets {
        starts: 0,
        faults: 1,
        lags: 1,
        orders: 2,
        ..QUIET
    };
    let strangers = Budgets {
        crashes: 1,
        faults: 1,
        strangers: 1,
        ..QUIET
    };
    let overtaking = Budgets {
        crashes: 1,
        faults: 1,
        overtakes: 1,
        ..QUIET
    };
    let slow = Budgets { faults: 2, ..QUIET };
    let leaving = Budgets {
        starts: 3,
        crashes: 1,
        faults: 1,
        orders: 1,
        ..QUIET
    };
    vec![
        config("one, new", &[NEW], Budgets { faults: 0, ..once }),
        config("one, running", &[RUNNING], once),
        config("one, to be left stopped", &[STOPPING], once),
        // What a list shows of a stop or a restart may be older than it.
        config("one, to be left stopped, restarted", &[STOPPING], lagging),
        config("one, to be left stopped, run again", &[STOPPED], lagging),
        Config {
            shared: true,
            ..config("one, in a shared account", &[READY], strangers)
        },
        config("two, everything twice", &PAIR, TWICE),
        Config {
            slow: true,
            ..config("two, and calls that take long", &PAIR, slow)
        },
        config("two, and one that is overtaken", &PAIR, overtaking),
        Config {
            orders: vec![(1, Order::Delete)],
            ..config(
                "one, and one that leaves its instance",
                &[READY, LEAVING],
                leaving,
            )
        },
        Config {
            orders: vec![(1, Order::Delete)],
            ..config(
                "one, and one that leaves its instance stopped",
                &[READY, STOPPING],
                leaving,
            )
        },
        Config {
            orders: Vec::new(),
            ..config(
                "one, and one that runs, and lists that are cut",
                &[READY, RUNNING],
                Budgets {
                    crashes: 0,
                    orders: 0,
                    cuts: 3,
                    ..leaving
                },
            )
        },
        Config {
            orders: vec![(1, Order::Force)],
            // What a process that ends knows of a removal by force is lost with it.
            ..config(
                "one, and one that is removed by force",
                &[READY, RUNNING],
                Budgets {
                    crashes: 0,
                    ..leaving
                },
            )
        },
        Config {
            omits: true,
            ..config("one and another, that look alike", &[READY, OTHER], TWICE)
        },
        config(
            "one, and one whose model is spelt otherwise",
            &[READY, MISSPELT],
            TWICE,
        ),
        Config {
            omits: true,
            ..config(
                "one and another, that look alike, and overtaking",
                &[READY, OTHER],
                overtaking,
            )
        },
    ]
}

/// What `make model` explores besides.
fn full() -> Vec<Config> {
    let slow = Budgets { faults: 2, ..QUIET };
    let once = Budgets {
        crashes: 1,
        faults: 1,
        ..QUIET
    };
    vec![
        // The bounds that the protocol is to be checked within.
        config("two, one other, everything twice", &TRIO, TWICE),
        config(
            "two, and an outsider",
            &PAIR,
            Budgets {
                strangers: 1,
                ..TWICE
            },
        ),
        config(
            "two, and lists that lag",
            &PAIR,
            Budgets { lags: 2, ..TWICE },
        ),
        config(
            "two, and a takeover",
            &PAIR,
            Budgets {
                takeovers: 1,
                freezes: 1,
                ..once
            },
        ),
        config("one, and orders", &[READY], Budgets { orders: 2, ..TWICE }),
        config(
            "one, an order, and what lags",
            &[READY],
            Budgets {
                orders: 1,
                lags: 1,
                freezes: 1,
                ..once
            },
        ),
        config(
            "two, and an order",
            &PAIR,
            Budgets {
                orders: 1,
                faults: 1,
                ..QUIET
            },
        ),
        config(
            "two, two faults, and one that is overtaken",
            &PAIR,
            Budgets {
                overtakes: 1,
                ..TWICE
            },
        ),
        Config {
            omits: true,
            ..config(
                "one and another, that look alike, two faults, and overtaking",
                &[READY, OTHER],
                Budgets {
                    overtakes: 1,
                    ..TWICE
                },
            )
        },
        Config {
            slow: true,
            ..config("two, calls that take long, everything twice", &PAIR, TWICE)
        },
        Config {
            slow: true,
            ..config("two, one other, and calls that take long", &TRIO, slow)
        },
        Config {
            slow: true,
            ..config(
                "two, calls that take long, and lists that lag",
                &PAIR,
                Budgets { lags: 1, ..slow },
            )
        },
        Config {
            slow: true,
            omits: true,
            ..config(
                "two alike and another, that all look alike, calls that take long, and overtaking",
                &TRIO,
                Budgets {
                    overtakes: 1,
                    ..slow
                },
            )
        },
        Config {
            omits: true,
            ..config(
                "two alike and another, that all look alike",
                &TRIO,
                Budgets {
                    crashes: 1,
                    faults: 2,
                    ..QUIET
                },
            )
        },
    ]
}

fn number(name: &str) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or_default()
}

pub(super) fn run(configs: Vec<Config>) {
    let only = std::env::var("MODEL_ONLY").unwrap_or_default();
    let threads = number("MODEL_THREADS").max(1);
    for mut config in configs.into_iter().filter(|c| c.name.contains(&only)) {
        let (name, budgets) = (config.name, config.budgets);
        if number("MODEL_STATES") > 0 {
            config.most = number("MODEL_STATES");
        }
        let cut = config.most > 0;
        let found = all(config, threads);
        let how = if found.exhausted {
            "exhausted"
        } else if found.broken.is_empty() {
            "CUT"
        } else {
            "BROKEN"
        };
        println!(
            "{name}: {how}: {} states, {} looked at, deepest path {}, {:.0} s; {budgets:?}",
            found.cores, found.unique, found.depth, found.seconds
        );
        for (property, events) in &found.broken {
            println!("{property}: broken after {} events", events.len());
            events.iter().for_each(|event| println!("  {event:?}"));
        }
        assert!(found.broken.is_empty(), "{name}: {:?}", found.broken.keys());
        assert!(found.exhausted || cut, "{name}: not exhausted");
    }
}

#[test]
fn the_protocol_holds_in_every_order_of_events() {
    run(quick().into_iter().chain(spending::quick()).collect());
}

/// Run by `make model`.
#[test]
#[ignore = "takes long: make model"]
fn the_protocol_holds_within_the_full_bounds() {
    run(quick()
        .into_iter()
        .chain(full())
        .chain(spending::full())
        .collect());
}

/// Run by hand, to look for bounds.
#[test]
#[ignore = "explores what the environment asks for"]
fn explore() {
    let budget = |name| u8::try_from(number(name)).unwrap();
    let budgets = Budgets {
        starts: budget("STARTS"),
        crashes: budget("CRASHES"),
        takeovers: budget("TAKEOVERS"),
        faults: budget("FAULTS"),
        lags: budget("LAGS"),
        cuts: budget("CUTS"),
        freezes: budget("FREEZES"),
        orders: budget("ORDERS"),
        strangers: budget("STRANGERS"),
        overtakes: budget("OVERTAKES"),
    };
    let mut kinds = TRIO[..number("KINDS").clamp(1, 3)].to_vec();
    let from = kinds.len().saturating_sub(number("MISSPELT"));
    kinds[from..]
        .iter_mut()
        .for_each(|kind| kind.misspelt = true);
    let mut config = config("explore", &kinds, budgets);
    config.goal = number("GOAL") > 0;
    config.shared = number("SHARED") > 0;
    config.omits = number("OMITS") > 0;
    config.slow = number("SLOW") > 0;
    run(vec![config]);
}
