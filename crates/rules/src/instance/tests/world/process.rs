//! One process: its book, its last list, and the shell around `decide`, without I/O.

use std::sync::Arc;

use cortecs_api::{Call, Error};
use cortecs_resources::{INSTANCE_FINALIZER, annotations, journal::StartIntent, reason::Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{
    Server, Surroundings,
    cloud::Instances,
    seals::{key_of_seals, sealed_id_as_bound, sealed_id_of},
};
use crate::{
    facts::{
        args::in_force,
        failure::{Failure, FailureKind},
    },
    instance::{
        record::{self, Ended, Times},
        record_write,
        tests::*,
    },
    pacing::pressure::Wait,
};

/// What the process knows; a crash leaves nothing of it.
#[derive(Clone, Debug, Default)]
pub(in crate::instance::tests) struct Process {
    pub book: Book,
    pub snapshot: Option<Arc<Snapshot>>,
}

/// What decides when, and with which id.
#[derive(Clone, Copy, Debug)]
pub(in crate::instance::tests) struct Moves {
    pub now: Moment,
    pub uuid: Uuid,
    /// What calls have to wait for.
    pub wait: Option<Wait>,
    /// Whether the annotation with the id is written and read. Otherwise it proves nothing and is never due.
    pub seals: bool,
}

/// When a resource was deleted matters to nothing.
const NEVER: Time = Time(Timestamp::UNIX_EPOCH);

/// How a write ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::instance::tests) enum Landing {
    Answered,
    /// The API server says no.
    Refused,
    LostBefore,
    LostAfter,
}

/// What came of a write.
#[derive(Clone, Debug)]
pub(in crate::instance::tests) enum Written {
    /// It has landed: the object, and whether it is still there.
    Landed(Arc<CortecsInstance>, bool),
    Conflict,
    Nothing,
}

