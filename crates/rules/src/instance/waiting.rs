//! Why a call or a change is not made now: the resource's own last failure, a pause of the account's calls, other calls, or a list that is too old.

use std::time::Duration;

use cortecs_clock::Moment;
use cortecs_resources::{instance_status::Phase, reason::Reason};

use super::{
    draft::{Draft, PATIENCE},
    step::{ApiCall, Decision, Step},
    verdict::Verdict,
};
use crate::{
    facts::{
        failure::{Failure, FailureKind},
        snapshot::Snapshot,
    },
    pacing::pressure::{Rank, Wait},
};

/// The reason why a call waits.
pub(crate) enum Delay {
    /// The end of a pause, of this resource or of all the account's calls: what to show, and how long it may take.
    Pause(Verdict, Option<Duration>),
    /// Its turn. The verdict is shown by a resource that does not show anything yet.
    Turn(Verdict, Rank),
}

impl<'a> Draft<'a> {
    /// The last list, if nothing is started from an older one.
    pub fn fresh_list(&self) -> Option<&'a Snapshot> {
        let since = self.input.now.before(self.input.settings.fresh());
        self.snapshot().filter(|list| list.requested_at >= since)
    }

    /// Waits for such a list.
    pub fn await_fresh_list(mut self) -> Decision {
        let fresh = self.input.settings.fresh();
        self.needs_list(self.input.now.before(fresh));
        let reason = match self.list_problem() {
            Some(_) => Reason::RetryingAfterError,
            None => Reason::Pending,
        };
        let verdict = Verdict::reconciling(self.idle_phase(), reason, self.list_awaited());
        self.rest(verdict, None)
    }

    /// Nothing to do before a list that begins later than `after` shows what became of a call. Where lists fail, the status
    /// says so.
    pub fn await_list(
        mut self,
        after: Moment,
        verdict: Verdict,
        wait: Option<Duration>,
    ) -> Decision {
        self.needs_list(after);
        let verdict = match self.list_problem() {
            Some((_, message)) => {
                Verdict::reconciling(verdict.phase, Reason::RetryingAfterError, message)
            }
            None => verdict,
        };
        self.rest(verdict, wait)
    }

    /// The phase of a resource that waits before something of it begins to run.
    pub fn idle_phase(&self) -> Phase {
        match self.status.instance_id {
            Some(_) => self.phase(),
            None => Phase::Pending,
        }
    }

    /// One call, unless it is delayed.
    pub fn call(mut self, call: ApiCall, verdict: Verdict) -> Decision {
        let Some(delay) = self.delay(&verdict) else {
            return self.act(Step::Call(call), verdict);
        };
        if let Some(failure) = &self.input.memory.failure
            && self.listed_at() <= failure.failed_at
        {
            self.needs_list(failure.failed_at);
        }
        self.wait_for(delay)
    }

    /// The reason why a call has to wait, if there is one. `verdict` is the verdict that the call would be shown with.
    pub fn delay(&self, verdict: &Verdict) -> Option<Delay> {
        let input = self.input;
        // What Kubernetes refuses is no failure of the API.
        let own = self.own_failure(|failure| failure.reason != Reason::WriteRefused);
        let left = own.map(|failure| failure.retry_at.since(input.now));
        let lasting = own.is_some_and(|failure| failure.kind != FailureKind::Transient);
        let wait = input.account.fleet.as_ref().and_then(|f| f.wait);
        match (own, wait) {
            (_, Some(Wait::Until(until))) if !lasting => {
                let wait = left.max(Some(until.since(input.now)));
                Some(Delay::Pause(self.retrying(verdict.phase), wait))
            }
            (Some(failure), _) => Some(Delay::Pause(
                Verdict::of_failure(failure, verdict.phase),
                left,
            )),
            (None, Some(_)) => Some(Delay::Turn(verdict.clone(), Rank::First)),
            (None, None) => None,
        }
    }

    /// The same for a call that makes something billed. After failures, such a call also waits for a good list: a start with an
    /// unknown outcome costs more than a list that fails.
    pub fn delay_start(&self, verdict: &Verdict) -> Option<Delay> {
        let refused = self.own_failure(|failure| failure.reason == Reason::WriteRefused);
        if let Some(failure) = refused {
            let left = failure.retry_at.since(self.input.now);
            let verdict = Verdict::of_failure(failure, verdict.phase);
            return Some(Delay::Pause(verdict, Some(left)));
        }
        let fails = self.list_problem().is_some() && self.trouble().is_some();
        let delay = self.delay(verdict).map(|delay| match delay {
            Delay::Turn(verdict, _) => Delay::Turn(verdict, Rank::Later),
            pause => pause,
        });
        delay.or_else(|| fails.then(|| Delay::Pause(self.retrying(verdict.phase), None)))
    }

    /// Waits until the call may be made.
    pub fn wait_for(mut self, delay: Delay) -> Decision {
        match delay {
            Delay::Pause(verdict, wait) => self.rest(verdict, wait),
            Delay::Turn(verdict, rank) => {
                self.queues(rank);
                if self.is_current() {
                    // The wait is short: the status stays as it is.
                    return self.unchanged(Some(PATIENCE));
                }
                self.rest(verdict, None)
            }
        }
    }

    /// One change that Kubernetes may refuse. After one that failed, the status says why, and it is tried again after a while.
    pub fn act_if_permitted(self, step: Step, verdict: Verdict) -> Decision {
        self.act_unless(step, verdict, |failure| {
            failure.kind == FailureKind::Transient
        })
    }

    /// The same for a change that does not wait for the API.
    pub fn act_unless_refused(self, step: Step, verdict: Verdict) -> Decision {
        self.act_unless(step, verdict, |failure| {
            failure.reason == Reason::WriteRefused
        })
    }

    fn act_unless(
        self,
        step: Step,
        verdict: Verdict,
        waits: impl Fn(&Failure) -> bool,
    ) -> Decision {
        let now = self.input.now;
        let failure = self.input.memory.backing_off(self.generation(), now);
        match failure.filter(|failure| waits(failure)) {
            Some(failure) => {
                let wait = failure.retry_at.since(now);
                self.rest(Verdict::of_failure(failure, verdict.phase), Some(wait))
            }
            None => self.act(step, verdict),
        }
    }

    fn own_failure(&self, counts: impl Fn(&Failure) -> bool) -> Option<&'a Failure> {
        let input = self.input;
        let failure = input.memory.backing_off(self.generation(), input.now);
        failure.filter(|failure| counts(failure))
    }

    fn retrying(&self, phase: Phase) -> Verdict {
        let message = self.trouble().unwrap_or("the API fails for the moment");
        Verdict::reconciling(phase, Reason::RetryingAfterError, message)
    }
}
