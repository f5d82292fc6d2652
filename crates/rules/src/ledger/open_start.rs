//! A start of another resource that is open.

use cortecs_api::types::Instance;
use cortecs_resources::{instance_status::StartIntent, key::ObjectKey};

use crate::facts::args;

/// An open start of another resource.
#[derive(Clone, Copy, Debug)]
pub struct OpenStart<'a> {
    pub key: &'a ObjectKey,
    pub intent: &'a StartIntent,
    /// The call is being made by this process.
    pub in_flight: bool,
    /// Nobody knows what became of the call.
    pub unresolved: bool,
    /// The account in which it was made.
    pub client_id: &'a str,
    /// Why it is stalled, if it is.
    pub stalled: Option<&'a str>,
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

    /// Whether others have to wait until it is resolved. One that waits for a person holds up nobody; one whose account
    /// needs a person holds up only those who use the same.
    pub fn blocks(&self, client_id: &str) -> bool {
        let waits = match self.stalled {
            Some("StartUnresolved") => true,
            Some(_) => self.client_id != client_id,
            None => false,
        };
        self.unresolved && !waits
    }
}
