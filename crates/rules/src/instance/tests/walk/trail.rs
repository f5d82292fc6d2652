//! What a walk remembers of each resource, and what its decisions must not do in the light of that.

use cortecs_resources::{
    conditions::AVAILABLE,
    instance::{DriftPolicy, UpdateStrategyType},
};

use super::*;
use crate::{cost::run_limit::ended, facts::args};

/// How many lists may be asked for, one after the other, between two steps of a resource. Later another one may be needed,
/// since a start needs a list that is fresh.
const LISTS: u32 = 2;
const FRESH: u64 = SETTLE.as_secs() / 6;
/// The `progressDeadlineSeconds` of every resource.
pub(super) const DEADLINE: u64 = 60;

/// The past of one resource.
#[derive(Default)]
pub(super) struct Trail {
    /// The lists that decisions have asked for since the last step, or since the API or a person changed something.
    lists: u32,
    /// The last list that was asked for.
    list_after: Option<Moment>,
    /// When it was asked for.
    asked: u64,
    /// When the instance was last usable, or was asked to run.
    progressed: Option<u64>,
    /// Others stopped or deleted the instance, and the resource accepts that.
    accepted: bool,
    /// The status was emptied, so with answers that leave arguments out it is not known what its instance was started with.
    pub emptied: bool,
}

impl Walk {
    pub(super) fn trail(&mut self, key: &ObjectKey) -> &mut Trail {
        self.trails.entry(key.clone()).or_default()
    }

    /// A person or the API changes something, so that lists and steps are due again.
    pub(super) fn excuse_lists(&mut self) {
        for trail in self.trails.values_mut() {
            trail.lists = 0;
        }
    }

    /// A person gives an order, so that nothing is accepted any more.
    pub(super) fn ordered(&mut self, key: &ObjectKey) {
        self.trail(key).accepted = false;
        self.excuse_lists();
    }

    /// Others stop or delete this instance.
    pub(super) fn others_took(&mut self, id: &str) {
        let bound_to = |object: &&Arc<CortecsInstance>| {
            let status = object.status.as_ref();
            status.is_some_and(|s| s.instance_id.as_deref() == Some(id))
        };
        let Some(object) = self.server.objects.values().find(bound_to).cloned() else {
            return;
        };
        let status = Self::status(&object);
        let spec = &object.spec;
        let is_as_asked = self.api.get(id).is_some_and(|instance| {
            let as_asked = args::matches(&args::stated(spec), &instance.instance_args);
            as_asked || spec.update_strategy.kind == UpdateStrategyType::OnDelete
        });
        let handled = status.last_handled_restart_at.as_deref();
        let accepts = spec.drift_policy == DriftPolicy::Accept
            && spec.state == DesiredState::Running
            && object.metadata.deletion_timestamp.is_none()
            && status.slot().reached_generation == object.metadata.generation
            && status.slot().restart.is_none()
            && is_as_asked
            && !cortecs_resources::annotations::restart_is_asked_for(&*object, handled);
        if accepts {
            self.trail(&ObjectKey::of(&*object)).accepted = true;
        }
    }

    /// Judges a decision before it is carried out.
    pub(super) fn judge(&mut self, key: &ObjectKey, resource: &CortecsInstance, made: &Decision) {
        let now = self.now;
        let wrong = self
            .wrong_list(key, made)
            .or_else(|| self.wrong_step(key, resource, &made.step))
            .or_else(|| self.wrong_end(resource, made))
            .or_else(|| self.wrong_without_hardware(made))
            .or_else(|| self.wrong_while_held(resource, made))
            .or_else(|| self.wrong_before_accounts(resource, made))
            .or_else(|| self.wrong_deadline(key, made));
        if let Some(wrong) = wrong {
            panic!("{now} {key}: {wrong}: {made:?}\n{}", self.log.join("\n"));
        }
        let status = resource.status.as_ref();
        let usable = status.and_then(|s| find_condition(&s.conditions, AVAILABLE));
        let purpose = match &made.step {
            Step::Write(Write::Status(purpose)) => Some(purpose),
            _ => None,
        };
        let starts = matches!(purpose, Some(Purpose::StartIntent(_)));
        let begins = starts || matches!(purpose, Some(Purpose::RestartIntent(_)));
        let trail = self.trail(key);
        trail.emptied &= !starts;
        if begins || usable.is_some_and(|c| c.status == "True") {
            trail.progressed = Some(now);
        }
        if made.step != Step::Rest {
            trail.lists = 0;
        }
    }

    /// A list is asked for because of something new, and not again and again.
    fn wrong_list(&mut self, key: &ObjectKey, made: &Decision) -> Option<String> {
        let listed = self.process.snapshot.as_ref().map(|s| s.requested_at);
        let after = made
            .list_after
            .filter(|after| listed.is_none_or(|listed| listed <= *after));
        let now = self.now;
        let trail = self.trail(key);
        if after.is_some() && after != trail.list_after {
            let is_long_ago = now >= trail.asked + FRESH;
            trail.lists = if is_long_ago { 1 } else { trail.lists + 1 };
            trail.asked = now;
        }
        trail.list_after = after.or(trail.list_after);
        (trail.lists > LISTS).then(|| "it asks for lists without end".to_owned())
    }

