//! The status of a `CortecsInstance`: the truth that it shows, and the [`Journal`] of the operator.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    identity::{AccountIdentity, InstanceArgs},
    journal::{Journal, Slot},
    money::EarlierModel,
    transition::NextTransition,
};

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

    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_status: Option<InstanceStatus>,

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

    /// The cost of the instance and of its earlier runs: an estimate from list prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,

    /// The next transition that the operator makes without anybody's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_transition: Option<NextTransition>,

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

    /// The records that only the operator needs. Nobody else should read or write them.
    #[serde(default, skip_serializing_if = "Journal::is_empty")]
    pub journal: Journal,
}

impl CortecsInstanceStatus {
    /// The record of the instance whose id and endpoint the status shows.
    pub fn slot(&self) -> &Slot {
        &self.journal.slots.current
    }

    /// See [`Self::slot`].
    pub fn slot_mut(&mut self) -> &mut Slot {
        &mut self.journal.slots.current
    }

    /// Whether nothing in it is owed to a start, a restart or a binding. Once one of these has begun that is never so
    /// again, unless someone else empties the status.
    pub fn records_nothing(&self) -> bool {
        let Self {
            instance_id,
            account,
            journal,
            // These follow from the rest, or are there before anything is started or bound.
            observed_generation: _,
            conditions: _,
            phase: _,
            base_url: _,
            instance_args: _,
            instance_status: _,
            worker_statuses: _,
            workers: _,
            progress: _,
            next_transition: _,
            cost: _,
            last_handled_restart_at: _,
            last_handled_request_at: _,
        } = self;
        instance_id.is_none() && account.is_none() && journal.records_nothing()
    }
}

/// The cost of the instance and of its earlier runs: an estimate from list prices. A run is billed from the moment at which the operator asks
/// for it, by the started minute or hour.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// The price of all workers for an hour; absent while nothing is billed or the price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub price_per_hour: Option<String>,
    /// An ISO 4217 code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3))]
    pub currency: Option<String>,
    /// The cost of the runs that have ended. The cost of the present run comes on top: `pricePerHour` since `since`, each started minute or hour
    /// in full.
    #[schemars(length(max = 32))]
    pub accrued: String,
    /// The moment since which the present run is billed; absent while nothing is billed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When the last of the runs ended that `accrued` counts; absent while it counts none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The API's id of the model that the present run, or the last one, is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub model_id: Option<String>,
    /// The parts of `accrued` that are of other models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["modelId".to_owned()]))]
    pub earlier: Vec<EarlierModel>,
    /// The account in which the last run was, as `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub account: Option<String>,
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            price_per_hour: None,
            currency: None,
            accrued: "0.00".to_owned(),
            since: None,
            until: None,
            model_id: None,
            earlier: Vec::new(),
            account: None,
        }
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
