//! `CortecsModel`: a model that the API offers.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most hardware types of a model that are shown.
pub const MAX_HARDWARE: usize = 64;
/// The longest description, in characters.
pub const MAX_DESCRIPTION: usize = 2048;
/// The longest size, in characters.
pub const MAX_SIZE: usize = 32;

/// A model that the API offers.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "cortecs.ai",
    version = "v1alpha1",
    kind = "CortecsModel",
    plural = "cortecsmodels",
    shortname = "ctm",
    category = "cortecs-catalog",
    doc = "A model that the Cortecs API offers. The operator writes these objects from the API's catalog, and overwrites every other change.",
    derive = "PartialEq",
    printcolumn(name = "HF Name", type_ = "string", json_path = ".spec.hfName"),
    printcolumn(name = "Size", type_ = "string", json_path = ".spec.size"),
    printcolumn(
        name = "Hardware",
        type_ = "string",
        json_path = ".spec.hardwareTypeIds"
    ),
    printcolumn(
        name = "Instant",
        type_ = "boolean",
        json_path = ".spec.instantProvisioning"
    ),
    printcolumn(
        name = "Recommended",
        type_ = "string",
        json_path = ".spec.recommendedHardwareTypeId",
        priority = 1
    ),
    printcolumn(
        name = "Context",
        type_ = "string",
        json_path = ".spec.maxContextLengths",
        priority = 1
    ),
    printcolumn(name = "Id", type_ = "string", json_path = ".spec.id", priority = 1)
)]
#[serde(rename_all = "camelCase")]
pub struct CortecsModelSpec {
    /// The API's id of the model. `spec.modelId` of a CortecsInstance takes it.
    #[schemars(length(min = 1, max = 256))]
    pub id: String,

    /// The model's name at Hugging Face. `spec.modelId` of a CortecsInstance takes it, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub hf_name: Option<String>,

    /// The model's name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub screen_name: Option<String>,

    /// Who made the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creator: Option<ModelCreator>,

    /// What the API says about the model, cut to 2048 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub description: Option<String>,

    /// The number of parameters, such as `7B`, or the size in the words of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub size: Option<String>,

    /// Whether an instance of this model starts without a wait for hardware, as the API says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instant_provisioning: Option<bool>,

    /// The hardware types that the model can run on: the recommended one first, the others in alphabetical order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub hardware_type_ids: Vec<String>,

    /// The hardware type that the API recommends. It is absent until the operator has asked the API for this model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub recommended_hardware_type_id: Option<String>,

    /// The maximum context length in tokens, by hardware type. It is absent until the operator has asked the API for this model.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub max_context_lengths: BTreeMap<String, i64>,
}

/// Who made a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelCreator {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub name: Option<String>,
    /// A page about the creator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub url: Option<String>,
}
