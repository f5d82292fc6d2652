//! The budget of an account.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// The money that may be spent with the account. A budget is for everything that the client id runs, whoever has started that.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.maxPricePerHour) || has(self.minBalance)")
    .message("budget needs maxPricePerHour, minBalance or both"))]
#[serde(rename_all = "camelCase")]
pub struct Budget {
    /// The most that all pending and running instances together may cost per hour, by the API's list prices. What would exceed it is not
    /// started; what runs is not stopped. A decimal number, such as `12.50`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]{1,9}([.][0-9]{1,6})?$')")
        .message("budget.maxPricePerHour must be a decimal number with at most six decimals, in quotes, such as \"12.50\""))]
    pub max_price_per_hour: Option<String>,
    /// The currency of both amounts, an ISO 4217 code. A price or a balance in another currency permits no start.
    #[schemars(length(min = 3, max = 3))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Z]{3}$')").message("budget.currency must be an ISO 4217 code, such as EUR"))]
    pub currency: String,
    /// Nothing is started while the account's balance is below this amount. A decimal number, such as `20.00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(validation = Rule::new("self.matches('^[0-9]{1,9}([.][0-9]{1,6})?$')")
        .message("budget.minBalance must be a decimal number with at most six decimals, in quotes, such as \"20.00\""))]
    pub min_balance: Option<String>,
}
