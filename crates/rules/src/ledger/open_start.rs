//! A start of another resource that is open.

use cortecs_api::types::Instance;
use cortecs_resources::{instance_status::StartIntent, key::ObjectKey, reason::Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::facts::args;

/// An open start of another resource.
#[derive(Clone, Copy, Debug)]
pub struct OpenStart<'a> {
    pub key: &'a ObjectKey,
    pub intent: &'a StartIntent,
    /// The call is being made by this process.
    pub in_flight: bool,
    /// The outcome of the call is not known.
    pub unresolved: bool,
    /// The account in which it was made.
    pub client_id: &'a str,
    /// Why its resource is stalled, if it is.
    pub stalled: Option<Stalled>,
}

/// Why the resource of an open start is stalled, as far as this matters to other starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stalled {
    /// A person has to say what became of the start.
    StartUnresolved,
    /// Another reason, which this version may not know.
    Otherwise,
}

impl Stalled {
    /// Why a stored condition `Stalled` is there.
    pub fn of(condition: &Condition) -> Self {
        match Reason::of(condition) {
            Some(Reason::StartUnresolved) => Self::StartUnresolved,
            Some(_) | None => Self::Otherwise,
        }
    }
}

impl OpenStart<'_> {
    /// Whether its instance could be one with these arguments.
    pub fn may_have_made(&self, instance: &Instance) -> bool {
        args::matches(&args::of_record(&self.intent.args), &instance.instance_args)
            && !self
                .intent
                .known_instance_ids
                .contains(&instance.instance_id)
    }

    /// Whether other starts have to wait until this one is resolved. A start that waits for a person blocks no other start; a
    /// start whose account needs a person blocks only the starts in the same account.
    pub fn blocks(&self, client_id: &str) -> bool {
        let waits = match self.stalled {
            Some(Stalled::StartUnresolved) => true,
            Some(Stalled::Otherwise) => self.client_id != client_id,
            None => false,
        };
        self.unresolved && !waits
    }
}
