//! `CortecsHardwareType`: hardware that the API offers, with its price.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Hardware that the API offers, and its price.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "cortecs.ai",
    version = "v1alpha1",
    kind = "CortecsHardwareType",
    plural = "cortecshardwaretypes",
    shortname = "cth",
    category = "cortecs-catalog",
    doc = "A hardware type that the Cortecs API offers, with its price. The operator writes these objects from the API's catalog, and overwrites every other change.",
    derive = "PartialEq",
    printcolumn(name = "GPU", type_ = "string", json_path = ".spec.gpuType"),
    printcolumn(name = "Count", type_ = "integer", json_path = ".spec.gpuCount"),
    printcolumn(name = "RAM", type_ = "string", json_path = ".spec.gpuRam"),
    printcolumn(name = "Price/h", type_ = "string", json_path = ".spec.pricePerHour"),
    printcolumn(name = "Available", type_ = "boolean", json_path = ".spec.available"),
    printcolumn(
        name = "Currency",
        type_ = "string",
        json_path = ".spec.currency",
        priority = 1
    ),
    printcolumn(name = "Id", type_ = "string", json_path = ".spec.id", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct CortecsHardwareTypeSpec {
    /// The API's id of the hardware type. `spec.hardwareTypeId` of a CortecsInstance takes it.
    #[schemars(length(min = 1, max = 256))]
    pub id: String,

    /// The type of the GPUs, such as `NVIDIA L4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub gpu_type: Option<String>,

    /// The number of GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_count: Option<i64>,

    /// The memory of the GPU, as the API states it: a Kubernetes quantity, such as `24G`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub gpu_ram: Option<String>,

    /// The price of one worker on this hardware for an hour: a decimal number, such as `1.20`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub price_per_hour: Option<String>,

    /// The price of one worker on this hardware for a minute: a decimal number, such as `0.02`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub price_per_minute: Option<String>,

    /// The currency of the prices, an ISO 4217 code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3))]
    pub currency: Option<String>,

    /// Whether the API had this hardware free when the operator last asked: once an hour, and every five minutes while a resource waits for
    /// hardware. It is absent when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<bool>,
}
