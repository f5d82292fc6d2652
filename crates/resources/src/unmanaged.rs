//! Instances that no resource claims.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::InstanceArgs;

/// Most unmanaged instances that an account's status lists.
pub const MAX_UNMANAGED: usize = 50;

/// An instance that no resource claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnmanagedInstance {
    #[schemars(length(max = 256))]
    pub id: String,
    pub args: InstanceArgs,
    /// `pending`, `running` or `stopped`.
    #[schemars(length(max = 64))]
    pub state: String,
    /// When it was started, as the API says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub started_at: Option<String>,
    /// The price of all its workers for an hour by the API's prices, as a decimal number. Absent while nothing is billed, or no price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub price_per_hour: Option<String>,
    /// The price's currency, an ISO 4217 code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3))]
    pub currency: Option<String>,
    /// The resource whose start, given up as void, this is probably the late outcome of. Unless the account has
    /// `lateStartPolicy: Delete`, nobody touches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probably_of: Option<ResourceName>,
}

/// The treatment of the late outcome of a start that was given up. `Report`: it is shown. `Delete`: it is stopped and deleted where
/// the running operator has seen all of it: it has made the start and given it up itself, and then the instance came up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum LateStartPolicy {
    #[default]
    Report,
    Delete,
}

/// Names a `CortecsInstance`.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct ResourceName {
    #[schemars(length(max = 63))]
    pub namespace: String,
    #[schemars(length(max = 253))]
    pub name: String,
}
