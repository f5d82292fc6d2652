//! The values of metrics with an account label, by account, so that all series of an account can be removed together.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use cortecs_clock::Moment;
use cortecs_rules::cost::labels::Labels;

use crate::mutex::lock;

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

/// Accounts beyond this number share the label `other`.
pub const MAX_ACCOUNTS: usize = 1000;
const OVERFLOW: &str = "other";

/// The result of a request to the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApiCode {
    /// A response with this HTTP status.
    Status(u16),
    /// No response in time.
    Timeout,
    /// The connection failed.
    Network,
}

/// The outcome of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StartOutcome {
    /// The API returned the instance.
    Accepted,
    /// The API refused the start.
    Refused,
    /// There was no response, or the response does not say whether the start was accepted.
    Unknown,
    /// Unknown at first; then a list showed the instance.
    Resolved,
    /// Unknown at first; then no list showed an instance in time.
    Void,
}

/// Starts and restarts that were written ahead and have no recorded outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenStarts {
    pub count: u64,
    /// The time since the oldest request; zero without an open start.
    pub age: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Accounts(Mutex<BTreeMap<String, Series>>);

/// The values of one account.
#[derive(Debug, Default)]
pub(super) struct Series {
    pub(super) requests: BTreeMap<(&'static str, ApiCode), u64>,
    pub(super) instances: Option<[u64; PHASES.len()]>,
    pub(super) unmanaged: Option<u64>,
    pub(super) late: Option<u64>,
    pub(super) price_per_hour: BTreeMap<Labels, f64>,
    pub(super) costs: BTreeMap<Labels, f64>,
    /// By hardware type and currency.
    pub(super) hardware_prices: BTreeMap<(String, String), f64>,
    /// The currency, and the amount.
    pub(super) balance: Option<(String, f64)>,
    pub(super) held: Option<bool>,
    pub(super) contested: Option<bool>,
    pub(super) ready: Option<bool>,
    pub(super) overdue: Option<u64>,
    pub(super) open_starts: Option<OpenStarts>,
    pub(super) starts: [u64; StartOutcome::ALL.len()],
    /// When the last good list was requested, or when the account was first seen.
    pub(super) listed: Option<Moment>,
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

    pub(super) fn start(&self, account: &str, outcome: StartOutcome) {
        self.update(account, |series| {
            let counted = StartOutcome::ALL.iter().zip(&mut series.starts);
            for (_, count) in counted.filter(|(known, _)| **known == outcome) {
                *count = count.saturating_add(1);
            }
        });
    }

    pub(super) fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.lock().retain(|account, _| keep(account));
    }

    pub(super) fn update(&self, account: &str, change: impl FnOnce(&mut Series)) {
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

    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Series>> {
        lock(&self.0)
    }
}

impl ApiCode {
    /// All invalid HTTP statuses share one label.
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
    pub(super) const ALL: [Self; 5] = [
        Self::Accepted,
        Self::Refused,
        Self::Unknown,
        Self::Resolved,
        Self::Void,
    ];

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Resolved => "resolved",
            Self::Void => "void",
        }
    }
}
