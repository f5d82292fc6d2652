//! A call that was written ahead.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use cortecs_api::types::Instance;
use cortecs_clock::Moment;
use uuid::Uuid;

use super::{failure::Failure, lookup::Lookup, snapshot::Snapshot};

/// A call that was written ahead, and its outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// The intent's id.
    pub id: Uuid,
    /// When this process first saw the intent.
    pub first_seen: Moment,
    pub outcome: Outcome,
    /// This process wrote the intent, and did not find it.
    pub is_own: bool,
    /// The failure of the call whose outcome is unknown, with the API's message if there was one.
    pub said: Option<String>,
    /// Good lists that began after [`Attempt::settled_at`].
    pub settled_lists: u32,
    /// The gets of this start, by instance id: of candidates, since a list may show deleted instances for a while, and of instances of
    /// other resources, since a list may be incomplete.
    pub lookups: BTreeMap<String, Lookup>,
    /// Whether the annotation `cortecs.ai/resolve-start` has differed from the intent's `oldOrder` at some time since `oldOrder` was
    /// set. Then its value is an order about this start.
    pub ordered: bool,
    /// `oldOrder` of the intent, as last seen.
    pub(super) old_order: Option<String>,
    last_sequence: u64,
}

/// How far a call that was written ahead has come.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// This process wrote the intent and has not made the call.
    Written,
    /// The intent is being taken back. That may be recorded already, so the call must not be made any more.
    Dropped,
    /// The call is being made.
    InFlight,
    /// The API answered with this instance; that is not recorded yet.
    Accepted(Arc<Instance>),
    /// The call had no effect at the API.
    Refused(Failure),
    /// Something may have happened at the API. Only lists that were requested after this moment count.
    Unknown(Moment),
}

impl Attempt {
    /// When the call must have had its effect, and lists must show it: the settle time after the call has ended, or after this
    /// process has found an intent whose call may have been made before. When a call ended that had an answer is not remembered: it is made
    /// within a quarter of the settle time, and ends within another one.
    pub fn settled_at(&self, settle: Duration) -> Moment {
        match &self.outcome {
            Outcome::Unknown(_) => self.ended_at().after(settle),
            _ => self.first_seen.after(settle + settle / 2),
        }
    }

    /// When the call ended, or this process found the intent.
    pub fn ended_at(&self) -> Moment {
        let ended = match &self.outcome {
            Outcome::Unknown(since) => *since,
            _ => self.first_seen,
        };
        ended.max(self.first_seen)
    }

    /// An intent that this process has just written.
    pub fn written(id: Uuid, now: Moment) -> Self {
        Self {
            outcome: Outcome::Written,
            is_own: true,
            ..Self::found(id, now)
        }
    }

    /// An intent that this process finds: the process that wrote it may have made the call.
    fn found(id: Uuid, now: Moment) -> Self {
        Self {
            id,
            first_seen: now,
            outcome: Outcome::Unknown(now),
            is_own: false,
            said: None,
            settled_lists: 0,
            lookups: BTreeMap::new(),
            ordered: false,
            old_order: None,
            last_sequence: 0,
        }
    }
}

/// Takes note of the open intent, if there is one, and of the fleet's latest good list.
pub(super) fn observe_attempt(
    attempt: &mut Option<Attempt>,
    open: Option<Uuid>,
    snapshot: Option<&Snapshot>,
    settle: Duration,
    now: Moment,
) {
    let Some(id) = open else {
        *attempt = None;
        return;
    };
    if attempt.as_ref().is_none_or(|attempt| attempt.id != id) {
        *attempt = Some(Attempt::found(id, now));
    }
    if let Some(attempt) = attempt.as_mut()
        && attempt.outcome == Outcome::InFlight
    {
        // A resource has one reconcile at a time, so no reconcile waits for this call any more: the call was cut off.
        attempt.outcome = Outcome::Unknown(now);
    }
    if let (Some(attempt), Some(snapshot)) = (attempt.as_mut(), snapshot)
        && snapshot.sequence != attempt.last_sequence
    {
        attempt.last_sequence = snapshot.sequence;
        if snapshot.requested_at >= attempt.settled_at(settle) {
            attempt.settled_lists = attempt.settled_lists.saturating_add(1);
        }
    }
}
