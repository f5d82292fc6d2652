//! The metrics that carry an account's name, kept together so that they go together.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Unit,
};

use crate::{instance::moment::Moment, runtime::clock};

/// The phases of a CortecsInstance: the values of `cortecs_instances`' label.
pub const PHASES: [&str; 8] = [
    "Pending",
    "Starting",
    "Running",
    "Stopping",
    "Stopped",
    "Replacing",
    "Deleting",
    "Failed",
];

/// Accounts beyond so many share the series of one that is called `other`.
pub const MAX_ACCOUNTS: usize = 1000;
const OVERFLOW: &str = "other";

/// What a request to the API came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApiCode {
    /// An answer with this HTTP status.
    Status(u16),
    /// No answer in time.
    Timeout,
    /// No connection, or one that broke.
    Network,
}

/// How a start went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StartOutcome {
    /// The API named the instance.
    Accepted,
    /// Nothing was created.
    Refused,
    /// The answer is missing or says nothing.
    Unknown,
    /// Unknown at first; then its instance was found.
    Resolved,
    /// Unknown at first; then none was found in time.
    Void,
}

#[derive(Debug, Default)]
pub(super) struct Accounts(Mutex<BTreeMap<String, Series>>);

#[derive(Debug, Default)]
struct Series {
    requests: BTreeMap<(&'static str, ApiCode), u64>,
    instances: Option<[u64; PHASES.len()]>,
    unmanaged: Option<u64>,
    late: Option<u64>,
    price_per_hour: BTreeMap<String, f64>,
    held: Option<bool>,
    contested: Option<bool>,
    starts: [u64; StartOutcome::ALL.len()],
    listed: Option<Moment>,
}

impl Accounts {
    pub(super) fn request(&self, account: &str, endpoint: &'static str, code: ApiCode) {
        self.update(account, |series| {
            let count = series
                .requests
                .entry((endpoint, code.bounded()))
                .or_default();
            *count = count.saturating_add(1);
        });
    }

    pub(super) fn set_instances<'a>(
        &self,
        account: &str,
        counts: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        let mut by_phase = [0_u64; PHASES.len()];
        for (phase, count) in counts {
            let known = PHASES
                .iter()
                .zip(&mut by_phase)
                .find(|(known, _)| **known == phase);
            if let Some((_, total)) = known {
                *total = total.saturating_add(count);
            }
        }
        self.update(account, |series| series.instances = Some(by_phase));
    }

    pub(super) fn set_unmanaged(&self, account: &str, count: u64) {
        self.update(account, |series| series.unmanaged = Some(count));
    }

    pub(super) fn set_late(&self, account: &str, count: u64) {
        self.update(account, |series| series.late = Some(count));
    }

    pub(super) fn set_price_per_hour(&self, account: &str, per_hour: &BTreeMap<String, f64>) {
        self.update(account, |series| series.price_per_hour.clone_from(per_hour));
    }

    pub(super) fn set_held(&self, account: &str, held: bool) {
        self.update(account, |series| series.held = Some(held));
    }

    pub(super) fn set_contested(&self, account: &str, contested: bool) {
        self.update(account, |series| series.contested = Some(contested));
    }

    pub(super) fn start(&self, account: &str, outcome: StartOutcome) {
        self.update(account, |series| {
            let counted = StartOutcome::ALL.iter().zip(&mut series.starts);
            for (_, count) in counted.filter(|(known, _)| **known == outcome) {
                *count = count.saturating_add(1);
            }
        });
    }

    pub(super) fn list_received(&self, account: &str, requested_at: Moment) {
        self.update(account, |series| series.listed = Some(requested_at));
    }

    pub(super) fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.lock().retain(|account, _| keep(account));
    }

    fn update(&self, account: &str, change: impl FnOnce(&mut Series)) {
        let mut accounts = self.lock();
        if let Some(series) = accounts.get_mut(account) {
            return change(series);
        }
        let name = if accounts.len() < MAX_ACCOUNTS {
            account
        } else {
            OVERFLOW
        };
        change(accounts.entry(name.to_owned()).or_default());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Series>> {
        // Counters are whole after every statement.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
            "cortecs_unmanaged_instances",
            "Instances of the account that no resource stands for",
            None,
            Kind::Gauge,
            &mut accounts.iter().filter_map(|(account, series)| {
                series
                    .unmanaged
                    .map(|count| (of(account, []), Value::Count(count)))
            }),
        )?;
        family(
            "cortecs_late_instances",
            "Unmanaged instances that are probably the late outcome of a start that was given up",
            None,
            Kind::Gauge,
            &mut accounts.iter().filter_map(|(account, series)| {
                series
                    .late
                    .map(|count| (of(account, []), Value::Count(count)))
            }),
        )?;
        family(
            "cortecs_price_per_hour",
            "What the account's pending and running instances cost an hour, where the price is known",
            None,
            Kind::Gauge,
            &mut accounts.iter().flat_map(|(account, series)| {
                series.price_per_hour.iter().map(move |(currency, price)| {
                    let labels = of(account, [("currency", currency.clone())]);
                    (labels, Value::Real(*price))
                })
            }),
        )?;
        family(
            "cortecs_account_held",
            "1 while the account is held after a mass change",
            None,
            Kind::Gauge,
            &mut accounts.iter().filter_map(|(account, series)| {
                series
                    .held
                    .map(|held| (of(account, []), Value::Count(held.into())))
            }),
        )?;
        family(
            "cortecs_account_contested",
            "1 while another operator manages the account, or may, and nobody said which of the two is meant",
            None,
            Kind::Gauge,
            &mut accounts.iter().filter_map(|(account, series)| {
                let contested = series.contested?;
                Some((of(account, []), Value::Count(contested.into())))
            }),
        )?;
        family(
            "cortecs_list_age",
            "Time since the last good list of the account was requested",
            Some(&Unit::Seconds),
            Kind::Gauge,
            &mut accounts.iter().filter_map(|(account, series)| {
                let age = now.since(series.listed?).as_secs_f64();
                Some((of(account, []), Value::Real(age)))
            }),
        )
    }
}

/// The labels and the value of one line.
type Sample = (Vec<(&'static str, String)>, Value);

enum Value {
    Count(u64),
    Real(f64),
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

impl ApiCode {
    /// Statuses that HTTP does not have share one.
    fn bounded(self) -> Self {
        match self {
            Self::Status(status) if !(100..600).contains(&status) => Self::Status(0),
            code => code,
        }
    }
}

impl fmt::Display for ApiCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(0) => f.write_str("other"),
            Self::Status(status) => status.fmt(f),
            Self::Timeout => f.write_str("timeout"),
            Self::Network => f.write_str("network"),
        }
    }
}

impl StartOutcome {
    const ALL: [Self; 5] = [
        Self::Accepted,
        Self::Refused,
        Self::Unknown,
        Self::Resolved,
        Self::Void,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Resolved => "resolved",
            Self::Void => "void",
        }
    }
}
