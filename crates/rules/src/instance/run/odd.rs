//! The API says of the bound instance what this version does not know.

use std::time::Duration;

use cortecs_api::{
    fit,
    types::{Instance, InstanceState},
};
use cortecs_resources::{instance_status::Phase, reason::Reason};

use super::progress::waited;
use crate::{
    facts::bound::Bound,
    instance::{draft::Draft, step::Decision, verdict::Verdict},
};

/// The words for an instance that does not come up by itself any more. A state counts as broken if it has one of them: "start_failed".
const BROKEN: [&str; 10] = [
    "aborted", "broken", "crashed", "dead", "error", "errored", "failed", "failure", "faulted",
    "fault",
];

/// The longest word that a message has, in characters.
const MAX_WORD: usize = 64;

/// A state that this version does not know. An instance that is not stopped may be billed, so it counts as running for all that is
/// asked of it. Without an order it is waited for, unless it is broken.
pub(crate) fn odd(mut draft: Draft<'_>, state: &str) -> Decision {
    let word = fit(state, MAX_WORD);
    let says = format!("the API says that the instance is {word:?}");
    let remedy = "Change the spec or set cortecs.ai/restartedAt to have it started anew, or ask the provider";
    if is_broken(state) {
        let message = format!("{says}. {remedy}");
        let verdict = Verdict::stalled(Phase::Failed, Reason::UnknownState, message);
        return draft.rest(verdict, None);
    }
    let deadline = i64::from(draft.spec().progress_deadline_seconds);
    let waited = waited(&draft);
    let unknown = format!("{says}, which this version does not know");
    if waited >= deadline {
        let message = format!(
            "{unknown}, and it did not become usable within {deadline} s (spec.progressDeadlineSeconds). {remedy}"
        );
        let verdict = Verdict::stalled(Phase::Failed, Reason::UnknownState, message);
        return draft.rest(verdict, None);
    }
    draft.is_busy();
    let left = Duration::from_secs(u64::try_from(deadline - waited).unwrap_or_default());
    let verdict = Verdict::reconciling(draft.phase(), Reason::UnknownState, unknown);
    draft.rest(verdict, Some(left))
}

/// The verdict while the instance is being stopped. Where the API goes on saying what this version does not know, a person is told; the stop is
/// made again all the same.
pub(crate) fn in_vain(
    draft: &Draft<'_>,
    bound: &Bound,
    instance: Option<&Instance>,
    verdict: Verdict,
) -> Verdict {
    let Some(InstanceState::Unknown(state)) = instance.map(|i| &i.instance_status.status) else {
        return verdict;
    };
    let deadline = i64::from(draft.spec().progress_deadline_seconds);
    if bound.stops < 2 || !(is_broken(state) || waited(draft) >= deadline) {
        return verdict;
    }
    let word = fit(state, MAX_WORD);
    let message = format!(
        "{}, {} times by now, and the API goes on saying that it is {word:?}. Delete the resource, or ask the provider",
        verdict.message, bound.stops
    );
    Verdict::stalled(verdict.phase, Reason::UnknownState, message)
}

fn is_broken(state: &str) -> bool {
    let state = state.to_lowercase();
    let mut words = state.split(|c: char| !c.is_alphanumeric());
    words.any(|word| BROKEN.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_broken_if_one_of_its_words_says_so() {
        for state in [
            "failed",
            "FAILED",
            "start_failed",
            "error: out of memory",
            "Errored",
        ] {
            assert!(is_broken(state), "{state}");
        }
        for state in [
            "",
            "provisioning",
            "unfailed",
            "terrors",
            "stopping",
            "no_failover",
        ] {
            assert!(!is_broken(state), "{state}");
        }
    }
}
