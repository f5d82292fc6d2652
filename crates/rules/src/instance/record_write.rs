//! The record of writes to Kubernetes in memory. Pure, like `record`.

use std::time::Duration;

use cortecs_clock::{Backoff, Moment};
use cortecs_resources::reason::Reason;

use super::step::Purpose;
use crate::facts::{
    attempt::Attempt,
    failure::{Failure, FailureKind},
    memory::{Memory, SealFailure},
};

/// How soon after a failure the id is sealed.
const SEAL_RETRY: Duration = Duration::from_secs(60);
/// The longest time until it is tried again.
const LONGEST_SEAL_RETRY: Duration = Duration::from_secs(60 * 60);

/// A status write has landed. `generation` is that of the spec.
pub fn wrote(memory: &mut Memory, purpose: &Purpose, now: Moment, generation: i64) {
    not_written(memory);
    match purpose {
        Purpose::StartIntent(id) => memory.start = Some(Attempt::written(*id, now)),
        Purpose::RestartIntent(id) => memory.restart = Some(Attempt::written(*id, now)),
        Purpose::Dismiss
        | Purpose::Report
        | Purpose::DropStart
        | Purpose::DropRestart
        | Purpose::Unbind
        | Purpose::Restore => {}
        Purpose::Bind { .. } => memory.fruitless = 0,
        Purpose::VoidStart => {
            let said = memory.start.as_ref().and_then(|start| start.said.clone());
            note_fruitless(memory, said, now, generation);
        }
        Purpose::VoidRestart => {
            let said = memory
                .restart
                .as_ref()
                .and_then(|restart| restart.said.clone());
            note_fruitless(memory, said, now, generation);
        }
    }
}

/// No intent is being written: Kubernetes has taken the write of the status, or has not.
pub fn not_written(memory: &mut Memory) {
    memory.writing_start = None;
    memory.writing_restart = false;
}

/// A write to Kubernetes that failed.
#[derive(Clone, Debug)]
pub struct NotTaken {
    /// Kubernetes refuses it, and will again.
    pub is_refused: bool,
    pub message: String,
    /// The generation of the spec.
    pub generation: i64,
}

/// A write to Kubernetes that the resource needs next has failed: it is tried again after a while, longer each time. `random` is a
/// fraction of [0, 1).
pub fn not_taken(memory: &mut Memory, not_taken: NotTaken, now: Moment, random: f64) {
    let NotTaken {
        is_refused,
        message,
        generation,
    } = not_taken;
    let before = memory.failure.as_ref().map(|failure| failure.count);
    let mut backoff = Backoff::after(before.unwrap_or_default());
    let wait = backoff.next(random, None);
    memory.failure = Some(Failure {
        kind: FailureKind::Transient,
        reason: match is_refused {
            true => Reason::WriteRefused,
            false => Reason::RetryingAfterError,
        },
        message,
        generation,
        failed_at: now,
        retry_at: now.after(wait),
        count: backoff.failures(),
    });
}

/// Kubernetes did not take the sealed id. Nothing depends on it at once, so it is tried again after twice the time each time.
pub fn seal_failed(memory: &mut Memory, message: String, now: Moment) {
    let count = memory.seal_failure.as_ref().map_or(0, |f| f.count);
    let pause = SEAL_RETRY * (1 << count.min(6));
    memory.seal_failure = Some(SealFailure {
        message,
        count: count.saturating_add(1),
        retry_at: now.after(pause.min(LONGEST_SEAL_RETRY)),
    });
}

/// Nothing came of a start or restart that was given up. If the API said why, the next one waits, longer each time, and
/// after a few of them the resource says that a person must act.
fn note_fruitless(memory: &mut Memory, said: Option<String>, now: Moment, generation: i64) {
    let Some(said) = said else { return };
    memory.fruitless = memory.fruitless.saturating_add(1);
    let pause = FRUITLESS_PAUSE * (1 << (memory.fruitless - 1).min(6));
    let (kind, reason) = match memory.fruitless {
        ENOUGH_FRUITLESS.. => (FailureKind::Terminal, Reason::CallRefused),
        _ => (FailureKind::Transient, Reason::RetryingAfterError),
    };
    memory.failure = Some(Failure {
        kind,
        reason,
        message: format!(
            "{said}; nothing came of it, {} times in a row",
            memory.fruitless
        ),
        generation,
        failed_at: now,
        retry_at: now.after(pause.min(MOST_FRUITLESS_PAUSE)),
        count: memory.fruitless,
    });
}

/// The pause after the first start or restart of which nothing came, and the longest one.
const FRUITLESS_PAUSE: Duration = Duration::from_secs(5);
const MOST_FRUITLESS_PAUSE: Duration = Duration::from_secs(300);
/// So many of them in a row are not a passing failure any more.
const ENOUGH_FRUITLESS: u32 = 3;
