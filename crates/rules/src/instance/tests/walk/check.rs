//! What must be true after each step of a walk, and at its end.

use super::*;
use crate::facts::args;

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
            match instance {
                None => assert!(!running, "seed {seed}: {key} has no instance\n{}", log()),
                Some(None) => panic!("seed {seed}: the instance of {key} is not there\n{}", log()),
                Some(Some(instance)) => {
                    let stopped = instance.instance_status.status
                        == cortecs_api::types::InstanceState::Stopped;
                    assert_eq!(running, !stopped, "seed {seed}: {key}\n{}", log());
                    if running {
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
}
