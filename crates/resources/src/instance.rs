//! `CortecsInstance`: a model that should be served. The spec is the API's InstanceArgs and what Kubernetes users expect around it.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::instance_status::CortecsInstanceStatus;
use crate::user_time::UserTime;

/// The desired state of an LLM instance rented through the Cortecs API.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "cortecs.ai",
    version = "v1alpha1",
    kind = "CortecsInstance",
    plural = "cortecsinstances",
    shortname = "cti",
    category = "cortecs",
    namespaced,
    doc = "An LLM instance rented through the Cortecs API.",
    status = "CortecsInstanceStatus",
    derive = "PartialEq",
    selectable = ".spec.modelId",
    scale(
        spec_replicas_path = ".spec.numWorkers",
        status_replicas_path = ".status.workers.running"
    ),
    printcolumn(name = "Model", type_ = "string", json_path = ".spec.modelId"),
    printcolumn(
        name = "Hardware",
        type_ = "string",
        json_path = ".status.instanceArgs.hardwareTypeId"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Progress", type_ = "string", json_path = ".status.progress"),
    printcolumn(
        name = "Workers",
        type_ = "integer",
        json_path = ".status.workers.running"
    ),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.baseUrl"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Instance",
        type_ = "string",
        json_path = ".status.instanceId",
        priority = 1
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        priority = 1
    ),
    printcolumn(
        name = "Cost/h",
        type_ = "string",
        json_path = ".status.cost.pricePerHour",
        priority = 1
    ),
    printcolumn(
        name = "Next",
        type_ = "string",
        json_path = ".status.nextTransition.action",
        priority = 1
    ),
    printcolumn(
        name = "At",
        type_ = "string",
        json_path = ".status.nextTransition.at",
        priority = 1
    )
)]
#[x_kube(validation = Rule::new("!has(self.ttlSecondsAfterExpired) || has(self.expireTime)")
    .message("ttlSecondsAfterExpired needs expireTime"))]
#[x_kube(validation = Rule::new("!has(self.ttlSecondsAfterExpired) || self.deletionPolicy != 'Orphan'")
    .message("ttlSecondsAfterExpired does not go with deletionPolicy: Orphan, by which the instance could be left running"))]
#[serde(rename_all = "camelCase")]
pub struct CortecsInstanceSpec {
    /// The model to serve: the API's id (`org--name`) or the Hugging Face name (`org/name`).
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = Rule::new(r"self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$')")
        .message("modelId must be the API's id (org--name) or the Hugging Face name (org/name): letters, digits, '.', '_' and '-', and at most one '/'"))]
    pub model_id: String,

    /// The hardware type to run on. Default: the model's recommended configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new(r"self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')")
        .message("hardwareTypeId must be an id of the catalog such as NVIDIA_L4_1: letters, digits, '.', '_' and '-'"))]
    pub hardware_type_id: Option<String>,

    /// Hardware types to take instead, in this order, while the one above is not available. One that does not fit the context length
    /// is passed over. What was taken is no reason to replace the instance later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    #[x_kube(validation = Rule::new(r"self.all(id, id.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$'))")
        .message("hardwareFallbacks has ids of the catalog such as NVIDIA_L4_1: letters, digits, '.', '_' and '-'"))]
    pub hardware_fallbacks: Vec<String>,

    /// Context length in tokens. Default: 32000, or the hardware's maximum for the model where that is less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100_000_000))]
    #[x_kube(validation = Rule::new("self >= 1").message("contextLength must be at least 1 token; leave it out for the default"))]
    pub context_length: Option<i32>,

    /// How the instance is billed.
    #[serde(default)]
    pub billing_interval: BillingInterval,

    /// Number of workers. Each has all GPUs of the hardware type and is billed as one.
    #[serde(default = "one")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 8")
        .message("numWorkers must be between 1 and 8; to stop the instance set state: Stopped"))]
    pub num_workers: i32,

    /// The account to rent from. Default: the operator's default account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<AccountRef>,

    /// Whether the instance should run. `Stopped` keeps it at the API, unbilled; `Running` again restarts the same one.
    #[serde(default)]
    pub state: DesiredState,

    /// The longest time that one run of the instance may take, in seconds, counted from when it is asked for. Then the instance is stopped, until
    /// the spec changes or `cortecs.ai/restartedAt` asks for a restart. The account may set a shorter one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 31622400")
        .message("maxRuntimeSeconds must be between 1 and 31622400 (366 days)"))]
    pub max_runtime_seconds: Option<i32>,

    /// The instance is stopped at this time, and nothing is started after it: a time such as `2030-01-01T00:00:00Z`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new(r"self.matches('^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[+-](0[0-9]|1[0-4]):[0-5][0-9])$') && timestamp(self) > timestamp('1970-01-01T00:00:00Z')")
        .message("expireTime must be a time such as 2030-01-01T00:00:00Z, with an offset of at most 14 hours"))]
    pub expire_time: Option<UserTime>,

    /// The resource is deleted so many seconds after `expireTime`, once its instance is stopped. `deletionPolicy` says what becomes of the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 31622400")
        .message("ttlSecondsAfterExpired must be between 0 and 31622400 (366 days)"))]
    pub ttl_seconds_after_expired: Option<i32>,

    /// When `maxRuntimeSeconds` and `expireTime` stop the instance. `state: Stopped` and a deletion always stop it at once.
    #[serde(default)]
    pub stop_at: StopAt,

    /// With `stopAt: EndOfBillingInterval`, the stop is made this many seconds before the next interval begins: calls may be slow or fail.
    #[serde(default = "default_lead")]
    #[x_kube(validation = Rule::new("self >= 0 && self <= 1800").message("leadSeconds must be between 0 and 1800"))]
    pub lead_seconds: i32,

    /// Only observe and report: nothing is started, stopped or changed. Deleting the resource still deletes.
    #[serde(default)]
    pub suspend: bool,

    /// What a change of the instance's arguments does. The API cannot resize: a new instance replaces the old one.
    #[serde(default)]
    pub update_strategy: UpdateStrategy,

    /// What happens to the instance at the API when the resource is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// What to do when someone else stops or deletes the instance.
    #[serde(default)]
    pub drift_policy: DriftPolicy,

    /// Take over an existing instance instead of starting one. Needs the account's consent; used only while nothing is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adopt: Option<Adopt>,

    /// A start that takes longer than this many seconds is Stalled.
    #[serde(default = "default_progress_deadline")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 604800")
        .message("progressDeadlineSeconds must be between 1 and 604800 (a week)"))]
    pub progress_deadline_seconds: i32,
}

