//! Annotations: what users ask for once, and what the operator writes.

use kube::ResourceExt;

/// Any new value: stop, then restart, the same instance.
pub const RESTARTED_AT: &str = "cortecs.ai/restartedAt";

/// Any new value: look at the API and reconcile now.
pub const REQUESTED_AT: &str = "cortecs.ai/requestedAt";

/// Settles a start that cannot be resolved safely: an instance id to take over, or `none`.
pub const RESOLVE_START: &str = "cortecs.ai/resolve-start";

/// Written by the operator only: the bound instance, sealed (see `cortecs_rules::facts::sealed_id`).
pub const INSTANCE_ID: &str = "cortecs.ai/instance-id";

/// On a `CortecsAccount` that is on hold, any new value: end the hold and start again what should run.
pub const RESUME: &str = "cortecs.ai/resume";

/// On a `CortecsAccount`, the namespace of the operator that is to manage it, whichever operator the status names. On an object of
/// the catalog, the namespace of the operator that wrote it.
pub const OPERATOR: &str = "cortecs.ai/operator";

/// On an object of the catalog, the account whose API it shows: `namespace/name`.
pub const ACCOUNT: &str = "cortecs.ai/account";

/// Longest value of a user's annotation that is looked at, in bytes.
pub const MAX_VALUE_LENGTH: usize = 256;

/// The value of an annotation, unless it is too long to be looked at.
pub fn value<'a>(object: &'a impl ResourceExt, name: &str) -> Option<&'a str> {
    let value = object.annotations().get(name).map(String::as_str);
    value.filter(|value| value.len() <= MAX_VALUE_LENGTH)
}

/// The names of those whose value is too long to be looked at.
pub fn too_long<'a>(object: &impl ResourceExt, names: &[&'a str]) -> Vec<&'a str> {
    let annotations = object.annotations();
    let is_long = |name: &&str| {
        annotations
            .get(*name)
            .is_some_and(|value| value.len() > MAX_VALUE_LENGTH)
    };
    names.iter().copied().filter(is_long).collect()
}

/// Whether [`RESTARTED_AT`] has a value other than the one that was `handled` last.
pub fn restart_is_asked_for(object: &impl ResourceExt, handled: Option<&str>) -> bool {
    let asked = value(object, RESTARTED_AT);
    asked.is_some() && asked != handled
}
