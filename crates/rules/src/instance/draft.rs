//! A decision in the making: the status as it will be, and the ways to end it.

use std::time::Duration;

use cortecs_api::types::Instance;
use cortecs_clock::Moment;
use cortecs_resources::{
    INSTANCE_FINALIZER, annotations,
    identity::AccountIdentity,
    instance::{CortecsInstanceSpec, DesiredState},
    instance_status::{CortecsInstanceStatus, Phase},
    journal::RestartIntent,
    reason::Reason,
    transition::TransitionReason,
};
use kube::ResourceExt;
use uuid::Uuid;

use super::{
    cost,
    input::Input,
    limit, notes,
    protocol::Rule,
    status,
    step::{Decision, Purpose, Step, Write},
};
use crate::{
    facts::{
        self, args, bound::Bound, budget_wait::BudgetWait, failure::FailureKind, held_up::HeldUp,
        home::fleet_of, snapshot::Snapshot,
    },
    instance::verdict::{Verdict, VerdictKind},
    ledger::unlisted,
    pacing::pressure::Rank,
};

/// How long to wait at most before looking again while something is in progress. Lists and watches wake earlier.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How soon to look again at what is about to change without an event for the resource.
pub(crate) const SOON: Duration = Duration::from_secs(1);

/// How long to wait before looking again at a stalled resource: a person may mend its cause without an event for the resource.
const STALLED_PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Draft<'a> {
    pub input: &'a Input<'a>,
    pub status: CortecsInstanceStatus,
    list_after: Option<Moment>,
    busy: bool,
    queue: Option<Rank>,
    held_up: Option<HeldUp>,
    pub budget_wait: Option<BudgetWait>,
    look_again: Option<Duration>,
    /// A limit has ended the run: nothing is to run.
    pub ended: Option<TransitionReason>,
}

impl<'a> Draft<'a> {
    pub fn new(input: &'a Input<'a>) -> Self {
        Self {
            input,
            status: input.resource.status.clone().unwrap_or_default(),
            list_after: None,
            busy: false,
            queue: None,
            // Other waits do not begin this one anew.
            held_up: input.memory.held_up.clone(),
            budget_wait: input.memory.budget_wait.clone(),
            look_again: None,
            ended: None,
        }
    }

