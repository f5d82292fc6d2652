//! Exposes the metrics with an account label.

use std::{collections::BTreeMap, fmt, time::Duration};

use cortecs_clock as clock;
use cortecs_clock::Moment;
use cortecs_rules::cost::labels::Labels;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

use super::accounts::{Accounts, PHASES, Series, StartOutcome};

impl Collector for Accounts {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let now = clock::moment();
        let accounts = self.lock();
        for family in FAMILIES {
            let (name, help, kind) = (family.name, family.help, family.kind);
            let unit = family.unit.as_ref();
            let mut metric = encoder.encode_descriptor(name, help, unit, kind.into())?;
            for (account, series) in accounts.iter() {
                for (labels, value) in (family.samples)(series, now) {
                    let account = ("account", account.clone());
                    let labels: Vec<_> = std::iter::once(account).chain(labels).collect();
                    let sample = metric.encode_family(&labels)?;
                    match (kind, value) {
                        (Kind::Counter, Value::Count(value)) => {
                            ConstCounter::new(value).encode(sample)?
                        }
                        (Kind::Counter, Value::Real(value)) => {
                            ConstCounter::new(value).encode(sample)?
                        }
                        (Kind::Gauge, Value::Count(value)) => {
                            ConstGauge::new(value).encode(sample)?
                        }
                        (Kind::Gauge, Value::Real(value)) => {
                            ConstGauge::new(value).encode(sample)?
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

/// One metric of accounts.
struct Family {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    kind: Kind,
    /// The samples of one account.
    samples: fn(&Series, Moment) -> Vec<Sample>,
}

const fn counter(
    name: &'static str,
    help: &'static str,
    samples: fn(&Series, Moment) -> Vec<Sample>,
) -> Family {
    Family {
        name,
        help,
        unit: None,
        kind: Kind::Counter,
        samples,
    }
}

const fn gauge(
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    samples: fn(&Series, Moment) -> Vec<Sample>,
) -> Family {
    Family {
        name,
        help,
        unit,
        kind: Kind::Gauge,
        samples,
    }
}

const FAMILIES: [Family; 16] = [
    counter(
        "cortecs_api_requests",
        "Requests to the Cortecs API",
        |series, _| {
            let requests = series.requests.iter();
            let samples = requests.map(|((endpoint, code), count)| {
                let endpoint = ("endpoint", (*endpoint).to_owned());
                let labels = vec![endpoint, ("code", code.to_string())];
                (labels, Value::Count(*count))
            });
            samples.collect()
        },
    ),
    counter(
        "cortecs_starts",
        "Starts of instances by outcome",
        |series, _| {
            let starts = StartOutcome::ALL.iter().zip(series.starts);
            let samples = starts.map(|(outcome, count)| {
                let labels = vec![("outcome", outcome.label().to_owned())];
                (labels, Value::Count(count))
            });
            samples.collect()
        },
    ),
    counter(
        "cortecs_cost",
        "Cost of the account's resources by list prices, those included that are gone",
        |series, _| by_use(&series.costs),
    ),
    gauge(
        "cortecs_instances",
        "CortecsInstance resources by phase",
        None,
        |series, _| {
            let counts = series.instances.into_iter();
            let counts = counts.flat_map(|counts| PHASES.into_iter().zip(counts));
            let samples = counts
                .map(|(phase, count)| (vec![("phase", phase.to_owned())], Value::Count(count)));
            samples.collect()
        },
    ),
    gauge(
        "cortecs_price_per_hour",
        "Hourly price of all pending and running instances of the account's owner whose price is known",
        None,
        |series, _| by_use(&series.price_per_hour),
    ),
    gauge(
        "cortecs_hardware_price_per_hour",
        "List price of one worker on the hardware",
        None,
        |series, _| {
            let prices = series.hardware_prices.iter();
            let samples = prices.map(|((hardware, currency), price)| {
                let hardware = ("hardware_type", hardware.clone());
                let labels = vec![hardware, ("currency", currency.clone())];
                (labels, Value::Real(*price))
            });
            samples.collect()
        },
    ),
    gauge(
        "cortecs_balance",
        "Balance of the account's owner at the last look",
        None,
        |series, _| {
            let balance = series.balance.iter();
            let samples = balance.map(|(currency, amount)| {
                (vec![("currency", currency.clone())], Value::Real(*amount))
            });
            samples.collect()
        },
    ),
    gauge(
        "cortecs_unmanaged_instances",
        "Unmanaged instances of the account: instances that no CortecsInstance claims",
        None,
        |series, _| single(series.unmanaged.map(Value::Count)),
    ),
    gauge(
        "cortecs_late_instances",
        "Unmanaged instances that are probably the late outcome of a start that was given up",
        None,
        |series, _| single(series.late.map(Value::Count)),
    ),
    gauge(
        "cortecs_account_ready",
        "1 while the account's condition Ready is true",
        None,
        |series, _| single(series.ready.map(Value::flag)),
    ),
    gauge(
        "cortecs_account_held",
        "1 while the account is on hold after a mass change",
        None,
        |series, _| single(series.held.map(Value::flag)),
    ),
    gauge(
        "cortecs_account_contested",
        "1 while the account's status names another operator as its manager, and no annotation names the one that should manage it",
        None,
        |series, _| single(series.contested.map(Value::flag)),
    ),
    gauge(
        "cortecs_open_starts",
        "Starts and restarts that were written ahead and have no recorded outcome",
        None,
        |series, _| single(series.open_starts.map(|open| Value::Count(open.count))),
    ),
    gauge(
        "cortecs_open_start_age",
        "Time since the oldest start or restart without a recorded outcome was requested, 0 without any",
        Some(Unit::Seconds),
        |series, _| single(series.open_starts.map(|open| Value::seconds(open.age))),
    ),
    gauge(
        "cortecs_overdue_transitions",
        "Resources whose status.nextTransition is a stop that has been due for more than a minute",
        None,
        |series, _| single(series.overdue.map(Value::Count)),
    ),
    gauge(
        "cortecs_list_age",
        "Time since the last good list of the account was requested, or the account first seen",
        Some(Unit::Seconds),
        |series, now| single(series.listed.map(|at| Value::seconds(now.since(at)))),
    ),
];

/// The labels of one sample beside the account's, and its value.
type Sample = (Vec<(&'static str, String)>, Value);

enum Value {
    Count(u64),
    Real(f64),
}

impl Value {
    fn flag(is: bool) -> Self {
        Self::Count(is.into())
    }

    fn seconds(time: Duration) -> Self {
        Self::Real(time.as_secs_f64())
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

impl From<Kind> for MetricType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Counter => Self::Counter,
            Kind::Gauge => Self::Gauge,
        }
    }
}

/// Samples by namespace, model and currency.
fn by_use(values: &BTreeMap<Labels, f64>) -> Vec<Sample> {
    let samples = values.iter().map(|(of, value)| {
        let labels = vec![
            ("namespace", of.namespace.clone()),
            ("model", of.model.clone()),
            ("currency", of.currency.clone()),
        ];
        (labels, Value::Real(*value))
    });
    samples.collect()
}

/// The sample of a family that has at most one for each account.
fn single(value: Option<Value>) -> Vec<Sample> {
    value.map(|value| (Vec::new(), value)).into_iter().collect()
}
