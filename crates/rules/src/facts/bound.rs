//! The memory of a bound instance.

use std::sync::Arc;

use cortecs_api::types::Instance;
use cortecs_clock::Moment;

use super::{lookup::Lookup, snapshot::Snapshot};

/// The memory of the bound instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    pub id: String,
    /// When this process first saw the id bound.
    pub first_seen: Moment,
    /// Consecutive good lists without it.
    pub absent_lists: u32,
    /// Since when gets find the instance although lists lack it.
    pub unlisted_since: Option<Moment>,
    /// A get of it failed with 400 or 404, after two lists lacked it.
    pub lookup_failed: bool,
    /// Gets in a row that failed with 400 or 404.
    pub lookup: Option<Lookup>,
    /// The latest answer that was about this instance alone, and when it was asked for.
    pub direct: Option<(Moment, Arc<Instance>)>,
    /// When the last stop or restart was answered: lists that began earlier do not show its effect.
    pub called: Option<Moment>,
    /// A stop was answered with 200, or refused with 400: a delete may follow.
    pub stop_answered: bool,
    /// The API took the last stop and does not say what came of it: a list tells.
    pub stop_accepted: bool,
    /// When the API last took a delete without saying what came of it, and how many of these there were in a row.
    pub delete_accepted: Option<(Moment, u32)>,
    /// The instance is proven to be stopped: the answer to the last stop, or to a get after it, says so, and no restart was made
    /// or open since. Lists do not prove it: a list that lags shows the instance as it was before a restart.
    pub stopped: bool,
    /// Stops in a row whose effect has not been seen, and refused deletes: for their backoff.
    pub stops: u32,
    pub refused_deletes: u32,
    /// This process has made a stop or a delete, whatever its outcome.
    pub removal_tried: bool,
    /// The API's message to the last stop that it refused.
    pub refusal: Option<String>,
    /// The API confirmed the delete.
    pub deleted: bool,
    last_sequence: u64,
}

impl Bound {
    /// A bound instance that was not seen before.
    pub fn new(id: String, now: Moment) -> Self {
        Self {
            id,
            first_seen: now,
            absent_lists: 0,
            unlisted_since: None,
            lookup_failed: false,
            lookup: None,
            direct: None,
            called: None,
            stop_answered: false,
            stop_accepted: false,
            delete_accepted: None,
            stopped: false,
            stops: 0,
            refused_deletes: 0,
            removal_tried: false,
            refusal: None,
            deleted: false,
            last_sequence: 0,
        }
    }

    fn observe(&mut self, snapshot: &Snapshot) {
        if snapshot.sequence == self.last_sequence {
            return;
        }
        self.last_sequence = snapshot.sequence;
        if snapshot.instances.contains_key(&self.id) {
            self.absent_lists = 0;
            self.unlisted_since = None;
            self.lookup_failed = false;
        } else if snapshot.requested_at >= self.first_seen {
            self.absent_lists = self.absent_lists.saturating_add(1);
        }
    }

    /// The instance as last seen, and when that was asked for: by the list, or by a later answer about it alone.
    pub fn latest<'a>(&'a self, snapshot: Option<&'a Snapshot>) -> Option<(Moment, &'a Instance)> {
        let listed = snapshot.and_then(|s| Some((s.requested_at, &**s.instances.get(&self.id)?)));
        let direct = self
            .direct
            .as_ref()
            .map(|(asked, instance)| (*asked, &**instance));
        match (direct, listed) {
            (Some(direct), Some(listed)) if direct.0 < listed.0 => Some(listed),
            (Some(direct), _) if self.absent_lists == 0 || self.unlisted_since.is_some() => {
                Some(direct)
            }
            (_, listed) => listed,
        }
    }
}

/// Takes note of the bound instance, if there is one, and of the fleet's latest good list.
pub(super) fn observe_bound(
    before: Option<Bound>,
    id: Option<&str>,
    snapshot: Option<&Snapshot>,
    now: Moment,
) -> Option<Bound> {
    let id = id?;
    let mut bound = before
        .filter(|bound| bound.id == id)
        .unwrap_or_else(|| Bound::new(id.to_owned(), now));
    if let Some(snapshot) = snapshot {
        bound.observe(snapshot);
    }
    Some(bound)
}
