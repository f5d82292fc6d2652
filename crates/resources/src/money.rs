//! Amounts of money in statuses.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most entries of `spent` in the status of an account.
pub const MAX_SPENT: usize = 200;
/// Most uids of `settled` in the status of an account.
pub const MAX_SETTLED: usize = 500;
/// Most models of `earlier` in the cost of a resource.
pub const MAX_EARLIER: usize = 8;

/// The cost of the resources of a namespace that are gone, for one model and in one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Spent {
    /// `other` has what does not fit any more.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The API's id of the model; `other` has what does not fit any more.
    #[schemars(length(max = 256))]
    pub model_id: String,
    /// An ISO 4217 code.
    #[schemars(length(max = 3))]
    pub currency: String,
    /// A decimal number.
    #[schemars(length(max = 32))]
    pub amount: String,
}

/// The cost of a resource while it ran another model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EarlierModel {
    /// The API's id of the model; `other` has what does not fit any more.
    #[schemars(length(max = 256))]
    pub model_id: String,
    /// A decimal number.
    #[schemars(length(max = 32))]
    pub amount: String,
}

/// The money on an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Balance {
    /// A decimal number, such as `12.50`.
    #[schemars(length(max = 32))]
    pub amount: String,
    /// An ISO 4217 code.
    #[schemars(length(max = 3))]
    pub currency: String,
    /// When this amount was first shown.
    pub last_update_time: Timestamp,
}

/// The cost of instances per hour, in one currency.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PricePerHour {
    /// An ISO 4217 code.
    #[schemars(length(max = 3))]
    pub currency: String,
    /// Of the instances that resources claim. A decimal number.
    #[schemars(length(max = 32))]
    pub managed: String,
    /// Of the unmanaged instances. A decimal number.
    #[schemars(length(max = 32))]
    pub unmanaged: String,
}
