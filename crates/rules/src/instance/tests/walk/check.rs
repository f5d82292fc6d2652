//! What must be true after each step of a walk, and at its end.

use cortecs_resources::instance::{DriftPolicy, UpdateStrategyType};

use super::*;
use crate::{cost::run_limit::ended, facts::args};

impl Walk {
    pub(super) fn status(object: &CortecsInstance) -> CortecsInstanceStatus {
        object.status.clone().unwrap_or_default()
    }

    /// The instance that only the annotation names.
    pub(super) fn proven(object: &CortecsInstance) -> Option<String> {
        let status = object.status.as_ref();
        let empty = status.is_none_or(CortecsInstanceStatus::records_nothing);
        match sealed_id_of(object) {
            SealedId::Proven(id) if empty => Some(id),
            _ => None,
        }
    }

    pub(super) fn check(&self, seed: u64) {
        let statuses: Vec<_> = self
            .server
            .objects
            .values()
            .map(|o| Self::status(o))
            .collect();
        // While a status is empty, what the annotation proves stands for it.
        let objects = self.server.objects.values();
        let proven: Vec<_> = objects.filter_map(|o| Self::proven(o)).collect();
        let mut bound: Vec<&String> = statuses
            .iter()
            .filter_map(|s| s.instance_id.as_ref())
            .chain(&proven)
            .collect();
        let open = statuses.iter().filter(|s| s.slot().start.is_some()).count();
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

    pub(super) fn check_end(&self, seed: u64) {
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
        for (key, object) in &self.server.objects {
            assert!(
                object.metadata.deletion_timestamp.is_none(),
                "seed {seed}: {key} is stuck\n{}",
                log()
            );
            let status = Self::status(object);
            assert!(
                status.slot().start.is_none() && status.slot().restart.is_none(),
                "seed {seed}: {key} is open\n{}",
                log()
            );
            let instance = status.instance_id.as_ref().map(|id| self.api.get(id));
            let running = object.spec.state == DesiredState::Running;
            let is_down = |i: &Instance| i.is_stopped();
            let accepted = object.spec.drift_policy == DriftPolicy::Accept
                && status
                    .conditions
                    .iter()
                    .any(|c| c.reason == "DriftAccepted");
            let running = running && ended(object).is_none();
            match instance {
                _ if accepted => {
                    let up = instance.flatten().is_some_and(|i| !is_down(i));
                    assert!(running && !up, "seed {seed}: {key}\n{}", log());
                }
                None => assert!(!running, "seed {seed}: {key} has no instance\n{}", log()),
                Some(None) => panic!("seed {seed}: the instance of {key} is not there\n{}", log()),
                Some(Some(instance)) => {
                    let stopped = instance.instance_status.status
                        == cortecs_api::types::InstanceState::Stopped;
                    assert_eq!(running, !stopped, "seed {seed}: {key}\n{}", log());
                    let emptied = self.trails.get(key).is_some_and(|trail| trail.emptied);
                    let replaces = object.spec.update_strategy.kind == UpdateStrategyType::Recreate;
                    if running && replaces && !emptied {
                        assert!(
                            args::matches(&args::stated(&object.spec), &instance.instance_args),
                            "seed {seed}: {key}\n{}",
                            log()
                        );
                    }
                }
            }
        }
    }

    /// Another process that finds everything as it should be writes nothing, calls nothing, and so tells nothing.
    pub(super) fn restart_tells_nothing(&mut self, seed: u64) {
        self.crash();
        for round in 0..4 {
            self.around.checked = round > 0;
            self.list(0);
            for name in NAMES {
                let key = ObjectKey::new("ns", name);
                let moves = Moves {
                    now: at(self.now),
                    uuid: Uuid::from_u128(1),
                    wait: None,
                    seals: true,
                };
                let decision = self.process.decide(&key, &self.around, moves);
                let before = self.server.objects.get(&key).map(|object| &object.status);
                assert!(
                    decision.as_ref().is_none_or(|d| d.step == Step::Rest),
                    "seed {seed}, {round}: a new process does something: {key}: {decision:?} after {before:?}\n{}",
                    self.log.join("\n")
                );
            }
            self.pass(7);
        }
    }
}
