//! The transitions of an instance without anybody's order.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The next transition that the operator makes without anybody's order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextTransition {
    pub action: TransitionAction,
    /// The time at which the transition is due. If the time has passed, the transition is overdue, and the operator tries it again and again.
    pub at: Timestamp,
    pub reason: TransitionReason,
}

/// `Stop`: the instance is stopped. `Delete`: the resource is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TransitionAction {
    Stop,
    Delete,
}

/// `MaxRuntimeReached`: the run has taken `maxRuntimeSeconds`, of the spec or of the account. `Expired`: `expireTime` has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum TransitionReason {
    MaxRuntimeReached,
    Expired,
}
