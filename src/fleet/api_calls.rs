//! Counts a fleet's requests to the API, for the metrics.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use cortecs_api::{Call, CallObserver, CallOutcome};
use cortecs_resources::key::ObjectKey;

use crate::serve::metrics::{ApiCode, Metrics};
/// Counts a fleet's requests under the name of the first of its accounts.
pub struct ApiObserver {
    metrics: Metrics,
    account: Mutex<String>,
}

impl ApiObserver {
    pub fn new(metrics: Metrics, account: &ObjectKey) -> Self {
        Self {
            metrics,
            account: Mutex::new(account.to_string()),
        }
    }

    pub fn set_account(&self, account: &ObjectKey) {
        *self.account.lock().unwrap_or_else(PoisonError::into_inner) = account.to_string();
    }
}

impl CallObserver for ApiObserver {
    fn on_call(&self, call: Call, outcome: CallOutcome, took: Duration) {
        let code = match outcome {
            CallOutcome::Status(status) => ApiCode::Status(status),
            CallOutcome::Error("timeout" | "cancelled") => ApiCode::Timeout,
            CallOutcome::Error(_) => ApiCode::Network,
        };
        let account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        self.metrics
            .api_request(&account, call.as_str(), code, took);
    }
}
