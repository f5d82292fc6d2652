//! What `mode: StopAll` of an account has stopped.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A stop of everything, which `mode: StopAll` has ordered. It is recorded before the first call. One of the accounts with the client id
/// has it: the first one, in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StopAll {
    /// Since when everything is to be stopped.
    pub since: Timestamp,
    /// How many instances were stopped since then, those included that no resource claims.
    pub stopped: i64,
    /// When the API last carried out a call that stopped something, or the first call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_call_time: Option<Timestamp>,
    /// When the order ended. The record stays until the resources have taken note of what was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time: Option<Timestamp>,
    /// The instances of this client id are stopped.
    #[schemars(length(max = 2048))]
    pub api_url: String,
    #[schemars(length(max = 512))]
    pub client_id: String,
}
