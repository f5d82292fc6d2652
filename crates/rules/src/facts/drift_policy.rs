//! Whether what others did to an instance is to be left so.

use cortecs_resources::{
    CortecsInstance, annotations, instance::DriftPolicy, instance_status::CortecsInstanceStatus,
};

/// Whether an instance that others stopped or deleted stays so: the policy accepts it, and since it last ran neither
/// the spec has changed nor a restart was asked for.
pub fn accepts_drift(resource: &CortecsInstance, status: &CortecsInstanceStatus) -> bool {
    let handled = status.last_handled_restart_at.as_deref();
    let generation = resource.metadata.generation.unwrap_or_default();
    status.slot().reached_generation == Some(generation)
        && resource.spec.drift_policy == DriftPolicy::Accept
        && !annotations::restart_is_asked_for(resource, handled)
}
