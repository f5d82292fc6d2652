//! The metrics of a reconcile.

use cortecs_clock as clock;
use cortecs_clock::Moment;

use super::{ControllerLabels, Metrics, ReconcileLabels};

/// The result of a reconcile, with controller-runtime's labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconcileResult {
    /// The next reconcile follows a change.
    Success,
    /// The object is requeued after some time.
    RequeueAfter,
    /// The reconcile failed, or was dropped before its end.
    Error,
}

impl ReconcileResult {
    const ALL: [Self; 3] = [Self::Success, Self::RequeueAfter, Self::Error];

    fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::RequeueAfter => "requeue_after",
            Self::Error => "error",
        }
    }
}

/// Counts a reconcile as active, and records its result and duration when the guard is dropped.
///
/// A reconcile without a result (an early return by `?`, a panic, a cancelled future) counts as an error.
#[derive(Debug)]
#[must_use = "dropped at once, it records a failed reconcile of no duration"]
pub struct ReconcileGuard {
    metrics: Metrics,
    controller: &'static str,
    started: Moment,
    result: ReconcileResult,
}

impl ReconcileGuard {
    pub(super) fn begin(metrics: Metrics, controller: &'static str) -> Self {
        let labels = ControllerLabels { controller };
        metrics.0.active_workers.get_or_create(&labels).inc();
        // Without a zero before the first error, a rate would miss this error.
        metrics.0.reconcile_errors.get_or_create(&labels).inc_by(0);
        metrics.0.writes_refused.get_or_create(&labels).inc_by(0);
        for result in ReconcileResult::ALL {
            let labels = ReconcileLabels {
                controller,
                result: result.label(),
            };
            metrics.0.reconciles.get_or_create(&labels).inc_by(0);
        }
        Self {
            metrics,
            controller,
            started: clock::moment(),
            result: ReconcileResult::Error,
        }
    }

    /// Ends the reconcile with this result.
    pub fn finish(mut self, result: ReconcileResult) {
        self.result = result;
    }
}

impl Metrics {
    /// Sets how many objects cannot be decoded.
    pub fn set_unreadable(&self, controller: &'static str, count: usize) {
        let labels = ControllerLabels { controller };
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        self.0.unreadable.get_or_create(&labels).set(count);
    }

    /// Counts a write that Kubernetes refused.
    pub fn write_refused(&self, controller: &'static str) {
        let labels = ControllerLabels { controller };
        self.0.writes_refused.get_or_create(&labels).inc();
    }
}

impl Drop for ReconcileGuard {
    fn drop(&mut self) {
        let controller = self.controller;
        let labels = ControllerLabels { controller };
        let inner = &self.metrics.0;
        let result = self.result.label();
        inner
            .reconciles
            .get_or_create(&ReconcileLabels { controller, result })
            .inc();
        if self.result == ReconcileResult::Error {
            inner.reconcile_errors.get_or_create(&labels).inc();
        }
        let seconds = clock::moment().since(self.started).as_secs_f64();
        inner
            .reconcile_seconds
            .get_or_create(&labels)
            .observe(seconds);
        inner.active_workers.get_or_create(&labels).dec();
    }
}
