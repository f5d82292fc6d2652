//! Whether a write to Kubernetes had its effect. A webhook may take a field off again, and definitions that are older than the
//! operator lack it: then the write succeeds, and so would the next one.

use cortecs_resources::{
    CortecsInstance, INSTANCE_FINALIZER, annotations, instance_status::CortecsInstanceStatus,
};
use kube::ResourceExt;
use uuid::Uuid;

/// What a write puts on a resource.
pub enum Effect<'a> {
    Finalizer,
    /// The annotation with the id has this value.
    Sealed(&'a str),
    /// The status records the same start, restart and instance as this one.
    Recorded(&'a CortecsInstanceStatus),
    /// The status records this instance.
    Bound(&'a str),
    /// The open start is marked as overtaken.
    Overtaken(Uuid),
    /// The open start knows the instance with this digest.
    LetGo(Uuid, &'a str),
}

impl Effect<'_> {
    /// The field that the resource lacks, as the write returned it. `None` if the write had its effect.
    pub fn missing_in(&self, written: &CortecsInstance) -> Option<&'static str> {
        let status = written.status.as_ref();
        let start = status.and_then(|status| status.slot().start.as_ref());
        let open = |intent: Uuid| start.filter(|start| start.id == intent);
        let (is_there, field) = match self {
            Self::Finalizer => {
                let mut finalizers = written.finalizers().iter();
                let is_there = finalizers.any(|finalizer| finalizer == INSTANCE_FINALIZER);
                (is_there, "metadata.finalizers")
            }
            Self::Sealed(value) => {
                let found = annotations::value(written, annotations::INSTANCE_ID);
                (found == Some(*value), "metadata.annotations")
            }
            Self::Recorded(wanted) => return unrecorded(status, wanted),
            Self::Bound(id) => {
                let found = status.and_then(|status| status.instance_id.as_deref());
                (found == Some(*id), "status.instanceId")
            }
            Self::Overtaken(intent) => {
                let is_there = open(*intent).is_some_and(|start| start.overtaken);
                (is_there, "overtaken of the open start in status.journal")
            }
            Self::LetGo(intent, digest) => {
                let known = open(*intent).map(|start| start.known_instances.as_slice());
                let is_there = known.unwrap_or_default().iter().any(|k| k == digest);
                (
                    is_there,
                    "knownInstances of the open start in status.journal",
                )
            }
        };
        (!is_there).then_some(field)
    }
}

/// What is not recorded as it should be: the calls that are open, or the instance.
fn unrecorded(
    status: Option<&CortecsInstanceStatus>,
    wanted: &CortecsInstanceStatus,
) -> Option<&'static str> {
    let empty = CortecsInstanceStatus::default();
    let status = status.unwrap_or(&empty);
    let (found, asked) = (status.slot(), wanted.slot());
    // A start is recognised by all of its record.
    if found.start != asked.start {
        Some("start in status.journal")
    } else if found.restart != asked.restart {
        Some("restart in status.journal")
    } else if status.instance_id != wanted.instance_id {
        Some("status.instanceId")
    } else if status.records_nothing() && !wanted.records_nothing() {
        Some("status")
    } else {
        None
    }
}

#[cfg(test)]
#[path = "effect_tests.rs"]
mod tests;
