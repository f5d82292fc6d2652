//! A decision in the making: the status as it will be, and the ways to end it.

use std::time::Duration;

use kube::ResourceExt;
use uuid::Uuid;

use super::{Decision, Purpose, Rule, Step, input::Input};
use crate::{
    account::{open_start::OpenStart, pressure::Rank, snapshot::Snapshot},
    cortecs::types::Instance,
    instance::{
        args,
        memory::{Bound, Failure, FailureKind},
        status,
    },
    resources::{
        INSTANCE_FINALIZER, annotations,
        instance::CortecsInstanceSpec,
        instance_status::{AccountIdentity, CortecsInstanceStatus, Phase},
    },
};

/// How long to wait at most before looking again while something is in progress. Lists and watches wake earlier.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before looking again at what needs a person, and may be mended without waking the resource.
const STALLED_PATIENCE: Duration = Duration::from_secs(60);

/// The reason of what goes on by itself once a call works.
pub(super) const RETRYING: &str = "RetryingAfterError";

/// What is true of the resource, in the words of its conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub phase: Phase,
    pub kind: VerdictKind,
    pub reason: &'static str,
    pub message: String,
}

/// Which of the conditions `Ready`, `Reconciling` and `Stalled` are True.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerdictKind {
    /// `Ready`.
    Ready,
    /// `Reconciling`; not ready.
    Reconciling,
    /// `Stalled`; not ready.
    Stalled,
    /// None of them: not what the spec asks for, and left so on purpose.
    Resting,
}

impl Verdict {
    pub fn ready(phase: Phase, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(VerdictKind::Ready, phase, reason, message)
    }

    pub fn reconciling(phase: Phase, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(VerdictKind::Reconciling, phase, reason, message)
    }

    pub fn stalled(phase: Phase, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(VerdictKind::Stalled, phase, reason, message)
    }

    pub fn resting(phase: Phase, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(VerdictKind::Resting, phase, reason, message)
    }

    fn new(
        kind: VerdictKind,
        phase: Phase,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            phase,
            kind,
            reason,
            message: message.into(),
        }
    }

    pub(super) fn suspended(what: &str) -> Self {
        Self::resting(
            Phase::Pending,
            "Suspended",
            format!("the resource is suspended: {what}"),
        )
    }

    pub(super) fn pending(message: impl Into<String>) -> Self {
        Self::reconciling(Phase::Pending, "Pending", message)
    }

    pub(super) fn starting(message: impl Into<String>) -> Self {
        Self::reconciling(Phase::Starting, "Starting", message)
    }

    /// What a failed call means for the resource.
    pub(super) fn of_failure(failure: &Failure, phase: Phase) -> Self {
        match failure.kind {
            FailureKind::Transient => Self::reconciling(phase, failure.reason, &failure.message),
            FailureKind::Auth | FailureKind::Terminal => {
                Self::stalled(Phase::Failed, failure.reason, &failure.message)
            }
        }
    }
}

pub(super) struct Draft<'a> {
    pub input: &'a Input<'a>,
    pub status: CortecsInstanceStatus,
    list: bool,
    busy: bool,
    queue: Option<Rank>,
    look_again: Option<Duration>,
}

impl<'a> Draft<'a> {
    pub fn new(input: &'a Input<'a>) -> Self {
        Self {
            input,
            status: input.resource.status.clone().unwrap_or_default(),
            list: false,
            busy: false,
            queue: None,
            look_again: None,
        }
    }

