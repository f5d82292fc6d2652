use cortecs_resources::{instance_status::Cost, key::ObjectKey};
use jiff::Timestamp;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::cost::accrued::{self, Run};

const ACCOUNT: &str = "team/main";

fn bill(uid: &str, parts: &[(&str, f64)]) -> Bill {
    Bill {
        uid: uid.to_owned(),
        resource: ObjectKey::new("team", uid),
        currency: "EUR".to_owned(),
        parts: parts.iter().map(|(m, a)| ((*m).to_owned(), *a)).collect(),
    }
}

fn spent(model: &str, amount: &str) -> Spent {
    Spent {
        namespace: "team".to_owned(),
        model_id: model.to_owned(),
        currency: "EUR".to_owned(),
        amount: amount.to_owned(),
    }
}

fn shown(meter: &Meter) -> Vec<(&str, f64)> {
    let counters = meter.counters(ACCOUNT).unwrap().iter();
    counters.map(|(l, v)| (l.model.as_str(), *v)).collect()
}

#[test]
fn a_counter_begins_with_what_is_gone_and_grows_by_what_each_resource_costs_more() {
    let mut meter = Meter::default();
    meter.look(ACCOUNT, &bill("early", &[("m", 1.0)]));
    assert_eq!(meter.counters(ACCOUNT), None);
    meter.begin(ACCOUNT, &[spent("m", "2.00")], &["settled".to_owned()]);
    // The account's status has this one.
    meter.look(ACCOUNT, &bill("settled", &[("m", 1.0)]));
    meter.look(ACCOUNT, &bill("early", &[("m", 1.0)]));
    assert_eq!(shown(&meter), [("m", 3.0)]);
    // A run ended earlier than it seemed, then another model runs.
    meter.look(ACCOUNT, &bill("early", &[("m", 0.5)]));
    meter.look(ACCOUNT, &bill("early", &[("m", 0.5), ("n", 0.25)]));
    assert_eq!(shown(&meter), [("m", 3.0), ("n", 0.25)]);
    meter.look(ACCOUNT, &bill("early", &[("m", 1.25), ("n", 0.25)]));
    assert_eq!(shown(&meter), [("m", 3.25), ("n", 0.25)]);
    // It goes: the account's status has it from now on, and the counters have it already.
    meter.begin(ACCOUNT, &[spent("m", "3.25")], &[]);
    meter.looked();
    assert_eq!(shown(&meter), [("m", 3.25), ("n", 0.25)]);
}

#[test]
fn what_is_not_seen_any_more_is_forgotten_later() {
    let mut meter = Meter::default();
    meter.begin(ACCOUNT, &[], &[]);
    meter.look(ACCOUNT, &bill("a", &[("m", 1.0)]));
    meter.looked();
    // A last look after the resource is gone counts nothing twice.
    meter.look(ACCOUNT, &bill("a", &[("m", 1.5)]));
    assert_eq!(shown(&meter), [("m", 1.5)]);
    (0..=FORGET).for_each(|_| meter.looked());
    assert!(meter.known.is_empty());
    meter.retain(|_| false);
    assert_eq!(meter.counters(ACCOUNT), None);
}

#[test]
fn the_counters_are_bounded_and_lose_nothing() {
    let mut meter = Meter::default();
    meter.begin(ACCOUNT, &[], &[]);
    for n in 0..1000 {
        let mut bill = bill(&n.to_string(), &[(&format!("m{n}"), 1.0)]);
        bill.resource.namespace = format!("ns{}", n / 2);
        meter.look(ACCOUNT, &bill);
    }
    let counters = meter.counters(ACCOUNT).unwrap();
    assert!(counters.len() <= super::super::labels::MAX_SERIES);
    assert!((counters.values().sum::<f64>() - 1000.0).abs() < 1e-6);
    let rest = counters.iter().find(|(l, _)| l.namespace == "other");
    assert!(rest.is_some_and(|(l, v)| l.model == "other" && *v > 1.0));
}

/// What happens next to a resource.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// It is asked to run this model at this price, in hundredths.
    Run {
        model: usize,
        price: u32,
    },
    Price(u32),
    /// Its end is seen after so many seconds.
    Stop {
        seen_after: i64,
    },
    /// The operator begins anew.
    Restart,
    Wait(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..2_usize, 1..900_u32).prop_map(|(model, price)| Event::Run { model, price }),
        (1..900_u32).prop_map(Event::Price),
        (0..90_i64).prop_map(|seen_after| Event::Stop { seen_after }),
        Just(Event::Restart),
        (1..5000_i64).prop_map(Event::Wait),
    ]
}

const MODELS: [&str; 2] = ["m", "n"];

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Also over restarts, and at the end it is what the status says.
    #[test]
    fn no_counter_ever_falls(events in vec(event(), 0..40), hour in any::<bool>()) {
        let interval = if hour { 3600 } else { 60 };
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let mut now = 0;
        let mut cost: Option<Cost> = None;
        let mut run: Option<(usize, u32, i64)> = None;
        let mut meter = Meter::default();
        meter.begin(ACCOUNT, &[], &[]);
        let mut before: BTreeMap<Labels, f64> = BTreeMap::new();
        let events = events.into_iter().chain([Event::Stop { seen_after: 0 }]);
        for event in events {
            let mut stopped = None;
            match event {
                Event::Run { model, price } => {
                    now += 1;
                    run = Some((model, price, now));
                }
                Event::Price(price) => run = run.map(|(model, _, since)| (model, price, since)),
                Event::Stop { seen_after } => {
                    stopped = Some(at(now));
                    now += seen_after;
                    run = None;
                }
                Event::Restart => {
                    meter = Meter::default();
                    meter.begin(ACCOUNT, &[], &[]);
                }
                Event::Wait(seconds) => now += seconds,
            }
            let shown = cost.as_ref().and_then(|cost| cost.since);
            let since = |asked: i64| shown.filter(|shown| *shown >= at(asked)).unwrap_or(at(asked));
            let present = run.map(|(model, price, asked)| Run {
                since: since(asked),
                price: Some((f64::from(price) / 100.0, "EUR")),
                model: Some(MODELS[model]),
            });
            cost = accrued::next(cost.as_ref(), present, stopped, interval, at(now));
            if let Some(cost) = &cost {
                // The newest list shows the run.
                let total = crate::cost::money::amount(&accrued::until(cost, run.map(|_| at(now)), interval));
                let parts = crate::cost::by_model::parts(cost, total).into_iter();
                let parts: Vec<_> = parts.map(|(m, amount)| (m.unwrap(), amount)).collect();
                meter.look(ACCOUNT, &bill("u", &parts));
            }
            let counters = meter.counters(ACCOUNT).unwrap().clone();
            for (labels, value) in &before {
                let next = counters.get(labels).copied().unwrap_or_default();
                prop_assert!(next >= value - 2e-6, "{:?}: {} after {}", labels, next, value);
            }
            before = counters;
        }
        let sum: f64 = before.values().sum();
        let accrued = cost.map(|cost| crate::cost::money::amount(&cost.accrued)).unwrap_or_default();
        prop_assert!((sum - accrued).abs() < 1e-4, "{} and {}", sum, accrued);
    }
}
