//! The bound instance is coming up, or runs.

use std::time::Duration;

use cortecs_api::types::{Instance, InstanceState};
use cortecs_resources::{instance_status::Phase, reason::Reason};

use super::{odd::odd, progress::waited};
use crate::{
    facts::args,
    instance::{draft::Draft, status, step::Decision, verdict::Verdict},
};

/// The instance is coming up, or runs.
pub(crate) fn run(mut draft: Draft<'_>, instance: &Instance) -> Decision {
    if let InstanceState::Unknown(word) = &instance.instance_status.status {
        return odd(draft, word);
    }
    if !status::all_workers_run(&draft.status) {
        draft.is_busy();
    }
    if let Some(verdict) = unlisted(&draft) {
        draft.is_busy();
        return draft.rest(verdict, None);
    }
    if status::is_usable(&draft.status) {
        let message = if is_outdated(&draft) && draft.spec().suspend {
            "the instance runs; changed arguments take effect when the resource is no longer suspended"
        } else if is_outdated(&draft) {
            "the instance runs; changed arguments take effect when it is next started (updateStrategy OnDelete)"
        } else {
            "the instance runs"
        };
        return draft.rest(
            Verdict::ready(Phase::Running, Reason::Running, message),
            None,
        );
    }
    let deadline = i64::from(draft.spec().progress_deadline_seconds);
    let waited = waited(&draft);
    if waited >= deadline {
        draft.is_busy();
        let message = format!(
            "the instance did not become usable within {deadline} s (spec.progressDeadlineSeconds); it is still being waited for"
        );
        return draft.rest(
            Verdict::stalled(Phase::Failed, Reason::ProgressDeadlineExceeded, message),
            None,
        );
    }
    let left = Duration::from_secs(u64::try_from(deadline - waited).unwrap_or_default());
    let message = doing(&draft);
    draft.rest(Verdict::starting(&message), Some(left))
}

/// Lists have lacked the instance for the settle time, and the API finds it.
fn unlisted(draft: &Draft<'_>) -> Option<Verdict> {
    let bound = draft.bound()?;
    let since = bound.unlisted_since?;
    let message = format!(
        "the account's list has lacked instance {} for a while, but the API finds it: ask the provider why; the instance is left as it is",
        bound.id
    );
    (draft.input.now >= since.after(draft.input.settings.settle))
        .then(|| Verdict::stalled(Phase::Running, Reason::ListIncomplete, message))
}

fn doing(draft: &Draft<'_>) -> String {
    draft
        .status
        .worker_statuses
        .iter()
        .filter_map(|w| w.init_progress.as_ref())
        .max_by_key(|p| p.current_step)
        .map_or_else(
            || "the instance is being provisioned".to_owned(),
            |p| {
                format!(
                    "step {} of {}: {}",
                    p.current_step, p.num_steps, p.description
                )
            },
        )
}

/// Whether what the spec asks for differs from what is in force.
pub(crate) fn is_outdated(draft: &Draft<'_>) -> bool {
    args::shows_outdated(draft.spec(), &draft.status)
}
