//! Random walks: the real decisions against a small model of the API server and of the Cortecs API, where answers get lost,
//! effects come late, lists lag, watches are stale, the process crashes and people change their minds.
//!
//! After each event: no instance is two resources', and there are never more instances without an owner than starts that
//! are still open. At the end, when the faults stop: each resource has what it asks for, and nothing else is there.

mod api;

use std::collections::{BTreeMap, VecDeque};

use kube::ResourceExt;

use super::*;
use crate::{
    account::pressure::Wait,
    instance::{
        args::satisfies,
        claim::Key,
        memory::{Failure, FailureKind},
        record::{self, Answer, Times},
    },
    resources::{
        annotations,
        instance::{DeletionPolicy, DesiredState},
    },
};
use api::{Api, Effect};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Answered,
    /// Refused, or never sent.
    Refused,
    LostBefore,
    LostAfter,
    /// Lost, and its effect comes after so many seconds: less than the settle time, even for lists that lag.
    Late(u64),
}

/// An event of the watch: the object, or what is gone.
type WatchEvent = Result<Arc<CortecsInstance>, Arc<CortecsInstance>>;

struct Walk {
    rng: fastrand::Rng,
    now: u64,
    version: u64,
    objects: BTreeMap<ObjectKey, Arc<CortecsInstance>>,
    watch: VecDeque<WatchEvent>,
    api: Api,
    /// What the process knows; a crash leaves nothing of it.
    book: Book,
    snapshot: Option<Arc<Snapshot>>,
    faults: bool,
    /// The account holds itself.
    held: bool,
    created: u64,
    log: Vec<String>,
}

fn seal() -> Key {
    Key::derive("secret").unwrap()
}

fn claim_of(resource: &CortecsInstance) -> Claim {
    let value = resource.annotations().get(annotations::INSTANCE_ID);
    let id = value.and_then(|v| seal().verify("ns", &resource.name_any(), v));
    id.map_or(Claim::None, Claim::Proven)
}

#[test]
fn nothing_is_paid_twice_and_nothing_is_left_behind() {
    let seeds = std::env::var("WALK_SEEDS")
        .ok()
        .and_then(|n| n.parse().ok());
    for seed in 0..seeds.unwrap_or(100_u64) {
        Walk::new(seed).run(seed);
    }
}