    pub fn spec(&self) -> &'a CortecsInstanceSpec {
        &self.input.resource.spec
    }

    pub fn generation(&self) -> i64 {
        self.input.resource.metadata.generation.unwrap_or_default()
    }

    /// Whether a rule of the protocol holds: always, but in tests of the model checker.
    pub fn holds(&self, rule: Rule) -> bool {
        self.input.settings.rules.hold(rule)
    }

    /// Whether another open start must be settled before this resource goes on.
    pub fn is_held_up_by(&self, open: &OpenStart<'_>, client_id: &str) -> bool {
        open.blocks(client_id) || (open.unresolved && !self.holds(Rule::AskingHoldsUpNobody))
    }

    pub fn phase(&self) -> Phase {
        self.status.phase.unwrap_or(Phase::Pending)
    }

    pub fn has_finalizer(&self) -> bool {
        self.input
            .resource
            .finalizers()
            .iter()
            .any(|f| f == INSTANCE_FINALIZER)
    }

    pub fn annotation(&self, name: &str) -> Option<&'a str> {
        annotations::value(self.input.resource, name)
    }

    pub fn snapshot(&self) -> Option<&'a Snapshot> {
        self.input.account.fleet.as_ref()?.snapshot.as_deref()
    }

    /// Why the fleet is held, if it is.
    pub fn held(&self) -> Option<&'a str> {
        self.input.account.fleet.as_ref()?.held.as_deref()
    }

    /// Where the bound instance or the open start lives.
    pub fn home(&self) -> Option<&AccountIdentity> {
        self.status.account.as_ref()
    }

    /// What is remembered of the bound instance.
    pub fn bound(&self) -> Option<&'a Bound> {
        let id = self.status.instance_id.as_ref()?;
        self.input
            .memory
            .bound
            .as_ref()
            .filter(|bound| bound.id == *id)
    }

    /// Takes note of `cortecs.ai/requestedAt`: a new value asks for a list, and is handled once a list begun later is there.
    pub fn note_request(&mut self) {
        let Some((value, noticed)) = &self.input.memory.request else {
            return;
        };
        if self.status.last_handled_request_at.as_ref() == Some(value)
            || value.len() > annotations::MAX_VALUE_LENGTH
        {
            return;
        }
        let answered = self.snapshot().is_some_and(|s| s.requested_at >= *noticed);
        if answered || self.input.account.fleet.is_none() {
            self.status.last_handled_request_at = Some(value.clone());
        } else {
            self.list = true;
            self.busy = true;
        }
    }

    /// The status takes over what the API says of the instance.
    pub fn show(&mut self, instance: &Instance) {
        status::show_instance(&mut self.status, instance);
    }

    /// A start or a restart is about to be asked for.
    pub fn begins_to_run(&mut self) {
        if self.status.instance_id.is_none() {
            self.status.requested_args = Some((&args::stated(self.spec())).into());
        }
        self.status.last_start_time = Some(self.input.wall);
        self.status.reached_generation = None;
    }

    /// The status forgets the instance. An open start keeps its account. That there was one stays: a status that says nothing
    /// at all is one that somebody has emptied.
    pub fn forget_instance(&mut self) {
        status::forget_instance(&mut self.status);
        self.status.last_start_time.get_or_insert(self.input.wall);
    }

    /// What to say while a list is awaited: why the last one failed, if it did.
    pub fn list_awaited(&self) -> String {
        let fleet = self.input.account.fleet.as_ref();
        match fleet.and_then(|f| f.problem.as_ref()) {
            Some((_, message)) => self.trouble().unwrap_or(message).to_owned(),
            None => "the account's instances are being listed".to_owned(),
        }
    }

    /// Lists lack the instance while the account holds itself: the verdict, and the status takes note of it.
    pub fn missing_while_held(&mut self, id: &str) -> Verdict {
        let now = self.input.wall;
        self.status.missing_since.get_or_insert(now);
        let why = self.held().unwrap_or_default();
        let message =
            format!("the account's list lacks instance {id}, and that proves nothing: {why}");
        Verdict::stalled(Phase::Failed, "AccountHeld", message)
    }

    /// A list that begins from now on is needed.
    pub fn wants_list(&mut self) {
        self.list = true;
    }

    /// Poll the account at the active interval.
    pub fn is_busy(&mut self) {
        self.busy = true;
    }

    /// It waits for its turn to make a call.
    pub fn queues(&mut self, rank: Rank) {
        self.queue = Some(rank);
        self.busy = true;
    }

    /// Nothing to do but to show what is true, and to look again after `wait` if nothing happens before.
    pub fn rest(mut self, verdict: Verdict, wait: Option<Duration>) -> Decision {
        if verdict.kind == VerdictKind::Reconciling {
            self.busy = true;
        }
        self.look_again = wait
            .or(self.busy.then_some(PATIENCE))
            .or((verdict.kind == VerdictKind::Stalled).then_some(STALLED_PATIENCE));
        self.render(&verdict);
        let step = if self.input.resource.status.as_ref() == Some(&self.status) {
            Step::None
        } else {
            Step::WriteStatus(Purpose::Report)
        };
        self.finish(step)
    }

    /// Nothing to do before a list shows what became of a call. Where lists fail, that is what is told.
    pub fn await_list(mut self, verdict: Verdict, wait: Option<Duration>) -> Decision {
        self.list = true;
        let fleet = self.input.account.fleet.as_ref();
        let verdict = match fleet.and_then(|f| f.problem.as_ref()) {
            Some((_, message)) => Verdict::reconciling(verdict.phase, RETRYING, message),
            None => verdict,
        };
        self.rest(verdict, wait)
    }

    /// One call, unless it is held back.
    pub fn call(mut self, step: Step, verdict: Verdict) -> Decision {
        match self.hold(&verdict) {
            Some(hold) => {
                self.list |= self.is_newer_than_list(self.input.memory.failure.as_ref());
                self.wait_for(hold)
            }
            None => self.act(step, verdict),
        }
    }

    /// Whether no list was asked for since the failure.
    fn is_newer_than_list(&self, failure: Option<&Failure>) -> bool {
        let listed = self.snapshot().map(|s| s.requested_at);
        failure.is_some_and(|failure| listed < Some(failure.failed_at))
    }

    /// Nothing is known that is worth showing: the status stays as it is.
    pub fn unchanged(mut self, wait: Option<Duration>) -> Decision {
        self.status = self.input.resource.status.clone().unwrap_or_default();
        self.look_again = wait.or(self.list.then_some(PATIENCE));
        self.finish(Step::None)
    }

    /// The status that this process knows is written as it is, where someone else emptied it.
    pub fn put_back(mut self) -> Decision {
        self.busy = true;
        self.finish(Step::WriteStatus(Purpose::Restore))
    }

    /// One call, or one change of the resource's metadata. The status is shown by a later decision.
    pub fn act(mut self, step: Step, verdict: Verdict) -> Decision {
        self.busy = true;
        self.render(&verdict);
        self.finish(step)
    }

    /// One write of the status that records a decision.
    pub fn write(mut self, purpose: Purpose, verdict: Verdict) -> Decision {
        self.busy = true;
        self.render(&verdict);
        self.finish(Step::WriteStatus(purpose))
    }

    pub fn uuid(&self) -> Uuid {
        self.input.uuid
    }

    fn render(&mut self, verdict: &Verdict) {
        let (spec, generation) = (self.spec(), self.generation());
        let mut verdict = verdict.clone();
        if verdict.reason == RETRYING
            && let Some(trouble) = self.trouble()
        {
            // One message for all that fails meanwhile: each other one would be a write.
            verdict.message = trouble.to_owned();
        }
        status::render(
            &mut self.status,
            spec,
            generation,
            &verdict,
            self.input.wall,
        );
    }

    fn finish(self, step: Step) -> Decision {
        Decision {
            step,
            status: self.status,
            list: self.list,
            busy: self.busy,
            queue: self.queue,
            look_again: self.look_again,
        }
    }
}
