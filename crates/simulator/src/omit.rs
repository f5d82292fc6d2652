//! What answers leave out of instances.

use cortecs_api::types::Instance;
use serde::Deserialize;

/// A field of an instance that answers can leave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Omitted {
    HardwareTypeId,
    ContextLength,
    BillingInterval,
    NumWorkers,
    WorkerStatuses,
}

impl Omitted {
    /// All of them: what is left tells the model, the state and the URL.
    pub const ALL: [Self; 5] = [
        Self::HardwareTypeId,
        Self::ContextLength,
        Self::BillingInterval,
        Self::NumWorkers,
        Self::WorkerStatuses,
    ];

    pub(super) fn leave_out(self, instance: &mut Instance) {
        let args = &mut instance.instance_args;
        match self {
            Self::HardwareTypeId => args.hardware_type_id = None,
            Self::ContextLength => args.context_length = None,
            Self::BillingInterval => args.billing_interval = None,
            Self::NumWorkers => args.num_workers = None,
            Self::WorkerStatuses => instance.worker_statuses.clear(),
        }
    }
}
