//! The content of a good list of instances.

use std::{collections::BTreeMap, sync::Arc};

use cortecs_api::types::Instance;
use cortecs_clock::Moment;

/// The last good answer to the list call of one fleet: complete, parsed, in order of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Counts this fleet's good lists, from 1.
    pub sequence: u64,
    /// When the request was about to be sent. The list shows all changes from before, unless the API's list lags.
    pub requested_at: Moment,
    pub received_at: Moment,
    /// By instance id.
    pub instances: BTreeMap<String, Arc<Instance>>,
}
