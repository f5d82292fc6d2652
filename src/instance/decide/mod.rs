//! What to do next with one resource. Pure: no client, no runtime, no clock, no randomness in it or below it.
//!
//! A decision is one step (at most one side effect) with the status that it implies. Every place where the process may
//! crash lies between two decisions, and each decision is taken from what was persisted, what the account's last good
//! list says, and what this process remembers.
//!
//! | file | decides |
//! |---|---|
//! | `unbound` | whether an instance is started |
//! | `adopt` | whether an existing one is taken over instead |
//! | `pin` | with which arguments |
//! | `resolve` | what became of a start that was written ahead |
//! | `candidates` | which instances such a start may have made |
//! | `restart` | what became of a restart that was written ahead |
//! | `bound` | what the bound instance needs: stop, restart, replacement, nothing |
//! | `drift` | whether what others did to it is accepted, and whether a restart was asked for |
//! | `gate` | whether calls may be made, and whether something may be started |
//! | `hold` | what a call waits for: a failure, the account's bad times, its turn |
//! | `gone` | whether the bound instance is gone |
//! | `restored` | what an emptied status, or the annotation that outlived it, says |
//! | `seal` | whether the annotation is to be written |
//! | `rules` | nothing: it names the rules, so that tests can switch one off |
//! | `delete` | what a resource that is being deleted leaves behind |

mod adopt;
mod bound;
mod candidates;
mod delete;
mod draft;
mod drift;
mod gate;
mod gone;
mod hold;
mod input;
mod pin;
mod resolve;
mod restart;
mod restored;
mod rules;
mod seal;
mod unbound;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use uuid::Uuid;

use crate::{
    account::pressure::Rank,
    cortecs::types::{Instance, InstanceArgs},
    instance::moment::Moment,
    resources::instance_status::CortecsInstanceStatus,
};

use draft::Draft;
pub use draft::{Verdict, VerdictKind};
pub use drift::accepts_drift;
pub use input::{
    Account, AccountView, CatalogAnswer, CatalogProblem, Desired, FleetView, Input, Settings,
};
pub use rules::{Rule, Rules};

/// What to do now, and when to look again.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub step: Step,
    /// The status as it should be, or as the step's write makes it.
    pub status: CortecsInstanceStatus,
    /// A list that begins after this decision is needed.
    pub list: bool,
    /// Something is in progress: the account is listed at the active interval, and each list is looked at.
    pub busy: bool,
    /// A call is to be made, and waits for its turn.
    pub queue: Option<Rank>,
    /// Look again after this time even if nothing happens.
    pub look_again: Option<Duration>,
}

impl Decision {
    /// Whether nothing is called before something else happens: a turn would be wasted. Who awaits a list is about to call.
    pub fn declines_turn(&self) -> bool {
        let rests = matches!(self.step, Step::None | Step::WriteStatus(Purpose::Report));
        rests && self.queue.is_none() && !self.list
    }
}

/// At most one side effect.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Nothing to do.
    None,
    /// Put the finalizer on the resource.
    AddFinalizer,
    /// Take the finalizer off: nothing is left to be done at the API.
    RemoveFinalizer,
    /// Replace the status by the decision's, under the resource version that was decided on.
    WriteStatus(Purpose),
    /// Record the accepted instance by a patch that tests for the intent's id.
    RecordAccepted {
        intent: Uuid,
        instance: Arc<Instance>,
    },
    /// Read all resources by quorum.
    QuorumRead,
    /// Ask the catalog for a model.
    FetchModel {
        model_id: String,
    },
    /// The one call of a start intent.
    Start {
        intent: Uuid,
        args: InstanceArgs,
        /// Later than that it must not be sent.
        before: Moment,
    },
    /// The one call of a restart intent.
    Restart {
        intent: Uuid,
        instance_id: String,
        /// Later than that it must not be sent.
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
    /// Write the annotation that names the bound instance, under the resource version that was decided on.
    Seal {
        instance_id: String,
    },
}

impl Step {
    /// Whether the API is called.
    pub fn is_call(&self) -> bool {
        match self {
            Self::None
            | Self::AddFinalizer
            | Self::RemoveFinalizer
            | Self::WriteStatus(_)
            | Self::RecordAccepted { .. }
            | Self::QuorumRead
            | Self::Seal { .. } => false,
            Self::FetchModel { .. }
            | Self::Start { .. }
            | Self::Restart { .. }
            | Self::Stop { .. }
            | Self::Delete { .. }
            | Self::Get { .. } => true,
        }
    }

    /// Whether it takes a turn: it is a call, or what is written ahead of one.
    pub fn takes_turn(&self) -> bool {
        let ahead = matches!(
            self,
            Self::WriteStatus(Purpose::StartIntent(_) | Purpose::RestartIntent(_))
        );
        ahead || self.is_call()
    }
}

/// What a status write is for, beyond showing what is true.
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
    /// The bound instance is gone.
    Unbind,
    /// What someone else emptied is put back.
    Restore,
}

/// Decides on one resource.
pub fn decide(input: &Input<'_>) -> Decision {
    let draft = Draft::new(input);
    if input.memory.status_lost && draft.has_finalizer() {
        return draft.put_back();
    }
    if input.resource.metadata.deletion_timestamp.is_some() {
        delete::decide(draft)
    } else {
        live(draft)
    }
}

fn live(mut draft: Draft<'_>) -> Decision {
    if !draft.has_finalizer() && draft.holds(Rule::FinalizerFirst) {
        let verdict =
            Verdict::reconciling(draft.phase(), "Pending", "the finalizer is being added");
        return draft.act(Step::AddFinalizer, verdict);
    }
    draft.note_request();
    if draft.status.start.is_some() {
        return resolve::decide(draft);
    }
    if draft.status.instance_id.is_some() {
        return seal::first(draft.input, bound::decide(draft));
    }
    if restored::is_open(&draft) {
        return restored::decide(draft);
    }
    unbound::decide(draft)
}