    pub fn spec(&self) -> &'a CortecsInstanceSpec {
        &self.input.resource.spec
    }

    /// Whether the instance is to run: as the spec says, unless a limit has ended the run.
    pub fn desired_state(&self) -> DesiredState {
        match self.ended {
            Some(_) => DesiredState::Stopped,
            None => self.spec().state,
        }
    }

    pub fn generation(&self) -> i64 {
        self.input.resource.metadata.generation.unwrap_or_default()
    }

    /// Whether the status speaks of the present spec.
    pub fn is_current(&self) -> bool {
        self.status.observed_generation == Some(self.generation())
    }

    /// Whether a rule of the protocol is enforced: always, except in tests of the model checker.
    pub fn enforces(&self, rule: Rule) -> bool {
        self.input.settings.rules.enforce(rule)
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

    /// Whether nothing may be started, as the finalizer is not there.
    pub fn lacks_finalizer(&self) -> bool {
        !self.has_finalizer() && self.enforces(Rule::FinalizerFirst)
    }

    /// Whether the resource is being deleted.
    pub fn is_deleting(&self) -> bool {
        self.input.resource.metadata.deletion_timestamp.is_some()
    }

    pub fn annotation(&self, name: &str) -> Option<&'a str> {
        annotations::value(self.input.resource, name)
    }

    pub fn snapshot(&self) -> Option<&'a Snapshot> {
        self.input.account.fleet.as_ref()?.snapshot.as_deref()
    }

    /// Whether the list of this account lacks an instance that the API finds.
    pub fn is_incomplete(&self, list: &Snapshot, account: &AccountIdentity) -> bool {
        let (input, fleet) = (self.input, fleet_of(account));
        let settle = input.settings.settle;
        unlisted::is_incomplete(input.book, &fleet, list, input.now, settle)
    }

    /// Why the fleet is on hold, if it is.
    pub fn held(&self) -> Option<&'a str> {
        self.input.account.fleet.as_ref()?.held.as_deref()
    }

    /// Why the account's last list failed, if it did.
    pub fn list_problem(&self) -> Option<&'a (FailureKind, String)> {
        self.input.account.fleet.as_ref()?.problem.as_ref()
    }

    /// The API's message when it began to fail or to ask for fewer calls, until a call works again.
    pub fn trouble(&self) -> Option<&'a str> {
        self.input.account.fleet.as_ref()?.trouble.as_deref()
    }

    /// Where the bound instance or the open start lives.
    pub fn home(&self) -> Option<&AccountIdentity> {
        self.status.account.as_ref()
    }

    /// The memory of the bound instance.
    pub fn bound(&self) -> Option<&'a Bound> {
        let id = self.status.instance_id.as_ref()?;
        self.input
            .memory
            .bound
            .as_ref()
            .filter(|bound| bound.id == *id)
    }

    /// The memory of the bound instance, and the instance as last seen, with the moment at which the request for it was
    /// sent. From here on the status shows that instance. `None` where nothing is remembered: see [`Self::not_noted`].
    pub fn last_seen(&mut self) -> Option<(&'a Bound, Option<(Moment, &'a Instance)>)> {
        let bound = self.bound()?;
        let latest = bound.latest(self.snapshot());
        if let Some((_, instance)) = latest {
            status::show_instance(&mut self.status, instance);
            self.status.cost = cost::seen(self.input, &self.status);
        }
        Some((bound, latest))
    }

    /// Nothing is remembered of the bound instance. The shell takes note of every binding before it asks for a decision, so
    /// the next decision knows more.
    pub fn not_noted(mut self) -> Decision {
        self.needs_list(self.input.now);
        self.unchanged(None)
    }

    /// The restart that was written ahead and whose outcome is not recorded.
    pub fn open_restart(&self) -> Option<&'a RestartIntent> {
        self.input.resource.status.as_ref()?.slot().restart.as_ref()
    }

    /// Takes note of `cortecs.ai/requestedAt`: a new value asks for a list, and is handled once a list that began later is there.
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
            self.needs_list(*noticed);
            self.busy = true;
        }
    }

    /// A start or a restart is about to be asked for.
    pub fn begins_to_run(&mut self) {
        if self.status.instance_id.is_none() {
            self.status.slot_mut().requested_args =
                Some(args::recorded(&args::stated(self.spec())));
        }
        self.status.slot_mut().last_start_time = Some(self.input.wall);
        self.status.slot_mut().reached_generation = None;
        self.status.slot_mut().run_end = None;
        self.held_up = None;
        self.budget_wait = None;
    }

    /// The status forgets the instance. An open start keeps its account.
    pub fn forget_instance(&mut self) {
        status::forget_instance(&mut self.status);
        self.has_run();
    }

    /// The status records that there was an instance: `lastStartTime` is kept or set. Without it, the status would look like one that
    /// someone else has emptied.
    pub fn has_run(&mut self) {
        let now = self.input.wall;
        self.status.slot_mut().last_start_time.get_or_insert(now);
    }

    /// The message while a list is awaited: why the last list failed, if it did.
    pub fn list_awaited(&self) -> String {
        match self.list_problem() {
            Some((_, message)) => self.trouble().unwrap_or(message).to_owned(),
            None => "the account's instances are being listed".to_owned(),
        }
    }

    /// Lists lack the instance while the account is on hold: the verdict, and the status takes note of it.
    pub fn missing_while_held(&mut self, id: &str) -> Verdict {
        let now = self.input.wall;
        self.status.slot_mut().missing_since.get_or_insert(now);
        let why = self.held().unwrap_or_default();
        let message =
            format!("the account's list lacks instance {id}, and that proves nothing: {why}");
        Verdict::stalled(Phase::Failed, Reason::AccountHeld, message)
    }

    /// A list that begins later than `after` is needed.
    pub fn needs_list(&mut self, after: Moment) {
        self.list_after = self.list_after.max(Some(after));
    }

    /// When the list was asked for that is decided on. A list that begins later is another one.
    pub fn listed_at(&self) -> Moment {
        self.snapshot().map(|s| s.requested_at).unwrap_or_default()
    }

    /// The account is listed at the active interval.
    pub fn is_busy(&mut self) {
        self.busy = true;
    }

    /// The resource waits for its turn to make a call.
    pub fn queues(&mut self, rank: Rank) {
        self.queue = Some(rank);
        self.busy = true;
    }

    /// The open start of another resource holds up a start of this one.
    pub fn is_held_up(&mut self, held_up: HeldUp) {
        self.held_up = Some(held_up);
    }

    /// Nothing to do but to show what is true, and to look again after `wait` if nothing happens before.
    pub fn rest(mut self, verdict: Verdict, wait: Option<Duration>) -> Decision {
        // These waits may be long, and need no lists at the active interval.
        let waits = [Reason::WaitingForCapacity, Reason::WaitingForBudget];
        if verdict.kind == VerdictKind::Reconciling && !waits.contains(&verdict.reason) {
            self.busy = true;
        }
        self.look_again = wait
            .or(self.busy.then_some(PATIENCE))
            .or((verdict.kind == VerdictKind::Stalled).then_some(STALLED_PATIENCE));
        self.render(&verdict);
        self.report()
    }

    /// The status is written if it says more than before.
    pub fn report(self) -> Decision {
        let step = match self.input.resource.status.as_ref() == Some(&self.status) {
            true => Step::Rest,
            false => Step::Write(Write::Status(Purpose::Report)),
        };
        self.finish(step)
    }

    /// Nothing new is known: the status stays as it is.
    pub fn unchanged(mut self, wait: Option<Duration>) -> Decision {
        self.status = self.input.resource.status.clone().unwrap_or_default();
        self.look_again = wait.or(self.list_after.map(|_| PATIENCE));
        self.finish(Step::Rest)
    }

    /// The status takes note of when the run ends, and of nothing else.
    pub fn note_transition(mut self) -> Decision {
        self.status.next_transition = limit::next_transition(self.input, &self.status, self.ended);
        self.report()
    }

    /// The status that this process knows is written as it is, where someone else emptied it.
    pub fn put_back(mut self) -> Decision {
        self.busy = true;
        self.finish(Step::Write(Write::Status(Purpose::Restore)))
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
        self.finish(Step::Write(Write::Status(purpose)))
    }

    pub fn uuid(&self) -> Uuid {
        self.input.uuid
    }

    fn render(&mut self, verdict: &Verdict) {
        let (spec, generation) = (self.spec(), self.generation());
        let mut verdict = verdict.clone();
        if self.is_deleting() {
            verdict.phase = Phase::Deleting;
        }
        if verdict.reason == Reason::RetryingAfterError
            && let Some(trouble) = self.trouble()
        {
            // All failures show the same message until the API works again: another message would be another write.
            verdict.message = trouble.to_owned();
        }
        facts::notes::append(&mut verdict.message, notes::of(self.input));
        status::render(
            &mut self.status,
            spec,
            generation,
            &verdict,
            self.input.wall,
        );
        self.status.next_transition = limit::next_transition(self.input, &self.status, self.ended);
        self.status.cost = cost::next(self.input, &self.status);
    }

    fn finish(self, step: Step) -> Decision {
        let next = self.status.next_transition.as_ref().map(|next| next.at);
        let left = next.map(|at| at.duration_since(self.input.wall));
        // What is overdue has its own pauses.
        let due = left.and_then(|left| Duration::try_from(left).ok());
        let due = due.filter(|due| !due.is_zero());
        Decision {
            step,
            status: self.status,
            list_after: self.list_after,
            busy: self.busy,
            queue: self.queue,
            held_up: self.held_up,
            budget_wait: self.budget_wait,
            look_again: self.look_again.into_iter().chain(due).min(),
        }
    }
}
