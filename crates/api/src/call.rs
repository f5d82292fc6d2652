//! The calls of the API, and the observer that is told about them.

use std::{fmt, time::Duration};

/// A call of the API. A bounded set: fit for labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    Token,
    ListInstances,
    GetInstance,
    StartInstance,
    RestartInstance,
    StopInstance,
    StopAll,
    DeleteInstance,
    DeleteAll,
    Balance,
    ListModels,
    GetModel,
    ListHardwareTypes,
    ListAvailableHardwareTypes,
}

impl Call {
    /// Every call.
    pub const ALL: [Self; 14] = [
        Self::Token,
        Self::ListInstances,
        Self::GetInstance,
        Self::StartInstance,
        Self::RestartInstance,
        Self::StopInstance,
        Self::StopAll,
        Self::DeleteInstance,
        Self::DeleteAll,
        Self::Balance,
        Self::ListModels,
        Self::GetModel,
        Self::ListHardwareTypes,
        Self::ListAvailableHardwareTypes,
    ];

    /// The name for labels, e.g. `start_instance`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::ListInstances => "list_instances",
            Self::GetInstance => "get_instance",
            Self::StartInstance => "start_instance",
            Self::RestartInstance => "restart_instance",
            Self::StopInstance => "stop_instance",
            Self::StopAll => "stop_all",
            Self::DeleteInstance => "delete_instance",
            Self::DeleteAll => "delete_all",
            Self::Balance => "balance",
            Self::ListModels => "list_models",
            Self::GetModel => "get_model",
            Self::ListHardwareTypes => "list_hardware_types",
            Self::ListAvailableHardwareTypes => "list_available_hardware_types",
        }
    }

    /// Whether the call ends something, and may be made again.
    pub(super) const fn removes(self) -> bool {
        matches!(
            self,
            Self::StopInstance | Self::StopAll | Self::DeleteInstance | Self::DeleteAll
        )
    }

    /// Whether a usable body counts with any success: an odd success must not look like a refusal.
    pub(super) const fn counts_with_any_success(self) -> bool {
        self.starts_billing() || matches!(self, Self::StopInstance | Self::StopAll | Self::Token)
    }

    /// Whether the call makes something billed, so that sending it twice may cost twice.
    pub(super) const fn starts_billing(self) -> bool {
        matches!(self, Self::StartInstance | Self::RestartInstance)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "fetch access token",
            Self::ListInstances => "list instances",
            Self::GetInstance => "get instance",
            Self::StartInstance => "start instance",
            Self::RestartInstance => "restart instance",
            Self::StopInstance => "stop instance",
            Self::StopAll => "stop all instances",
            Self::DeleteInstance => "delete instance",
            Self::DeleteAll => "delete all instances",
            Self::Balance => "get balance",
            Self::ListModels => "list models",
            Self::GetModel => "get model",
            Self::ListHardwareTypes => "list hardware types",
            Self::ListAvailableHardwareTypes => "list available hardware types",
        })
    }
}

/// How one HTTP request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// The status of the answer: a usable one, or one that says that the call failed, or that it was taken.
    Status(u16),
    /// No usable answer. One of [`CallOutcome::ERROR_KINDS`].
    Error(&'static str),
}

impl CallOutcome {
    /// Each kind of [`CallOutcome::Error`]: `connect` (nothing was sent), `timeout`, `network`, `too_large`, `malformed`
    /// (a successful status with a body that is not what it should be), `invalid` (never sent: the request could not be
    /// built) and `cancelled` (the caller stopped waiting).
    pub const ERROR_KINDS: [&'static str; 7] = [
        "connect",
        "timeout",
        "network",
        "too_large",
        "malformed",
        "invalid",
        "cancelled",
    ];
}

/// Is told about each HTTP request, also about those for tokens and about a repetition after a 401.
pub trait CallObserver: Send + Sync {
    /// `took` counts from before the connection is made until the answer is parsed. Must not block.
    fn on_call(&self, call: Call, outcome: CallOutcome, took: Duration);
}