impl Walk {
    fn new(seed: u64) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            now: 1000,
            version: 0,
            objects: BTreeMap::new(),
            watch: VecDeque::new(),
            api: Api::default(),
            book: Book::default(),
            snapshot: None,
            faults: true,
            held: false,
            created: 0,
            log: Vec::new(),
        }
    }

    fn run(&mut self, seed: u64) {
        for _ in 0..150 {
            self.event();
            self.check(seed);
        }
        self.faults = false;
        self.held = false;
        self.log.push("faults end".into());
        for _ in 0..400 {
            self.deliver_all();
            self.list(0);
            for name in NAMES {
                self.reconcile(&ObjectKey::new("ns", name));
                self.check(seed);
            }
            self.pass(7);
            self.answer_questions();
        }
        self.check_end(seed);
    }

    /// What resources leave stopped looks like the outcome of an open start that the API altered: a person is asked.
    fn answer_questions(&mut self) {
        let asks = |object: &&Arc<CortecsInstance>| {
            let conditions = &object.status.as_ref().unwrap().conditions;
            let stalled = find_condition(conditions, STALLED);
            stalled.is_some_and(|c| c.reason == "StartUnresolved")
                && !object
                    .annotations()
                    .contains_key("cortecs.ai/resolve-start")
        };
        let asking: Vec<_> = self.objects.values().filter(asks).cloned().collect();
        for object in asking {
            let mut object = (*object).clone();
            object
                .annotations_mut()
                .insert("cortecs.ai/resolve-start".into(), "none".into());
            self.log
                .push(format!("a person answers {:?}", object.metadata.name));
            self.store(object);
        }
    }

    fn event(&mut self) {
        match self.rng.u32(0..100) {
            0..50 => {
                let name = self.any_name();
                self.reconcile(&name);
            }
            50..65 => {
                let lag = if self.rng.bool() {
                    self.rng.u64(0..60)
                } else {
                    0
                };
                self.list(lag);
            }
            65..78 => {
                let seconds = self.rng.u64(1..40);
                self.pass(seconds);
            }
            78..88 => self.deliver_all(),
            88..91 => self.crash(),
            91..94 => self.disturb(),
            94 => {
                self.held = !self.held;
                self.log.push(format!("held: {}", self.held));
            }
            _ => self.user(),
        }
    }

    fn any_name(&mut self) -> ObjectKey {
        ObjectKey::new("ns", NAMES[self.rng.usize(0..NAMES.len())])
    }

    fn user(&mut self) {
        let key = self.any_name();
        let Some(object) = self.objects.get(&key) else {
            return self.create(&key);
        };
        let mut object = (**object).clone();
        if object.metadata.deletion_timestamp.is_some() {
            return;
        }
        let what = self.rng.u32(0..6);
        match what {
            0 => object.spec.state = DesiredState::Stopped,
            1 | 2 => object.spec.state = DesiredState::Running,
            3 => object.spec.num_workers = self.rng.i32(1..3),
            4 => {
                let value = self.rng.u32(..).to_string();
                let annotations = object.metadata.annotations.get_or_insert_default();
                annotations.insert("cortecs.ai/restartedAt".into(), value);
            }
            _ => {
                let epoch = jiff::Timestamp::UNIX_EPOCH;
                object.metadata.deletion_timestamp =
                    Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(epoch));
            }
        }
        object.metadata.generation = object.metadata.generation.map(|g| g + i64::from(what != 4));
        self.log.push(format!("user {what} on {key}"));
        self.store(object);
    }

    fn create(&mut self, key: &ObjectKey) {
        let policy = if self.rng.u32(0..4) == 0 {
            "Stop"
        } else {
            "Delete"
        };
        let mut value = resource(&key.name, json!({ "deletionPolicy": policy }), json!({}));
        self.created += 1;
        value["metadata"]["uid"] = json!(format!("uid-{}", self.created));
        value["metadata"]["finalizers"] = json!([]);
        self.log.push(format!("create {key} ({policy})"));
        self.store(serde_json::from_value(value).unwrap());
    }

    /// Others empty a status, or stop or delete an instance.
    fn disturb(&mut self) {
        if self.rng.u32(0..3) == 0 {
            return self.wipe();
        }
        if let Some(id) = self.api.any(&mut self.rng) {
            let delete = self.rng.bool();
            self.log.push(format!(
                "others {} {id}",
                if delete { "delete" } else { "stop" }
            ));
            self.api.stop(&id);
            if delete {
                self.api.delete(&id);
            }
        }
    }

    /// Someone empties a status. What the annotation proves may be forgotten; anything else is put back by a process that is
    /// there.
    fn wipe(&mut self) {
        let key = self.any_name();
        let Some(object) = self.objects.get(&key) else {
            return;
        };
        let mut object = (**object).clone();
        let status = Self::status(&object);
        let proven = matches!((claim_of(&object), &status.instance_id), (Claim::Proven(a), Some(b)) if a == *b);
        let kept_by_annotation = proven && status.start.is_none() && status.restart.is_none();
        self.log.push(format!("the status of {key} is emptied"));
        self.deliver_all();
        object.status = Some(CortecsInstanceStatus::default());
        self.store(object);
        if !kept_by_annotation {
            self.deliver_all();
            let faults = std::mem::replace(&mut self.faults, false);
            self.reconcile(&key);
            self.faults = faults;
        }
    }

    fn store(&mut self, mut object: CortecsInstance) -> Arc<CortecsInstance> {
        self.version += 1;
        object.metadata.resource_version = Some(self.version.to_string());
        let key = ObjectKey::of(&object);
        let object = Arc::new(object);
        let finalizers = object.metadata.finalizers.as_deref().unwrap_or_default();
        if object.metadata.deletion_timestamp.is_some() && finalizers.is_empty() {
            self.objects.remove(&key);
            self.watch.push_back(Err(Arc::clone(&object)));
            let status = object.status.as_ref();
            if object.spec.deletion_policy == DeletionPolicy::Stop
                && let Some(id) = status.and_then(|s| s.instance_id.as_ref())
            {
                self.api.left.insert(id.clone());
            }
        } else {
            self.objects.insert(key, Arc::clone(&object));
            self.watch.push_back(Ok(Arc::clone(&object)));
        }
        object
    }

    fn deliver_all(&mut self) {
        while let Some(event) = self.watch.pop_front() {
            match event {
                Ok(object) => self.book.apply(object),
                Err(gone) => {
                    self.book.deleted(&gone);
                }
            }
        }
    }

    fn crash(&mut self) {
        self.log.push("crash".into());
        self.watch.clear();
        self.book = Book::default();
        self.snapshot = None;
        for object in self.objects.values() {
            self.book.apply(Arc::clone(object));
        }
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += 1;
            self.api.tick(self.now);
        }
    }

    fn list(&mut self, lag: u64) {
        let sequence = self.snapshot.as_ref().map_or(0, |s| s.sequence) + 1;
        self.snapshot = Some(Arc::new(Snapshot {
            sequence,
            requested_at: at(self.now),
            received_at: at(self.now),
            instances: self.api.list(self.now.saturating_sub(lag)),
        }));
    }

    fn fate(&mut self) -> Fate {
        if !self.faults {
            return Fate::Answered;
        }
        match self.rng.u32(0..10) {
            0 => Fate::Refused,
            1 => Fate::LostBefore,
            2 => Fate::LostAfter,
            3 => Fate::Late(self.rng.u64(1..100)),
            _ => Fate::Answered,
        }
    }

    fn reconcile(&mut self, key: &ObjectKey) {
        let Some(resource) = self.book.get(key).map(|e| Arc::clone(&e.resource)) else {
            return;
        };
        let view = AccountView {
            named: Some(ObjectKey::new("ns", "main")),
            desired: Desired::Usable(account()),
            fleet: Some(FleetView {
                snapshot: self.snapshot.clone(),
                problem: None,
                held: self.held.then(|| "held".to_owned()),
                trouble: None,
                wait: self.calls_wait(),
            }),
        };
        let now = at(self.now);
        let snapshot = self.snapshot.as_deref();
        let claim = claim_of(&resource);
        self.book.remember(key, |memory| {
            memory.observe(&resource, snapshot, SETTLE, now);
            memory.observe_claim(claim, Some(API), &resource, snapshot, now);
        });
        let memory = self.book.get(key).unwrap().memory.clone();
        let decision = decide(&Input {
            key,
            resource: &resource,
            account: &view,
            book: &self.book,
            memory: &memory,
            model: Some(&model()),
            settings: &Settings { settle: SETTLE },
            now,
            wall: Timestamp::from_second(i64::try_from(self.now).unwrap()).unwrap(),
            uuid: Uuid::from_u128(self.rng.u128(..)),
        });
        if decision.step != Step::None {
            self.log
                .push(format!("{} {key}: {:?}", self.now, decision.step));
        }
        crate::instance::act::announce(&mut self.book, key, &decision);
        self.act(key, &resource, decision);
        if !self.faults {
            self.list(0);
        }
    }

    /// Calls may be held back at any moment.
    fn calls_wait(&mut self) -> Option<Wait> {
        match self.rng.u32(0..20) {
            _ if !self.faults => None,
            0 => Some(Wait::Until(at(self.now + self.rng.u64(1..30)))),
            1 => Some(Wait::Turn),
            _ => None,
        }
    }

    fn act(&mut self, key: &ObjectKey, resource: &Arc<CortecsInstance>, decision: Decision) {
        let mut wanted = (**resource).clone();
        match decision.step {
            Step::None | Step::FetchModel { .. } => {}
            Step::AddFinalizer => {
                wanted.metadata.finalizers = Some(vec!["cortecs.ai/instance".into()]);
                self.write(key, wanted, None);
            }
            Step::RemoveFinalizer => {
                wanted.metadata.finalizers = Some(vec![]);
                self.write(key, wanted, None);
            }
            Step::WriteStatus(purpose) => {
                wanted.status = Some(decision.status);
                self.write(key, wanted, Some(&purpose));
            }
            Step::Seal { instance_id } => {
                let value = seal().seal(&key.namespace, &key.name, &instance_id);
                let annotations = wanted.annotations_mut();
                annotations.insert(annotations::INSTANCE_ID.into(), value);
                self.write(key, wanted, None);
            }
            Step::RecordAccepted { intent, instance } => {
                self.record_accepted(key, intent, &instance)
            }
            Step::QuorumRead => {
                let objects = self.objects.values().cloned().collect();
                self.book
                    .quorum_read(&None, objects, &self.version.to_string());
                self.book.read_by_quorum(at(self.now));
                self.reconcile(key);
            }
            step => self.call(key, step),
        }
    }

    /// A write under the version that was decided on; its answer may be lost.
    fn write(&mut self, key: &ObjectKey, wanted: CortecsInstance, purpose: Option<&Purpose>) {
        let current = self.objects.get(key).cloned();
        let fresh = current.as_ref().is_some_and(|c| {
            c.metadata.resource_version == wanted.metadata.resource_version
                && c.metadata.uid == wanted.metadata.uid
        });
        if !fresh {
            self.log.push(format!("conflict on {key}"));
            self.book.release(key);
            if let Some(current) = current {
                self.book.refresh(current);
            }
            return;
        }
        match self.fate() {
            Fate::Refused => self.book.release(key),
            Fate::LostBefore => self.log.push("the write was lost".into()),
            Fate::LostAfter | Fate::Late(_) => {
                self.log.push("the write's answer was lost".into());
                self.store(wanted);
            }
            Fate::Answered => {
                let written = self.store(wanted);
                self.book.wrote(written);
                if let Some(purpose) = purpose {
                    let now = at(self.now);
                    self.book
                        .remember(key, |memory| record::wrote(memory, purpose, now));
                }
            }
        }
    }

    fn record_accepted(&mut self, key: &ObjectKey, intent: Uuid, instance: &Instance) {
        let Some(current) = self.objects.get(key).cloned() else {
            return;
        };
        let mut wanted = (*current).clone();
        let status = wanted.status.get_or_insert_default();
        if status.start.as_ref().is_none_or(|start| start.id != intent) {
            return self.book.refresh(current);
        }
        status.start = None;
        status.instance_id = Some(instance.instance_id.clone());
        self.write(key, wanted, None);
        let bound = self
            .book
            .get(key)
            .and_then(|e| e.resource.status.as_ref()?.instance_id.clone());
        if bound.as_ref() == Some(&instance.instance_id) {
            let (now, instance) = (at(self.now), Arc::new(instance.clone()));
            self.book
                .remember(key, |memory| record::recorded(memory, &instance, now));
        }
    }

    fn call(&mut self, key: &ObjectKey, step: Step) {
        if self.faults && self.rng.u32(0..20) == 0 {
            self.log.push("  not made".into());
            self.book.remember(key, record::call_not_made);
            return;
        }
        let fate = self.fate();
        self.log.push(format!("  {fate:?}"));
        let times = Times {
            asked: at(self.now),
            answered: at(self.now),
        };
        let failure = Failure {
            kind: FailureKind::Transient,
            reason: "RetryingAfterError",
            message: String::new(),
            generation: 0,
            failed_at: at(self.now),
            retry_at: at(self.now + 1),
            count: 1,
        };
        let effect = match &step {
            Step::Start { args, .. } => Effect::Start(args.clone()),
            Step::Restart { instance_id, .. } => Effect::Restart(instance_id.clone()),
            Step::Stop { instance_id } => Effect::Stop(instance_id.clone()),
            Step::Delete { instance_id } => Effect::Delete(instance_id.clone()),
            Step::Get { instance_id } => Effect::Get(instance_id.clone()),
            other => panic!("{other:?} is no call"),
        };
        let done = match fate {
            Fate::Answered | Fate::LostAfter => Some(self.api.apply(&effect)),
            Fate::Late(seconds) => {
                self.api.late.push((self.now + seconds, effect));
                None
            }
            Fate::Refused | Fate::LostBefore => None,
        };
        let now = at(self.now);
        let answer = |instance: Option<Option<Instance>>| match (fate, instance) {
            (Fate::Answered, Some(Some(instance))) => Answer::Done(instance),
            (Fate::Answered, _) => Answer::Moved(failure.clone()),
            _ => Answer::Failed(failure.clone()),
        };
        let outcome = |instance: Option<Option<Instance>>| match (fate, instance) {
            (Fate::Answered, Some(Some(instance))) => Outcome::Accepted(Arc::new(instance)),
            (Fate::Answered | Fate::Refused, _) => Outcome::Refused(failure.clone()),
            _ => Outcome::Unknown(now),
        };
        self.book.remember(key, |memory| match step {
            Step::Start { intent, .. } => record::started(memory, intent, outcome(done)),
            Step::Restart {
                intent,
                instance_id,
                ..
            } => {
                record::restarted(memory, intent, &instance_id, outcome(done), times);
            }
            Step::Stop { instance_id } => {
                record::stopped(memory, &instance_id, answer(done), times)
            }
            Step::Get { instance_id } => record::got(memory, &instance_id, answer(done), times),
            Step::Delete { instance_id } => {
                let answer = match answer(done) {
                    Answer::Done(_) => Answer::Done(()),
                    Answer::Moved(failure) => Answer::Moved(failure),
                    Answer::Failed(failure) => Answer::Failed(failure),
                };
                record::deleted(memory, &instance_id, answer);
            }
            _ => {}
        });
    }

    fn status(object: &CortecsInstance) -> CortecsInstanceStatus {
        object.status.clone().unwrap_or_default()
    }

    /// The instance that only the annotation names.
    fn proven(object: &CortecsInstance) -> Option<String> {
        let status = object.status.as_ref();
        let empty = status.is_none_or(CortecsInstanceStatus::records_nothing);
        match claim_of(object) {
            Claim::Proven(id) if empty => Some(id),
            _ => None,
        }
    }

    fn check(&self, seed: u64) {
        let statuses: Vec<_> = self.objects.values().map(|o| Self::status(o)).collect();
        // While a status is empty, what the annotation proves stands for it.
        let proven: Vec<_> = self
            .objects
            .values()
            .filter_map(|o| Self::proven(o))
            .collect();
        let mut bound: Vec<&String> = statuses
            .iter()
            .filter_map(|s| s.instance_id.as_ref())
            .chain(&proven)
            .collect();
        let open = statuses.iter().filter(|s| s.start.is_some()).count();
        let owned = bound.len();
        bound.sort();
        bound.dedup();
        assert_eq!(
            bound.len(),
            owned,
            "seed {seed}: an instance is two resources'\n{}",
            self.log.join("\n")
        );
        let loose = self.api.unowned(&bound) + self.api.late_starts();
        assert!(
            loose <= open,
            "seed {seed}: {loose} instances without an owner, {open} starts open\n{}",
            self.log.join("\n")
        );
        assert!(
            self.api.left_are_stopped(&bound),
            "seed {seed}: an instance that was left stopped is billed\n{}",
            self.log.join("\n")
        );
    }

    fn check_end(&self, seed: u64) {
        let log = || {
            self.log
                .iter()
                .rev()
                .take(80)
                .rev()
                .cloned()
                .collect::<Vec<_>>()
                .join("\n")
        };
        for (key, object) in &self.objects {
            assert!(
                object.metadata.deletion_timestamp.is_none(),
                "seed {seed}: {key} is stuck\n{}",
                log()
            );
            let status = Self::status(object);
            assert!(
                status.start.is_none() && status.restart.is_none(),
                "seed {seed}: {key} is open\n{}",
                log()
            );
            let instance = status.instance_id.as_ref().map(|id| self.api.get(id));
            let running = object.spec.state == DesiredState::Running;
            match instance {
                None => assert!(!running, "seed {seed}: {key} has no instance\n{}", log()),
                Some(None) => panic!("seed {seed}: the instance of {key} is not there\n{}", log()),
                Some(Some(instance)) => {
                    let stopped = instance.instance_status.status
                        == crate::cortecs::types::InstanceState::Stopped;
                    assert_eq!(running, !stopped, "seed {seed}: {key}\n{}", log());
                    if running {
                        assert!(
                            satisfies(&object.spec, &instance.instance_args),
                            "seed {seed}: {key}\n{}",
                            log()
                        );
                    }
                }
            }
        }
    }
}