const fn one() -> i32 {
    1
}

const fn default_progress_deadline() -> i32 {
    1800
}

const fn default_lead() -> i32 {
    120
}

/// How an instance is billed, in the API's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BillingInterval {
    #[default]
    PerMinute,
    PerHour,
}

/// Names a `CortecsAccount`.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountRef {
    /// Name of the `CortecsAccount`.
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(r"self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message("name must be the name of a Kubernetes object: lower-case letters, digits, '-' and '.'"))]
    pub name: String,
    /// Its namespace. Default: the resource's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new(r"self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')")
        .message("namespace must be the name of a namespace: lower-case letters, digits and '-'"))]
    pub namespace: Option<String>,
}

/// Whether the instance should run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DesiredState {
    #[default]
    Running,
    Stopped,
}

/// `Immediately`: when the time has come. `EndOfBillingInterval`: what is paid is used up. With `billingInterval: per_hour` the instance
/// runs until the end of the hour in which the time comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum StopAt {
    #[default]
    Immediately,
    EndOfBillingInterval,
}

/// What a change of the instance's arguments does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateStrategy {
    #[serde(default, rename = "type")]
    pub kind: UpdateStrategyType,
}

/// `Recreate`: stop and delete the old instance, then start the new one. `OnDelete`: the change takes effect when the instance is next started anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum UpdateStrategyType {
    #[default]
    Recreate,
    OnDelete,
}

/// `Delete`: stop and delete the instance. `Stop`: only stop it. `Orphan`: leave it as it is, running and billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    #[default]
    Delete,
    Stop,
    Orphan,
}

/// `Revert`: bring the instance back. `Accept`: take it as stopped until the spec changes or a restart is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DriftPolicy {
    #[default]
    Revert,
    Accept,
}

/// Which existing instance to take over: exactly one of the fields is set.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("has(self.instanceId) != (has(self.matching) && self.matching)")
    .message("adopt takes either instanceId or matching: true, not both and not neither"))]
#[serde(rename_all = "camelCase")]
pub struct Adopt {
    /// The id of the instance to take over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub instance_id: Option<String>,
    /// Take over any unclaimed instance with equal arguments: running ones first, then pending, then stopped. If there is none, one is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<bool>,
}

impl CortecsInstance {
    /// Whether its status is absent or [records nothing](CortecsInstanceStatus::records_nothing).
    pub fn records_nothing(&self) -> bool {
        let status = self.status.as_ref();
        status.is_none_or(CortecsInstanceStatus::records_nothing)
    }
}
