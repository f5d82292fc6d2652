//! The metrics of a fleet's requests to the API.

use std::{sync::Mutex, time::Duration};

use cortecs_api::{Call, CallObserver, CallOutcome};
use cortecs_resources::key::ObjectKey;

use crate::mutex::lock;
use crate::serve::metrics::{ApiCode, Metrics};
/// Counts a fleet's requests in the metrics of its first account.
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
        *lock(&self.account) = account.to_string();
    }
}

impl CallObserver for ApiObserver {
    fn on_call(&self, call: Call, outcome: CallOutcome, took: Duration) {
        let code = match outcome {
            CallOutcome::Status(status) => ApiCode::Status(status),
            CallOutcome::Error("timeout" | "cancelled") => ApiCode::Timeout,
            CallOutcome::Error(_) => ApiCode::Network,
        };
        let account = lock(&self.account);
        self.metrics
            .api_request(&account, call.as_str(), code, took);
    }
}
