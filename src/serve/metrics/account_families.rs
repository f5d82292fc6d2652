//! The families of metrics that carry an account's name, as they are exposed.

use std::{fmt, time::Duration};

use cortecs_clock as clock;
use cortecs_clock::Moment;
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
        let mut family = |name,
                          help,
                          unit: Option<&Unit>,
                          kind: Kind,
                          samples: &mut dyn Iterator<Item = Sample>| {
            let mut metric = encoder.encode_descriptor(name, help, unit, kind.into())?;
            for (labels, value) in samples {
                let sample = metric.encode_family(&labels)?;
                match (kind, value) {
                    (Kind::Counter, Value::Count(value)) => {
                        ConstCounter::new(value).encode(sample)?
                    }
                    (_, Value::Count(value)) => ConstGauge::new(value).encode(sample)?,
                    (_, Value::Real(value)) => ConstGauge::new(value).encode(sample)?,
                }
            }
            Ok(())
        };
        family(
            "cortecs_api_requests",
            "Requests to the Cortecs API",
            None,
            Kind::Counter,
            &mut accounts.iter().flat_map(|(account, series)| {
                series
                    .requests
                    .iter()
                    .map(move |((endpoint, code), count)| {
                        let labels = [
                            ("endpoint", (*endpoint).to_owned()),
                            ("code", code.to_string()),
                        ];
                        (of(account, labels), Value::Count(*count))
                    })
            }),
        )?;
        family(
            "cortecs_starts",
            "Starts of instances by outcome",
            None,
            Kind::Counter,
            &mut accounts.iter().flat_map(|(account, series)| {
                StartOutcome::ALL
                    .iter()
                    .zip(series.starts)
                    .map(move |(outcome, count)| {
                        (
                            of(account, [("outcome", outcome.label().to_owned())]),
                            Value::Count(count),
                        )
                    })
            }),
        )?;
        family(
            "cortecs_instances",
            "CortecsInstance resources by phase",
            None,
            Kind::Gauge,
            &mut accounts.iter().flat_map(|(account, series)| {
                let counts = series
                    .instances
                    .into_iter()
                    .flat_map(|counts| PHASES.into_iter().zip(counts));
                counts.map(move |(phase, count)| {
                    (
                        of(account, [("phase", phase.to_owned())]),
                        Value::Count(count),
                    )
                })
            }),
        )?;
        family(
            "cortecs_price_per_hour",
            "What all pending and running instances of the account's owner cost an hour, where the price is known",
            None,
            Kind::Gauge,
            &mut accounts.iter().flat_map(|(account, series)| {
                series.price_per_hour.iter().map(move |(currency, price)| {
                    let labels = of(account, [("currency", currency.clone())]);
                    (labels, Value::Real(*price))
                })
            }),
        )?;
        for (name, help, unit, value) in GAUGES {
            let samples = accounts.iter();
            let mut samples = samples
                .filter_map(|(account, series)| Some((of(account, []), value(series, now)?)));
            family(name, help, unit.as_ref(), Kind::Gauge, &mut samples)?;
        }
        Ok(())
    }
}

/// Name, help, unit and value of what has no label but the account.
type Gauge = (
    &'static str,
    &'static str,
    Option<Unit>,
    fn(&Series, Moment) -> Option<Value>,
);

const GAUGES: [Gauge; 8] = [
    (
        "cortecs_unmanaged_instances",
        "Instances of the account that no resource stands for",
        None,
        |series, _| series.unmanaged.map(Value::Count),
    ),
    (
        "cortecs_late_instances",
        "Unmanaged instances that are probably the late outcome of a start that was given up",
        None,
        |series, _| series.late.map(Value::Count),
    ),
    (
        "cortecs_account_ready",
        "1 while the account's condition Ready is true",
        None,
        |series, _| series.ready.map(Value::flag),
    ),
    (
        "cortecs_account_held",
        "1 while the account is held after a mass change",
        None,
        |series, _| series.held.map(Value::flag),
    ),
    (
        "cortecs_account_contested",
        "1 while another operator manages the account, or may, and nobody said which of the two is meant",
        None,
        |series, _| series.contested.map(Value::flag),
    ),
    (
        "cortecs_open_starts",
        "Starts and restarts that were written ahead and have no recorded outcome",
        None,
        |series, _| series.open_starts.map(|open| Value::Count(open.count)),
    ),
    (
        "cortecs_open_start_age",
        "Time since the oldest start or restart without a recorded outcome was requested, 0 without any",
        Some(Unit::Seconds),
        |series, _| series.open_starts.map(|open| Value::seconds(open.age)),
    ),
    (
        "cortecs_list_age",
        "Time since the last good list of the account was requested, or the account first seen",
        Some(Unit::Seconds),
        |series, now| Some(Value::seconds(now.since(series.listed?))),
    ),
];

/// The labels and the value of one line.
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

fn of<const N: usize>(
    account: &str,
    labels: [(&'static str, String); N],
) -> Vec<(&'static str, String)> {
    std::iter::once(("account", account.to_owned()))
        .chain(labels)
        .collect()
}
