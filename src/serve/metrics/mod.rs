//! The metrics of `/metrics`. Names are those of controller-runtime if it has the metric, else `cortecs_…`.
//!
//! `accounts` keeps the values with an account label, `account_families` exposes them, `reconcile` counts reconciles.
//!
//! All labels are bounded: controllers, endpoints, phases and outcomes are fixed words, codes are HTTP statuses, and accounts are
//! existing ones ([`Metrics::retain_accounts`] removes the others).

mod account_families;
mod accounts;
mod reconcile;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Metric, Registry, Unit},
};

use crate::serve::metrics::accounts::{Accounts, Series};
pub use crate::serve::metrics::{
    accounts::{ApiCode, MAX_ACCOUNTS, OpenStarts, PHASES, StartOutcome},
    reconcile::{ReconcileGuard, ReconcileResult},
};
use cortecs_api::fit;
use cortecs_clock::Moment;
use cortecs_rules::cost::{Prices, labels::Labels, money::Money};

/// The content type of what [`Metrics::encode`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The longest id of a hardware type in a label.
const MAX_HARDWARE_ID: usize = 128;

/// All metrics of the process. Clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    reconciles: Family<ReconcileLabels, Counter>,
    reconcile_errors: Family<ControllerLabels, Counter>,
    reconcile_seconds: Family<ControllerLabels, Histogram>,
    active_workers: Family<ControllerLabels, Gauge>,
    writes_refused: Family<ControllerLabels, Counter>,
    unreadable: Family<ControllerLabels, Gauge>,
    leader: Family<LeaseLabels, Gauge>,
    request_seconds: Family<EndpointLabels, Histogram>,
    start_seconds: Histogram,
    accounts: Arc<Accounts>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ControllerLabels {
    controller: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconcileLabels {
    controller: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LeaseLabels {
    name: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    endpoint: &'static str,
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let reconciles = register(
            &mut registry,
            "controller_runtime_reconcile",
            "Reconciles by result",
            None,
            Family::default(),
        );
        let reconcile_errors = register(
            &mut registry,
            "controller_runtime_reconcile_errors",
            "Reconciles that failed",
            None,
            Family::default(),
        );
        let reconcile_seconds = register(
            &mut registry,
            "controller_runtime_reconcile_time",
            "Duration of reconciles",
            Some(Unit::Seconds),
            Family::new_with_constructor(reconcile_histogram as fn() -> Histogram),
        );
        let active_workers = register(
            &mut registry,
            "controller_runtime_active_workers",
            "Reconciles under way",
            None,
            Family::default(),
        );
        let writes_refused = register(
            &mut registry,
            "cortecs_kubernetes_writes_refused",
            "Writes that Kubernetes refused, by an admission policy, a quota, a webhook or for lack of a permission",
            None,
            Family::default(),
        );
        let unreadable = register(
            &mut registry,
            "cortecs_unreadable_objects",
            "Objects that cannot be decoded and are left alone",
            None,
            Family::default(),
        );
        let leader = register(
            &mut registry,
            "leader_election_master_status",
            "1 while this process has the lease",
            None,
            Family::default(),
        );
        let request_seconds = register(
            &mut registry,
            "cortecs_api_request_duration",
            "Duration of requests to the Cortecs API",
            Some(Unit::Seconds),
            Family::new_with_constructor(request_histogram as fn() -> Histogram),
        );
        let start_seconds = register(
            &mut registry,
            "cortecs_start_duration",
            "From the request of a start to a usable instance",
            Some(Unit::Seconds),
            start_histogram(),
        );
        let accounts = Arc::new(Accounts::default());
        registry.register_collector(Box::new(Arc::clone(&accounts)));
        Self(Arc::new(Inner {
            registry,
            reconciles,
            reconcile_errors,
            reconcile_seconds,
            active_workers,
            writes_refused,
            unreadable,
            leader,
            request_seconds,
            start_seconds,
            accounts,
        }))
    }

    /// All metrics in the OpenMetrics text format, to be served as [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// If a metric cannot be written as text, which is a defect.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0.registry)?;
        Ok(text)
    }

    /// Counts a reconcile from now until the drop of the guard.
    pub fn reconcile(&self, controller: &'static str) -> ReconcileGuard {
        ReconcileGuard::begin(self.clone(), controller)
    }

    /// Sets whether this process has the lease `name`.
    pub fn set_leader(&self, name: &'static str, leads: bool) {
        self.0
            .leader
            .get_or_create(&LeaseLabels { name })
            .set(leads.into());
    }

    /// Counts a request to the Cortecs API for `account` (namespace/name). `endpoint` is the pattern of the call, without ids.
    pub fn api_request(
        &self,
        account: &str,
        endpoint: &'static str,
        code: ApiCode,
        duration: Duration,
    ) {
        self.0.accounts.request(account, endpoint, code);
        let labels = EndpointLabels { endpoint };
        self.0
            .request_seconds
            .get_or_create(&labels)
            .observe(duration.as_secs_f64());
    }

    /// Sets how many of the account's resources are in each of [`PHASES`]. Phases that `counts` lacks are set to 0.
    pub fn set_instances<'a>(
        &self,
        account: &str,
        counts: impl IntoIterator<Item = (&'a str, u64)>,
    ) {
        self.0.accounts.set_instances(account, counts);
    }

    /// Sets the number of unmanaged instances of the account.
    pub fn set_unmanaged_instances(&self, account: &str, count: u64) {
        self.update(account, |series| series.unmanaged = Some(count));
    }

    /// Sets how many unmanaged instances are probably the late outcome of a start that was given up.
    pub fn set_late_instances(&self, account: &str, count: u64) {
        self.update(account, |series| series.late = Some(count));
    }

    /// Sets the hourly price of all instances of the account's owner.
    pub fn set_price_per_hour(&self, account: &str, per_hour: &BTreeMap<Labels, f64>) {
        self.update(account, |series| series.price_per_hour.clone_from(per_hour));
    }

    /// Sets what the resources of the account have cost, those included that are gone.
    pub fn set_costs(&self, account: &str, costs: BTreeMap<Labels, f64>) {
        self.update(account, |series| series.costs = costs);
    }

    /// Sets the prices of hardware that the account sees.
    pub fn set_hardware_prices(&self, account: &str, prices: &Prices) {
        let prices = prices.of_hardware().map(|(hardware, price, currency)| {
            let labels = (fit(hardware, MAX_HARDWARE_ID), currency.to_owned());
            (labels, price)
        });
        let prices = prices.collect();
        self.update(account, |series| series.hardware_prices = prices);
    }

    /// Sets the balance of the account's owner.
    pub fn set_balance(&self, account: &str, balance: &Money) {
        let amount = balance.amount.parse().ok();
        let balance = amount.map(|amount| (balance.currency.clone(), amount));
        self.update(account, |series| series.balance = balance);
    }

    /// Sets whether `account` is on hold.
    pub fn set_held(&self, account: &str, held: bool) {
        self.update(account, |series| series.held = Some(held));
    }

    /// Sets whether the status of `account` names another operator, and no annotation names the one that should manage it.
    pub fn set_contested(&self, account: &str, contested: bool) {
        self.update(account, |series| series.contested = Some(contested));
    }

    /// Counts a start of `account` by its outcome.
    pub fn start(&self, account: &str, outcome: StartOutcome) {
        self.0.accounts.start(account, outcome);
    }

    /// Records the time from the request of a start to a usable instance.
    pub fn start_duration(&self, duration: Duration) {
        self.0.start_seconds.observe(duration.as_secs_f64());
    }

    /// Sets `moment` as the time from which the age of lists counts, if the account is new.
    pub fn account_seen(&self, account: &str, moment: Moment) {
        self.update(account, |series| {
            series.listed.get_or_insert(moment);
        });
    }

    /// Sets whether the account's condition `Ready` is true.
    pub fn set_ready(&self, account: &str, is_ready: bool) {
        self.update(account, |series| series.ready = Some(is_ready));
    }

    /// Sets the starts and restarts of the account that were written ahead and have no recorded outcome.
    pub fn set_open_starts(&self, account: &str, open: OpenStarts) {
        self.update(account, |series| series.open_starts = Some(open));
    }

    /// Sets how many resources of the account have a transition that is overdue.
    pub fn set_overdue_transitions(&self, account: &str, count: u64) {
        self.update(account, |series| series.overdue = Some(count));
    }

    /// Records when the last good list of the account was requested. Its age is computed when metrics are read.
    pub fn list_received(&self, account: &str, requested_at: Moment) {
        self.update(account, |series| series.listed = Some(requested_at));
    }

    fn update(&self, account: &str, change: impl FnOnce(&mut Series)) {
        self.0.accounts.update(account, change);
    }

    /// Removes all series of an account (namespace/name).
    pub fn remove_account(&self, account: &str) {
        self.0.accounts.retain(|name| name != account);
    }

    /// Removes all series of accounts for which `exists` is false. A late response may have added one after the account was gone.
    pub fn retain_accounts(&self, exists: impl Fn(&str) -> bool) {
        self.0.accounts.retain(exists);
    }
}

/// Registers `metric` and returns it.
fn register<M: Metric + Clone>(
    registry: &mut Registry,
    name: &str,
    help: &str,
    unit: Option<Unit>,
    metric: M,
) -> M {
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, metric.clone()),
        None => registry.register(name, help, metric.clone()),
    }
    metric
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// From reconciles without a call to reconciles with several calls.
const RECONCILE_SECONDS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Up to the default timeout of a request, and up to a longer one for a slow API.
const REQUEST_SECONDS: [f64; 12] = [
    0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0,
];

/// Some models load in a minute, others in an hour.
const START_SECONDS: [f64; 11] = [
    15.0, 30.0, 60.0, 120.0, 180.0, 300.0, 600.0, 900.0, 1800.0, 2700.0, 3600.0,
];

fn reconcile_histogram() -> Histogram {
    Histogram::new(RECONCILE_SECONDS)
}

fn request_histogram() -> Histogram {
    Histogram::new(REQUEST_SECONDS)
}

fn start_histogram() -> Histogram {
    Histogram::new(START_SECONDS)
}

#[cfg(test)]
mod tests;
