//! The status of a `CortecsInstance`: what is true, and the write-ahead records of the start protocol.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Most instances that an intent can hold as known. A start that would need more is refused: it could not be recognised.
pub const MAX_KNOWN_INSTANCES: usize = 512;
/// Most instances that a person is asked about at once.
pub const MAX_CANDIDATE_IDS: usize = 8;

/// How many voided starts are remembered, and for how long (hours).
pub const MAX_VOIDED_STARTS: usize = 3;
pub const VOIDED_START_HOURS: i64 = 24;

/// What is known of the instance, as last seen.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CortecsInstanceStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,

    /// When the last start or restart was asked for: `progressDeadlineSeconds` counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_start_time: Option<Timestamp>,

    /// The generation of the spec whose state was last reached, until something is started again. With `driftPolicy: Accept` it
    /// tells what others stopped from what was never up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached_generation: Option<i64>,

    /// One word for people. Programs read the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// The bound instance at the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub instance_id: Option<String>,

    /// The OpenAI-compatible endpoint, once the first worker runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub base_url: Option<String>,

    /// The arguments in force: as the API states them, or the pinned ones of a start under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_args: Option<InstanceArgs>,

    /// The spec's arguments as they were when the bound instance was started or taken over. Only a change from these, and not an
    /// answer of the API that differs, is a reason to replace the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_args: Option<InstanceArgs>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_status: Option<InstanceStatus>,

    /// Since when lists lack the instance while the account holds itself, which proves nothing. What is shown of it is older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<Timestamp>,

    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub worker_statuses: Vec<WorkerStatus>,

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<Workers>,

    /// How far the most advanced worker has come, such as `3/5`: the first one that is ready makes the instance usable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub progress: Option<String>,

    /// Write-ahead record of a start whose outcome is not recorded yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartIntent>,

    /// Write-ahead record of a restart whose outcome is not recorded yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartIntent>,

    /// The last starts that were given up. An instance of theirs that turns up later is listed as unmanaged by its account,
    /// with the name of this resource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub voided_starts: Vec<VoidedStart>,

    /// Where the bound instance, or the open start, lives. It is looked for and acted on only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountIdentity>,

    /// The last value of `cortecs.ai/restartedAt` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_restart_at: Option<String>,

    /// The last value of `cortecs.ai/requestedAt` that was acted on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_request_at: Option<String>,
}

impl CortecsInstanceStatus {
    /// Whether nothing in it is owed to a start, a restart or a binding. Once one of these has begun that is never so
    /// again, unless someone else empties the status.
    pub fn records_nothing(&self) -> bool {
        let Self {
            instance_id,
            start,
            restart,
            account,
            voided_starts,
            last_start_time,
            // These follow from the rest, or are there before anything is started or bound.
            observed_generation: _,
            conditions: _,
            reached_generation: _,
            phase: _,
            base_url: _,
            instance_args: _,
            requested_args: _,
            instance_status: _,
            missing_since: _,
            worker_statuses: _,
            workers: _,
            progress: _,
            last_handled_restart_at: _,
            last_handled_request_at: _,
        } = self;
        instance_id.is_none()
            && start.is_none()
            && restart.is_none()
            && account.is_none()
            && voided_starts.is_empty()
            && last_start_time.is_none()
    }
}

/// One word for people.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Phase {
    Pending,
    Starting,
    Running,
    Stopping,
    Stopped,
    Replacing,
    Deleting,
    Failed,
}

impl Phase {
    /// Every phase, for bounded metric labels.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Starting,
        Self::Running,
        Self::Stopping,
        Self::Stopped,
        Self::Replacing,
        Self::Deleting,
        Self::Failed,
    ];

    /// The word, as in the status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
            Self::Replacing => "Replacing",
            Self::Deleting => "Deleting",
            Self::Failed => "Failed",
        }
    }
}

/// The arguments of an instance. What an answer of the API leaves out is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceArgs {
    #[schemars(length(max = 256))]
    pub model_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub hardware_type_id: Option<String>,
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_length: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub billing_interval: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_workers: Option<i64>,
}

/// State and times of the instance, in the API's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// `pending`, `running` or `stopped`.
    #[schemars(length(max = 64))]
    pub status: String,
    /// RFC 3339, as the API sent it; absent while the instance is being initialised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub started_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub stopped_at: Option<String>,
}

/// One worker of the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkerStatus {
    /// Absent when the worker is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init_progress: Option<InitProgress>,
}

/// How far a worker's initialisation has come; it runs when both numbers are equal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InitProgress {
    pub current_step: i64,
    pub num_steps: i64,
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub description: String,
}

/// Counts of workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workers {
    pub desired: i32,
    pub running: i32,
}

/// A start that was decided: written before the call is made, so that a lost answer can be told from an instance never asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartIntent {
    pub id: Uuid,
    pub requested_at: Timestamp,
    /// Every default resolved, so that the instance can be recognised.
    pub args: InstanceArgs,
    /// The instances that no resource claimed and that were there before, so that this start cannot have created them, and those that a resource
    /// has let go since. Of each the first 12 hexadecimal digits of SHA-256 over the bytes of `id` and the instance's id.
    #[serde(default)]
    #[schemars(length(max = 512), inner(length(max = 12)))]
    pub known_instances: Vec<String>,
    /// The catalog did not say under which id the API shows the model. Then an instance of any model may be of this start.
    #[serde(default, skip_serializing_if = "is_false")]
    pub any_model: bool,
    /// The instances that a person is asked about: which of them has this start created, if any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(max = 256)))]
    pub candidate_ids: Vec<String>,
    /// Another start, whose instance may look the same, was made while this one did not come to an end. From then on a person has to
    /// say what this start has made.
    #[serde(default, skip_serializing_if = "is_false")]
    pub overtaken: bool,
    /// What `cortecs.ai/resolve-start` said before: an old order, not one about this start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub old_order: Option<String>,
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// A restart that was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartIntent {
    pub id: Uuid,
    pub requested_at: Timestamp,
}

/// A start that was given up because nothing of it appeared within the settle time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VoidedStart {
    pub id: Uuid,
    pub requested_at: Timestamp,
    pub voided_at: Timestamp,
    pub args: InstanceArgs,
    /// Where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountIdentity>,
    /// Equal instances that no resource claimed when it was given up: not of this start. Digests as in an intent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512), inner(length(max = 12)))]
    pub known_instances: Vec<String>,
}

/// The account in which an instance lives, as the API knows it.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub struct AccountIdentity {
    #[schemars(length(max = 63))]
    pub namespace: String,
    #[schemars(length(max = 253))]
    pub name: String,
    #[schemars(length(max = 2048))]
    pub api_url: String,
    #[schemars(length(max = 512))]
    pub client_id: String,
}
