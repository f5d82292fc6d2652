use cortecs_api::types::Instance;
use cortecs_resources::{CortecsInstance, instance_status::Cost, key::ObjectKey};
use jiff::Timestamp;
use proptest::{collection::vec, prelude::*};
use serde_json::json;

use super::*;
use crate::cost::accrued::{self, Look, Run};

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
    // A run ended earlier than it seemed, then another model runs: it was counted already.
    meter.look(ACCOUNT, &bill("early", &[("m", 0.5)]));
    meter.look(ACCOUNT, &bill("early", &[("m", 0.5), ("n", 0.25)]));
    assert_eq!(shown(&meter), [("m", 3.0)]);
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

#[test]
fn an_amount_that_moves_to_another_model_is_counted_once() {
    let mut meter = Meter::default();
    meter.begin(ACCOUNT, &[], &[]);
    // The spec spells the model in another way than the API.
    meter.look(ACCOUNT, &bill("a", &[("org--model", 1.0)]));
    meter.look(ACCOUNT, &bill("a", &[("org--Model", 1.25)]));
    assert_eq!(shown(&meter), [("org--Model", 0.25), ("org--model", 1.0)]);
    // What is beyond the bound moves, the next model runs, and then the one that moved runs again.
    meter.look(ACCOUNT, &bill("b", &[("m", 1.0)]));
    meter.look(ACCOUNT, &bill("b", &[("other", 1.0), ("n", 0.25)]));
    assert_eq!(shown(&meter)[..2], [("m", 1.0), ("n", 0.25)]);
    let again = bill("b", &[("other", 1.0), ("n", 0.25), ("m", 0.5)]);
    meter.look(ACCOUNT, &again);
    meter.look(ACCOUNT, &again);
    let sum: f64 = shown(&meter).iter().map(|(_, value)| value).sum();
    assert!((sum - 3.0).abs() < 1e-9, "{:?}", shown(&meter));
}

#[test]
fn an_account_that_comes_back_begins_with_all_that_its_resources_have_cost() {
    let mut meter = Meter::default();
    for account in [ACCOUNT, "team/other"] {
        meter.begin(account, &[], &[]);
    }
    meter.look(ACCOUNT, &bill("a", &[("m", 1.0)]));
    meter.look("team/other", &bill("b", &[("m", 1.0)]));
    // Another operator has it for a moment, and writes a bill into its status.
    meter.retain(|account| account != ACCOUNT);
    meter.look(ACCOUNT, &bill("a", &[("m", 1.25)]));
    meter.looked();
    meter.begin(ACCOUNT, &[spent("m", "2.00")], &[]);
    meter.look(ACCOUNT, &bill("a", &[("m", 1.5)]));
    assert_eq!(shown(&meter), [("m", 3.5)]);
    // The accounts that stay count nothing again.
    meter.look("team/other", &bill("b", &[("m", 1.0)]));
    let other = meter.counters("team/other").unwrap();
    assert_eq!(other.values().sum::<f64>(), 1.0);
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
    /// The API ends it: a list shows that before the status does.
    End,
    /// The status takes the end after so many seconds.
    Stop {
        seen_after: i64,
    },
    /// The operator begins anew. Its first list may lack the instance.
    Restart {
        lacks: bool,
    },
    Wait(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..MODELS.len(), 1..900_u32).prop_map(|(model, price)| Event::Run { model, price }),
        1 => (1..900_u32).prop_map(Event::Price),
        1 => Just(Event::End),
        1 => (0..90_i64).prop_map(|seen_after| Event::Stop { seen_after }),
        2 => any::<bool>().prop_map(|lacks| Event::Restart { lacks }),
        2 => (1..5000_i64).prop_map(Event::Wait),
    ]
}

/// More than a status tells apart.
const MODELS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

/// One resource, its account's counters, and one process after the other.
struct Scene {
    interval: i64,
    now: i64,
    cost: Option<Cost>,
    /// The model, the price, and when it was asked for.
    run: Option<(usize, u32, i64)>,
    /// When the API ended the run.
    ended: Option<i64>,
    meter: Meter,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

impl Scene {
    fn new(interval: i64) -> Self {
        let mut scene = Self {
            interval,
            now: 0,
            cost: None,
            run: None,
            ended: None,
            meter: Meter::default(),
        };
        scene.restart();
        scene
    }

    fn restart(&mut self) {
        self.meter = Meter::default();
        self.meter.begin(ACCOUNT, &[], &[]);
    }