    /// What others stopped or deleted stays so where that is accepted, and what runs as asked is neither stopped nor deleted.
    fn wrong_step(
        &self,
        key: &ObjectKey,
        resource: &CortecsInstance,
        step: &Step,
    ) -> Option<String> {
        let deleting = resource.metadata.deletion_timestamp.is_some();
        let accepted = self.trails.get(key).is_some_and(|trail| trail.accepted);
        let call = match step {
            Step::Call(call) => call,
            Step::Write(Write::Status(Purpose::StartIntent(_) | Purpose::RestartIntent(_)))
                if accepted =>
            {
                return Some("it brings back what others took, which is accepted".to_owned());
            }
            _ => return None,
        };
        let (ApiCall::Stop { instance_id } | ApiCall::Delete { instance_id }) = call else {
            return None;
        };
        if deleting {
            return None;
        }
        if accepted {
            return Some("it removes what others stopped, which is accepted".to_owned());
        }
        let spec = &resource.spec;
        let is_stop = matches!(call, ApiCall::Stop { .. });
        let instance = self.api.get(instance_id)?;
        let as_asked = args::matches(&args::stated(spec), &instance.instance_args);
        let running = spec.state == DesiredState::Running;
        let strategy = spec.update_strategy.kind;
        match is_stop {
            _ if ended(resource).is_some() => None,
            true if running && as_asked && !self.restarts(resource) => {
                Some("it stops what runs as asked".to_owned())
            }
            true if running
                && strategy == UpdateStrategyType::OnDelete
                && !self.restarts(resource) =>
            {
                Some("it stops what is to be replaced only when it is stopped".to_owned())
            }
            false if !running => Some("it deletes what is to be stopped".to_owned()),
            false if as_asked => Some("it deletes what is as asked".to_owned()),
            _ => None,
        }
    }

    /// Whether a person has asked for a restart.
    fn restarts(&self, resource: &CortecsInstance) -> bool {
        let status = resource.status.as_ref();
        let handled = status.and_then(|s| s.last_handled_restart_at.as_deref());
        cortecs_resources::annotations::restart_is_asked_for(resource, handled)
    }

    /// A resource goes by itself only when its time has come, and with nothing open. Nothing begins to run after its `expireTime`.
    fn wrong_end(&self, resource: &CortecsInstance, made: &Decision) -> Option<String> {
        let now = i64::try_from(self.now).unwrap();
        let spec = &resource.spec;
        let expires = spec
            .expire_time
            .as_ref()
            .map(|at| at.timestamp().unwrap().as_second());
        let slot = resource.status.as_ref().map(|status| status.slot());
        let is_open = slot.is_some_and(|slot| slot.start.is_some() || slot.restart.is_some());
        let ttl = spec.ttl_seconds_after_expired.unwrap_or_default();
        match &made.step {
            Step::Write(Write::DeleteResource) if is_open => {
                Some("it goes with a call open".to_owned())
            }
            Step::Write(Write::DeleteResource) => expires
                .is_none_or(|at| now < at + i64::from(ttl))
                .then(|| "it goes before its time".to_owned()),
            Step::Write(Write::Status(Purpose::StartIntent(_) | Purpose::RestartIntent(_))) => {
                expires
                    .is_some_and(|at| now >= at)
                    .then(|| "it begins to run after its expireTime".to_owned())
            }
            _ => None,
        }
    }

    /// Nothing begins to run before the API was asked for hardware, or where it says that none is free.
    fn wrong_without_hardware(&self, made: &Decision) -> Option<String> {
        let free = args()["hardwareTypeId"].as_str().map(str::to_owned)?;
        let capacity = &self.around.capacity;
        let begins = matches!(
            made.step,
            Step::Write(Write::Status(
                Purpose::StartIntent(_) | Purpose::RestartIntent(_)
            ))
        );
        (begins && (*capacity == Capacity::NotAsked || capacity.lacks(&free)))
            .then(|| "it begins to run without hardware".to_owned())
    }

    /// While the account is on hold, nothing begins to run and nothing is forgotten, except what this operator itself has deleted.
    fn wrong_while_held(&self, resource: &CortecsInstance, made: &Decision) -> Option<String> {
        if !self.around.held {
            return None;
        }
        if let Step::Write(Write::Status(Purpose::StartIntent(_) | Purpose::RestartIntent(_))) =
            made.step
        {
            return Some("it begins to run during a hold".to_owned());
        }
        let key = ObjectKey::of(resource);
        let deleted = self.process.book.get(&key).is_some_and(|entry| {
            entry
                .memory
                .bound
                .as_ref()
                .is_some_and(|bound| bound.deleted)
        });
        let forgets = made.step == written(Purpose::Unbind);
        (forgets && !deleted).then(|| "it forgets its instance during a hold".to_owned())
    }

    /// Before the accounts are known, nothing is called, and what a status shows stays.
    fn wrong_before_accounts(&self, resource: &CortecsInstance, made: &Decision) -> Option<String> {
        if self.around.checked {
            return None;
        }
        let status = resource.status.as_ref();
        let told = status.and_then(|s| s.observed_generation) == resource.metadata.generation;
        match &made.step {
            Step::Call(_) => Some("it makes a call before the accounts are known".to_owned()),
            Step::Write(Write::Status(purpose)) if *purpose != Purpose::Restore && told => {
                Some("it writes a status before the accounts are known".to_owned())
            }
            _ => None,
        }
    }

    /// The progress deadline begins with each attempt, and again when what was usable ceases to be.
    fn wrong_deadline(&self, key: &ObjectKey, made: &Decision) -> Option<String> {
        let exceeded = find_condition(&made.status.conditions, STALLED)
            .is_some_and(|c| c.reason == "ProgressDeadlineExceeded");
        let progressed = self.trails.get(key).and_then(|trail| trail.progressed)?;
        let early = self.now < progressed + DEADLINE;
        (exceeded && early && made.step == written(Purpose::Report))
            .then(|| format!("its deadline passes early: it progressed at {progressed}"))
    }
}