impl Process {
    /// A process that has just begun with a consistent list of these objects.
    pub fn begins<'a>(objects: impl Iterator<Item = &'a Arc<CortecsInstance>>) -> Self {
        let mut process = Self::default();
        for object in objects {
            process.book.apply(Arc::clone(object));
        }
        process
    }

    pub fn resource(&self, key: &ObjectKey) -> Option<Arc<CortecsInstance>> {
        self.book.get(key).map(|entry| Arc::clone(&entry.resource))
    }

    pub fn list(&mut self, instances: Instances, now: Moment) {
        self.snapshot = Some(Arc::new(Snapshot {
            sequence: self.snapshot.as_ref().map_or(0, |s| s.sequence) + 1,
            requested_at: now,
            received_at: now,
            instances,
        }));
    }

    /// Takes note of what is known of a resource.
    pub fn observe(
        &mut self,
        key: &ObjectKey,
        around: &Surroundings,
        moves: Moves,
    ) -> Option<Arc<CortecsInstance>> {
        let resource = self.resource(key)?;
        let (now, snapshot) = (moves.now, self.snapshot.clone());
        let settle = around.settings.settle;
        let fleet = fleet();
        let fleet = around.checked.then_some(&fleet);
        let sealed_id = match moves.seals {
            _ if !around.checked => SealedId::Unchecked,
            true => sealed_id_of(&resource),
            false => sealed_id_as_bound(&resource),
        };
        self.book.remember(key, |memory| {
            let snapshot = snapshot.as_deref();
            memory.observe(&resource, snapshot, settle, now);
            memory.observe_sealed_id(sealed_id, fleet, &resource, snapshot, now);
        });
        Some(resource)
    }

    /// Observes and decides, as the controller does, but does not take note of the step yet.
    pub fn decide(
        &mut self,
        key: &ObjectKey,
        around: &Surroundings,
        moves: Moves,
    ) -> Option<Decision> {
        let resource = self.observe(key, around, moves)?;
        let (now, snapshot) = (moves.now, self.snapshot.clone());
        let fleet = FleetView {
            sharing: around.sharing,
            snapshot,
            held: around.held.then(|| "held".to_owned()),
            wait: moves.wait,
            prices: around.prices.clone(),
            ..FleetView::default()
        };
        let view = AccountView {
            named: around.named.clone(),
            unchecked: !around.checked,
            desired: match around.checked {
                true => Desired::Usable(around.account.clone()),
                false => Desired::Pending("the accounts are being checked".to_owned()),
            },
            limits: around.checked.then(|| around.account.limits.clone()),
            fleet: around.checked.then_some(fleet),
        };
        Some(decide(&Input {
            key,
            resource: &resource,
            account: &view,
            book: &self.book,
            memory: &self.book.get(key)?.memory,
            model: Some(around.model_of(&resource)),
            capacity: &around.capacity,
            settings: &around.settings,
            now,
            wall: wall(now),
            uuid: moves.uuid,
        }))
    }

    pub fn announce(&mut self, key: &ObjectKey, decision: &Decision, now: Moment) {
        crate::instance::record::announce(&mut self.book, key, decision, now);
    }

    pub fn read_by_quorum(&mut self, server: &Server, now: Moment) {
        let objects = server.objects.values().cloned().collect();
        let version = server.version.to_string();
        self.book.quorum_read(&None, objects, &version);
        self.book.read_by_quorum(now);
    }

    /// Carries out a step that is a write.
    pub fn write(
        &mut self,
        key: &ObjectKey,
        decision: Decision,
        server: &mut Server,
        landing: Landing,
        now: Moment,
    ) -> Written {
        let Some(resource) = self.resource(key) else {
            return Written::Nothing;
        };
        let mut wanted = (*resource).clone();
        let mut purpose = None;
        match decision.step {
            Step::Write(Write::AddFinalizer) => {
                wanted.metadata.finalizers = Some(vec![INSTANCE_FINALIZER.into()]);
            }
            Step::Write(Write::DeleteResource) => wanted.metadata.deletion_timestamp = Some(NEVER),
            Step::Write(Write::RemoveFinalizer) => wanted.metadata.finalizers = Some(vec![]),
            Step::Write(Write::Status(why)) => {
                wanted.status = Some(decision.status);
                purpose = Some(why);
            }
            Step::Write(Write::Seal { instance_id }) => {
                let value = key_of_seals().seal(&key.namespace, &key.name, &instance_id);
                let annotations = wanted.annotations_mut();
                annotations.insert(annotations::INSTANCE_ID.into(), value);
            }
            Step::Write(Write::RecordAccepted { intent, instance }) => {
                return self.record_accepted(key, intent, &instance, server, landing, now);
            }
            Step::Write(Write::Overtake { start_of, intent }) => {
                let change = |start: &mut StartIntent| start.overtaken = true;
                return self.tell(&start_of, intent, change, server, landing);
            }
            Step::Write(Write::LetGo {
                start_of,
                intent,
                digest,
            }) => {
                let change = |start: &mut StartIntent| start.known_instances.push(digest);
                return self.tell(&start_of, intent, change, server, landing);
            }
            other => panic!("{other:?} is no write"),
        }
        let written = self.replace(key, wanted, server, landing);
        if landing == Landing::Answered
            && let (Written::Landed(..), Some(purpose)) = (&written, &purpose)
        {
            self.book
                .remember(key, |memory| record_write::wrote(memory, purpose, now, 1));
        }
        written
    }

    /// A write under the version that was decided on.
    fn replace(
        &mut self,
        key: &ObjectKey,
        wanted: CortecsInstance,
        server: &mut Server,
        landing: Landing,
    ) -> Written {
        if !server.is_current(&wanted) {
            self.book.release(key);
            if let Some(current) = server.objects.get(key) {
                self.book.refresh(Arc::clone(current));
            }
            return Written::Conflict;
        }
        match landing {
            Landing::Refused => self.book.release(key),
            Landing::LostBefore => {}
            Landing::LostAfter | Landing::Answered => {
                let (object, stays) = server.store(wanted);
                if landing == Landing::Answered {
                    self.book.wrote(Arc::clone(&object));
                }
                return Written::Landed(object, stays);
            }
        }
        Written::Nothing
    }

    /// The patch that tests for the intent. It does not depend on the rest of the resource.
    fn record_accepted(
        &mut self,
        key: &ObjectKey,
        intent: Uuid,
        instance: &Arc<Instance>,
        server: &mut Server,
        landing: Landing,
        now: Moment,
    ) -> Written {
        let Some(current) = server.objects.get(key).cloned() else {
            return Written::Nothing;
        };
        let mut wanted = (*current).clone();
        let status = wanted.status.get_or_insert_default();
        if status
            .slot()
            .start
            .as_ref()
            .is_none_or(|start| start.id != intent)
        {
            self.book.refresh(current);
            return Written::Conflict;
        }
        status.slot_mut().start = None;
        status.instance_id = Some(instance.instance_id.clone());
        let recorded = status.instance_args.take();
        status.instance_args = Some(in_force(&instance.instance_args, recorded.as_ref()));
        let written = self.replace(key, wanted, server, landing);
        if landing == Landing::Answered && matches!(written, Written::Landed(..)) {
            self.book
                .remember(key, |memory| record::recorded(memory, instance, now));
        }
        written
    }

    /// The patch of another resource's status, which tests for its intent.
    fn tell(
        &mut self,
        start_of: &ObjectKey,
        intent: Uuid,
        change: impl FnOnce(&mut StartIntent),
        server: &mut Server,
        landing: Landing,
    ) -> Written {
        let Some(current) = server.objects.get(start_of).cloned() else {
            return Written::Nothing;
        };
        let mut wanted = (*current).clone();
        let start = wanted
            .status
            .get_or_insert_default()
            .slot_mut()
            .start
            .as_mut();
        match start.filter(|start| start.id == intent) {
            Some(start) => change(start),
            None => {
                self.book.refresh(current);
                return Written::Conflict;
            }
        }
        self.replace(start_of, wanted, server, landing)
    }

    /// Takes note of what a call was answered with, classified as the shell does.
    pub fn answered(
        &mut self,
        key: &ObjectKey,
        call: &ApiCall,
        result: Result<Instance, Error>,
        times: Times,
    ) {
        let now = times.answered;
        let failure = |error: &Error| Failure {
            kind: FailureKind::Transient,
            reason: Reason::RetryingAfterError,
            message: error.to_string(),
            generation: 0,
            failed_at: now,
            retry_at: now.after(Duration::from_secs(1)),
            count: 1,
        };
        self.book.remember(key, |memory| match call {
            ApiCall::Start { intent, .. } => {
                let ended = without_words(record::outcome(result, now, failure));
                record::started(memory, *intent, ended);
            }
            ApiCall::Restart {
                intent,
                instance_id,
                ..
            } => {
                let ended = without_words(record::outcome(result, now, failure));
                record::restarted(memory, *intent, instance_id, ended, times);
            }
            ApiCall::Stop { instance_id } => {
                record::stopped(memory, instance_id, record::answer(result, failure), times);
            }
            ApiCall::Get { instance_id } => {
                record::got(memory, instance_id, record::answer(result, failure), times);
            }
            ApiCall::Delete { instance_id } => {
                let result = result.map(|_| ());
                record::deleted(memory, instance_id, record::answer(result, failure), times);
            }
            ApiCall::FetchModel { .. } | ApiCall::FetchCapacity => {
                panic!("the catalog is no part of the model")
            }
        });
    }
}

/// Without what the API said: it changes only when the next call is made, and that may be at any time anyway.
fn without_words(ended: Ended) -> Ended {
    Ended {
        said: None,
        ..ended
    }
}

/// The name of a call.
pub(in crate::instance::tests) fn call_of(call: &ApiCall) -> Call {
    match call {
        ApiCall::Start { .. } => Call::StartInstance,
        ApiCall::Restart { .. } => Call::RestartInstance,
        ApiCall::Stop { .. } => Call::StopInstance,
        ApiCall::Delete { .. } => Call::DeleteInstance,
        ApiCall::Get { .. } => Call::GetInstance,
        ApiCall::FetchModel { .. } | ApiCall::FetchCapacity => {
            panic!("the catalog is no part of the model")
        }
    }
}

fn wall(now: Moment) -> Timestamp {
    let nanoseconds = i128::try_from(now.since_boot().as_nanos()).unwrap();
    Timestamp::from_nanosecond(nanoseconds).unwrap()
}
