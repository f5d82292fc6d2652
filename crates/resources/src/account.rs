//! `CortecsAccount`: an account at the API, its credentials, and who may use it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::{
    allowed_namespaces::{AllowedNamespaces, NamespacesFrom},
    money::{Balance, PricePerHour},
};
use crate::{
    budget::Budget,
    limits::Limits,
    money::Spent,
    stop_all::StopAll,
    unmanaged::{LateStartPolicy, UnmanagedInstance},
};

/// The keys of the credentials Secret.
pub const CLIENT_ID_KEY: &str = "CORTECS_CLIENT_ID";
pub const CLIENT_SECRET_KEY: &str = "CORTECS_CLIENT_SECRET";

/// An account at the Cortecs API.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "cortecs.ai",
    version = "v1alpha1",
    kind = "CortecsAccount",
    plural = "cortecsaccounts",
    shortname = "cta",
    category = "cortecs",
    namespaced,
    doc = "An account at the Cortecs API: credentials, who may use them, and what runs there.",
    status = "CortecsAccountStatus",
    derive = "PartialEq",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(
        name = "Managed",
        type_ = "integer",
        json_path = ".status.instances.managed"
    ),
    printcolumn(
        name = "Unmanaged",
        type_ = "integer",
        json_path = ".status.instances.unmanaged"
    ),
    printcolumn(
        name = "Running",
        type_ = "integer",
        json_path = ".status.instances.running"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "API",
        type_ = "string",
        json_path = ".spec.apiUrl",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
pub struct CortecsAccountSpec {
    /// The API's base URL. Its host must be one that the operator allows (`--allowed-api-hosts`).
    #[serde(default = "default_api_url")]
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = Rule::new(r"self.matches('^https?://[^/?#@[:space:]]+(/[^?#[:space:]]*)?$')")
        .message("apiUrl must be an http or https URL without user, query or fragment, such as https://cortecs.ai/api/v1"))]
    pub api_url: String,

    /// A Secret in the same namespace with the keys CORTECS_CLIENT_ID and CORTECS_CLIENT_SECRET.
    pub credentials_secret_ref: SecretRef,

    /// Which namespaces may use this account.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,

    /// `Shared`: other people start instances here too, so a start with an unknown outcome is never settled by likeness alone.
    #[serde(default)]
    pub sharing: Sharing,

    /// Whether resources may take over instances that they did not start.
    #[serde(default)]
    pub adoption: Adoption,

    /// `Hold`: nothing is started, everything keeps running; stops and deletes go on. `StopAll`: nothing is started, and every instance
    /// of the owner is stopped, also those that no resource claims.
    #[serde(default)]
    pub mode: AccountMode,

    /// The treatment of an instance that a start has made after the start was given up.
    #[serde(default)]
    pub late_start_policy: LateStartPolicy,

    /// Limits for the users of this account. Of several limits the strictest holds.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,

    /// The money that may be spent. Of several accounts with one client id, every budget holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,

    /// How often the account's instances are listed.
    #[serde(default)]
    pub poll: Poll,
}

fn default_api_url() -> String {
    "https://cortecs.ai/api/v1".to_owned()
}

/// Names a Secret in the same namespace.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new(r"self.matches('^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$')")
        .message("name must be the name of a Kubernetes object: lower-case letters, digits, '-' and '.'"))]
    pub name: String,
}

/// Whether others start instances in this account.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Sharing {
    #[default]
    Exclusive,
    Shared,
}

/// Whether resources may take over instances that they did not start.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum Adoption {
    #[default]
    None,
    Unclaimed,
}

/// Whether the account starts instances, and whether it stops all that run.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum AccountMode {
    #[default]
    Active,
    Hold,
    StopAll,
}

/// List intervals in seconds.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Poll {
    /// While something is in progress.
    #[serde(default = "five")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 3600").message("poll.activeSeconds must be between 1 and 3600"))]
    pub active_seconds: i32,
    /// Otherwise.
    #[serde(default = "sixty")]
    #[x_kube(validation = Rule::new("self >= 1 && self <= 3600").message("poll.idleSeconds must be between 1 and 3600"))]
    pub idle_seconds: i32,
}

impl Default for Poll {
    fn default() -> Self {
        Self {
            active_seconds: five(),
            idle_seconds: sixty(),
        }
    }
}

const fn five() -> i32 {
    5
}

const fn sixty() -> i32 {
    60
}

/// What is known of the account.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CortecsAccountStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<InstanceCounts>,

    /// Instances that no resource claims: at most 50 of them, first those that are probably some resource's, each in order of
    /// their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub unmanaged: Vec<UnmanagedInstance>,

    /// The money on the account at the last look: once an hour, and every ten minutes while an instance runs or a budget has a `minBalance`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<Balance>,

    /// The cost per hour of the pending and running instances, in each currency: an estimate by the API's prices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["currency".to_owned()]))]
    pub price_per_hour: Vec<PricePerHour>,

    /// The cost of the resources that are gone: an estimate by the API's prices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["namespace".to_owned(), "modelId".to_owned(), "currency".to_owned()]))]
    pub spent: Vec<Spent>,

    /// The uids of resources whose cost is in `spent` already and that may still be there: none is added twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500), inner(length(max = 64)))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub settled: Vec<String>,

    /// When the list that this status shows was taken. It is not written again while nothing else changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_poll_time: Option<Timestamp>,

    /// The account holds itself: nothing is started with these credentials, and nothing counts as gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,

    /// The last value of `cortecs.ai/resume` that was acted on, or that was there before the account held itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_resume: Option<String>,

    /// When the account's last hold ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_hold_end_time: Option<Timestamp>,

    /// The work of `mode: StopAll`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_all: Option<StopAll>,

    /// The operator that manages the account and the instances that use it: any other leaves them alone, even if this one is gone.
    /// The annotation `cortecs.ai/operator` overrides it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<ManagedBy>,
}

/// Names an installed operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedBy {
    /// The namespace in which it runs.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its Lease there. Without one it runs without leader election.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub lease: Option<String>,
}

/// Why the account holds itself. It ends when what should run is back, or by a new value of `cortecs.ai/resume`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    pub reason: HoldReason,
    pub since: Timestamp,
    /// How many instances should have run.
    pub expected: i64,
    /// How many of those were gone or stopped.
    pub lost: i64,
    /// What is held: the instances of this client id.
    #[schemars(length(max = 2048))]
    pub api_url: String,
    #[schemars(length(max = 512))]
    pub client_id: String,
}

/// `MassChange`: at least three, and more than half, of the instances that should run were gone or stopped, and nobody here ordered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum HoldReason {
    MassChange,
}

/// Counts of the account's instances at the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceCounts {
    pub managed: i64,
    pub unmanaged: i64,
    pub running: i64,
    pub pending: i64,
    pub stopped: i64,
}
