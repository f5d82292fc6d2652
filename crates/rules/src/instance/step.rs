//! A decision: at most one step, and the status that it implies.

use std::{sync::Arc, time::Duration};

use cortecs_api::types::{Instance, InstanceArgs};
use cortecs_clock::Moment;
use cortecs_resources::{instance_status::CortecsInstanceStatus, key::ObjectKey};
use uuid::Uuid;

use crate::{
    facts::{budget_wait::BudgetWait, held_up::HeldUp},
    pacing::pressure::Rank,
};

/// The step to take now, and when to decide again.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub step: Step,
    /// The status as it should be, or as the step's write makes it.
    pub status: CortecsInstanceStatus,
    /// A list that begins later than this moment is needed.
    pub list_after: Option<Moment>,
    /// Something is in progress: the account is listed at the active interval, and each list is looked at.
    pub busy: bool,
    /// A call is to be made, and waits for its turn.
    pub queue: Option<Rank>,
    /// The open start of another resource that holds up a start of this one.
    pub held_up: Option<HeldUp>,
    /// A start or restart waits for the account's budget.
    pub budget_wait: Option<BudgetWait>,
    /// Look again after this time even if nothing happens.
    pub look_again: Option<Duration>,
}

impl Decision {
    /// Whether no call is made before something else happens, so that a turn would be wasted. A resource that awaits a list
    /// is about to make a call.
    pub fn declines_turn(&self) -> bool {
        let rests = matches!(
            self.step,
            Step::Rest | Step::Write(Write::Status(Purpose::Report))
        );
        rests && self.queue.is_none() && self.list_after.is_none()
    }
}

/// At most one side effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing to do.
    Rest,
    /// One write to Kubernetes.
    Write(Write),
    /// One call to the Cortecs API.
    Call(ApiCall),
    /// Read all resources by quorum.
    QuorumRead,
}

/// A write to Kubernetes.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Put the finalizer on the resource.
    AddFinalizer,
    /// Take the finalizer off: nothing is left to be done at the API.
    RemoveFinalizer,
    /// Delete the resource, under the resource version that was decided on.
    DeleteResource,
    /// Replace the status by the decision's, under the resource version that was decided on.
    Status(Purpose),
    /// Record the accepted instance by a patch that tests for the intent's id.
    RecordAccepted {
        intent: Uuid,
        instance: Arc<Instance>,
    },
    /// Mark the open start of another resource as overtaken, by a patch that tests for that intent's id.
    Overtake { start_of: ObjectKey, intent: Uuid },
    /// Record with the open start of another resource that it cannot have made this instance, by a patch that tests for that
    /// intent's id. `digest` is that of the instance for that start.
    LetGo {
        start_of: ObjectKey,
        intent: Uuid,
        digest: String,
    },
    /// Write the annotation that names the bound instance, under the resource version that was decided on.
    Seal { instance_id: String },
}

/// A call to the Cortecs API.
#[derive(Clone, Debug, PartialEq)]
pub enum ApiCall {
    /// Ask the catalog for a model.
    FetchModel {
        model_id: String,
    },
    /// Ask the catalog on which hardware an instance can be started now.
    FetchCapacity,
    /// The one call of a start intent.
    Start {
        intent: Uuid,
        args: InstanceArgs,
        /// The call must not be sent later than this.
        before: Moment,
    },
    /// The one call of a restart intent.
    Restart {
        intent: Uuid,
        instance_id: String,
        /// The call must not be sent later than this.
        before: Moment,
    },
    Stop {
        instance_id: String,
    },
    Delete {
        instance_id: String,
    },
    Get {
        instance_id: String,
    },
}

impl Step {
    /// Whether the API is called.
    pub fn is_call(&self) -> bool {
        matches!(self, Self::Call(_))
    }

    /// Whether a process that only makes overdue stops may take it: nothing is started, bound or removed by it.
    pub fn only_stops(&self) -> bool {
        match self {
            Self::Rest | Self::QuorumRead => true,
            Self::Call(call) => matches!(call, ApiCall::Stop { .. } | ApiCall::Get { .. }),
            Self::Write(Write::Status(purpose)) => matches!(
                purpose,
                Purpose::Report | Purpose::DropRestart | Purpose::VoidRestart | Purpose::Unbind
            ),
            Self::Write(_) => false,
        }
    }

    /// Whether it takes a turn: it is a call, or what is written ahead of one.
    pub fn takes_turn(&self) -> bool {
        let is_intent = matches!(
            self,
            Self::Write(Write::Status(
                Purpose::StartIntent(_) | Purpose::RestartIntent(_)
            ))
        );
        is_intent || self.is_call()
    }
}

impl ApiCall {
    /// Whether the next step records its outcome. The catalog's answers are not recorded.
    pub fn is_recorded(&self) -> bool {
        !matches!(self, Self::FetchModel { .. } | Self::FetchCapacity)
    }
}

/// The purpose of a status write, beyond showing the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Only to show what is true.
    Report,
    /// A start is written ahead.
    StartIntent(Uuid),
    /// A restart is written ahead.
    RestartIntent(Uuid),
    /// A start intent is taken back: nothing happened at the API.
    DropStart,
    /// A restart intent is settled or taken back.
    DropRestart,
    /// An instance becomes the resource's own: the outcome of an open start, or an adoption.
    Bind { instance_id: String, resolved: bool },
    /// A person said that an open start has made none of the instances that were named.
    Dismiss,
    /// An open start is given up.
    VoidStart,
    /// An open restart is given up.
    VoidRestart,
    /// The bound instance is gone.
    Unbind,
    /// A status that someone else emptied is written back.
    Restore,
}
