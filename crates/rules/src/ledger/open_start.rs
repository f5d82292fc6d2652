//! A start of another resource that is open.

use cortecs_api::types::{Instance, InstanceArgs};
use cortecs_resources::{journal::StartIntent, key::ObjectKey};

use crate::facts::{
    args,
    attempt::{Attempt, Outcome},
    known::is_known_to,
    memory::Memory,
};

/// An open start of another resource.
#[derive(Clone, Copy, Debug)]
pub struct OpenStart<'a> {
    pub key: &'a ObjectKey,
    pub intent: &'a StartIntent,
    pub progress: Progress,
    /// What this process remembers of it; `None` if it has not looked at it yet.
    pub attempt: Option<&'a Attempt>,
    /// The account in which it was made.
    pub client_id: &'a str,
}

/// How far the call of an open start has come, as far as this matters to other starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// This process made no call, or a call that had no effect.
    NotCalled,
    /// The call is being made by this process.
    InFlight,
    /// The API has answered with an instance, which the start's resource claims.
    Accepted,
    /// The outcome of the call is not known.
    Unknown,
}

impl Progress {
    /// The progress of the start that is open by the status; a start that was not observed yet may have been carried out.
    pub fn of(memory: &Memory) -> Self {
        match memory.start.as_ref().map(|attempt| &attempt.outcome) {
            // The watch was faster than the answer to the write.
            None if memory.writing_start.is_some() => Self::NotCalled,
            None | Some(Outcome::Unknown(_)) => Self::Unknown,
            Some(Outcome::Written | Outcome::Dropped | Outcome::Refused(_)) => Self::NotCalled,
            Some(Outcome::InFlight) => Self::InFlight,
            Some(Outcome::Accepted(_)) => Self::Accepted,
        }
    }
}

impl OpenStart<'_> {
    /// Whether the instance could be of this start: it did not exist before, and its arguments agree as far as the answer and the catalog
    /// tell.
    pub fn may_have_made(&self, instance: &Instance) -> bool {
        let wanted = args::of_record(&self.intent.args);
        let agrees = args::may_be(&wanted, self.intent.any_model, &instance.instance_args);
        agrees && !is_known_to(self.intent, &instance.instance_id)
    }

    /// Whether the start asks for exactly these arguments. The instances of equal starts are interchangeable.
    pub fn is_equal(&self, wanted: &InstanceArgs) -> bool {
        args::matches(&args::of_record(&self.intent.args), wanted)
    }

    /// Whether no start with `wanted` through `client_id` may be made as long as this one is open.
    ///
    /// `any_model`: it is not known under which id the API shows the model of that start.
    ///
    /// `mine`: the intent of that start, once it is written. Of two starts that have made no call, the older one goes on.
    ///
    /// Only equal starts of one client id may be under way together: the lists of another client id need not show the same instances.
    pub fn holds_up(
        &self,
        wanted: &InstanceArgs,
        any_model: bool,
        client_id: &str,
        mine: Option<&StartIntent>,
    ) -> bool {
        let looks_alike = args::may_look_alike(&args::of_record(&self.intent.args), wanted);
        if self.intent.overtaken || !(looks_alike || any_model || self.intent.any_model) {
            return false;
        }
        match self.progress {
            Progress::Unknown => true,
            _ if self.is_equal(wanted) && self.client_id == client_id => false,
            Progress::NotCalled => mine.is_none_or(|mine| is_older(self.intent, mine)),
            Progress::InFlight | Progress::Accepted => true,
        }
    }
}

/// Whether intent `a` was written before `b`.
pub fn is_older(a: &StartIntent, b: &StartIntent) -> bool {
    (a.requested_at, a.id) < (b.requested_at, b.id)
}
