//! The part of a status that only the operator needs: the write-ahead records of the start protocol, and what it has to remember
//! of an instance over a restart.
//!
//! Stored objects have this shape: a change of it must read what was stored before (`tests/e2e/upgrade`).

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    identity::{AccountIdentity, InstanceArgs},
    transition::TransitionReason,
};

/// Most instances that an intent can hold as known. A start that would need more is refused: it could not be recognised.
pub const MAX_KNOWN_INSTANCES: usize = 512;
/// Most instances that a person is asked about at once.
pub const MAX_CANDIDATE_IDS: usize = 8;

/// How many voided starts are remembered, and for how long (hours).
pub const MAX_VOIDED_STARTS: usize = 3;
pub const VOIDED_START_HOURS: i64 = 24;

/// The records that only the operator needs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Journal {
    /// A record for each instance of the resource, by its role.
    #[serde(default, skip_serializing_if = "Slots::is_empty")]
    #[schemars(with = "BTreeMap<String, Slot>", extend("maxProperties" = 4))]
    pub slots: Slots,

    /// The last starts that were given up. An instance of theirs that turns up later is listed as unmanaged by its account,
    /// with the name of this resource.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub voided_starts: Vec<VoidedStart>,
}

impl Journal {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether nothing in it is owed to a start, a restart or a binding.
    pub fn records_nothing(&self) -> bool {
        let Self {
            slots,
            voided_starts,
        } = self;
        let Slots { current, others } = slots;
        current.records_nothing() && others.is_empty() && voided_starts.is_empty()
    }
}

/// The records of a resource's instances. In the definition this is a map, so that a definition that knows fewer roles than the
/// operator does not drop a record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slots {
    /// The instance whose id and endpoint the status shows.
    #[serde(default, skip_serializing_if = "Slot::is_empty")]
    pub current: Slot,
    /// Roles that this version of the operator does not know. They are kept as they are, whatever they have.
    #[serde(flatten)]
    pub others: BTreeMap<String, serde_json::Value>,
}

impl Slots {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The record of one instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Write-ahead record of a start whose outcome is not recorded yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartIntent>,

    /// Write-ahead record of a restart whose outcome is not recorded yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartIntent>,

    /// The spec's arguments as they were when the bound instance was started or taken over. Only a change from these, and not an
    /// answer of the API that differs, is a reason to replace the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_args: Option<InstanceArgs>,

    /// When the last start or restart was asked for: `progressDeadlineSeconds` counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_start_time: Option<Timestamp>,

    /// The generation of the spec whose state was last reached, until something is started again. With `driftPolicy: Accept` it
    /// tells what others stopped from what was never up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached_generation: Option<i64>,

    /// The end of the last run, if a limit has ended it. It is recorded before the stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_end: Option<RunEnd>,

    /// Since when lists lack the instance while the account holds itself, which proves nothing. What is shown of it is older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_since: Option<Timestamp>,
}

impl Slot {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether nothing in it is owed to a start, a restart or a binding. Once one of these has begun that is never so again.
    fn records_nothing(&self) -> bool {
        let Self {
            start,
            restart,
            last_start_time,
            // These follow from the rest.
            requested_args: _,
            reached_generation: _,
            run_end: _,
            missing_since: _,
        } = self;
        start.is_none() && restart.is_none() && last_start_time.is_none()
    }
}

/// The end of a run. It holds for this generation of the spec, until a restart is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunEnd {
    pub reason: TransitionReason,
    /// When the stop was due.
    pub at: Timestamp,
    pub generation: i64,
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
    /// The list that the start was decided on lacked an instance that the API finds. So it may have lacked instances that are not this start's,
    /// and a lost answer is a person's question.
    #[serde(default, skip_serializing_if = "is_false")]
    pub incomplete_list: bool,
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
    /// See [`StartIntent::any_model`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub any_model: bool,
    /// Where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountIdentity>,
    /// Equal instances that no resource claimed when it was given up: not of this start. Digests as in an intent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 512), inner(length(max = 12)))]
    pub known_instances: Vec<String>,
}

impl VoidedStart {
    /// Whether it was given up less than [`VOIDED_START_HOURS`] ago: what it has made may still appear.
    pub fn is_recent(&self, wall: Timestamp) -> bool {
        wall.duration_since(self.voided_at).as_hours() < VOIDED_START_HOURS
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A later version of the operator may have written it, and this one must not lose a start that is open there.
    #[test]
    fn a_slot_that_is_not_known_is_kept_as_it_is() {
        let stored = json!({ "slots": {
            "current": { "reachedGeneration": 1 },
            "next": { "instanceId": "i-1", "start": "in another form" },
        } });
        let journal: Journal = serde_json::from_value(stored.clone()).unwrap();
        assert!(!journal.records_nothing() && !journal.is_empty());
        assert_eq!(serde_json::to_value(&journal).unwrap(), stored);
        let empty = serde_json::from_value::<Journal>(json!({})).unwrap();
        assert!(empty.records_nothing() && empty.is_empty());
    }
}
