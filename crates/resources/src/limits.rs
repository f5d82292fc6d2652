//! The limits of an account for its users.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Limits for the users of an account. A field that is left out limits nothing.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// The longest time that one run of an instance may take, in seconds. Then the instance is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 31622400")
        .message("limits.maxRuntimeSeconds must be between 1 and 31622400 (366 days)"))]
    pub max_runtime_seconds: Option<i32>,
    /// The most workers of one instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 8").message("limits.maxWorkers must be between 1 and 8"))]
    pub max_workers: Option<i32>,
    /// The models that may be started, each by the API's id or the Hugging Face name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 200)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub models: Vec<String>,
    /// The hardware types on which instances may be started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub hardware_types: Vec<String>,
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}