    fn happen(&mut self, event: Event) {
        let mut lacks = false;
        match event {
            Event::Run { model, price } => {
                self.now += 1;
                self.write(Some((model, price, self.now)));
            }
            Event::Price(price) if self.ended.is_none() => {
                self.write(self.run.map(|(model, _, asked)| (model, price, asked)));
            }
            Event::Price(_) => {}
            Event::End => {
                self.ended = self.ended.or(self.run.map(|_| self.now));
            }
            Event::Stop { seen_after } => {
                self.ended = self.ended.or(self.run.map(|_| self.now));
                self.now += seen_after;
                self.write(None);
            }
            Event::Restart { lacks: lacking } => {
                self.restart();
                // Otherwise more is counted than the status takes.
                lacks = lacking && self.ended.is_none();
            }
            Event::Wait(seconds) => self.now += seconds,
        }
        self.look(lacks);
        self.look(false);
    }

    /// The status is written.
    fn write(&mut self, run: Option<(usize, u32, i64)>) {
        let shown = self.cost.as_ref().and_then(|cost| cost.since);
        let since = |asked| {
            shown
                .filter(|shown| *shown >= at(asked))
                .unwrap_or(at(asked))
        };
        let present = run.map(|(model, price, asked)| Run {
            since: since(asked),
            price: Some((f64::from(price) / 100.0, "EUR")),
            model: Some(MODELS[model]),
        });
        let look = Look {
            asked: self.run.map(|(.., asked)| at(asked)),
            stopped: self.ended.take().map(at),
            interval: self.interval,
            now: at(self.now),
        };
        self.cost = accrued::next(self.cost.as_ref(), present, look);
        self.run = run;
    }

    /// A list comes.
    fn look(&mut self, lacks: bool) {
        let resource = json!({
            "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
            "metadata": { "name": "u", "namespace": "team", "uid": "u" },
            "spec": { "modelId": "a" },
            "status": {
                "cost": self.cost,
                "journal": { "slots": { "current": {
                    "lastStartTime": self.run.map(|(.., asked)| at(asked)),
                } } },
                "instanceArgs": {
                    "modelId": "a",
                    "billingInterval": if self.interval == 60 { "per_minute" } else { "per_hour" },
                },
            },
        });
        let resource: CortecsInstance = serde_json::from_value(resource).unwrap();
        let stopped = self.ended.or(self.run.is_none().then_some(self.now));
        let listed = json!({
            "instance_id": "i", "instance_args": { "model_id": "a" },
            "instance_status": {
                "status": if stopped.is_some() { "stopped" } else { "running" },
                "started_at": null,
                "stopped_at": stopped.map(|stopped| at(stopped).to_string()),
            },
        });
        let listed: Instance = serde_json::from_value(listed).unwrap();
        let listed = Some(&listed).filter(|_| !lacks);
        let status = resource.status.as_ref().unwrap();
        if let Some(bill) = Bill::of(&resource, status, listed, at(self.now)) {
            self.meter.look(ACCOUNT, &bill);
        }
    }

    fn counters(&self) -> BTreeMap<Labels, f64> {
        self.meter.counters(ACCOUNT).unwrap().clone()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Also over restarts, and at the end it is what the status says.
    #[test]
    fn no_counter_ever_falls(events in vec(event(), 0..60), hour in any::<bool>()) {
        let mut scene = Scene::new(if hour { 3600 } else { 60 });
        let mut before: BTreeMap<Labels, f64> = BTreeMap::new();
        let events = events.into_iter().chain([Event::Stop { seen_after: 0 }]);
        for event in events {
            scene.happen(event);
            let counters = scene.counters();
            let sum = |counters: &BTreeMap<Labels, f64>| counters.values().sum::<f64>();
            prop_assert!(sum(&counters) >= sum(&before) - 2e-5, "{:?} after {:?}", counters, before);
            // A process that begins anew does not know which models the status has no room for.
            let is_full = counters.keys().any(|labels| labels.model == "other");
            if !matches!(event, Event::Restart { .. }) || !is_full {
                for (labels, value) in &before {
                    let next = counters.get(labels).copied().unwrap_or_default();
                    prop_assert!(next >= value - 2e-6, "{:?}: {} after {}", labels, next, value);
                }
            }
            before = counters;
        }
        let sum: f64 = before.values().sum();
        let accrued = scene.cost.map(|cost| crate::cost::money::amount(&cost.accrued)).unwrap_or_default();
        prop_assert!((sum - accrued).abs() < 1e-4, "{} and {}", sum, accrued);
    }
}
