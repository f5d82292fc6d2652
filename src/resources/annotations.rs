//! Annotations of a `CortecsInstance`: what users ask for once, and what the operator writes.

/// Any new value: stop, then restart, the same instance.
pub const RESTARTED_AT: &str = "cortecs.ai/restartedAt";

/// Any new value: look at the API and reconcile now.
pub const REQUESTED_AT: &str = "cortecs.ai/requestedAt";

/// Settles a start that cannot be resolved safely: an instance id to take over, or `none`.
pub const RESOLVE_START: &str = "cortecs.ai/resolve-start";

/// Written by the operator only: the bound instance, sealed (see [`crate::instance::claim`]).
pub const INSTANCE_ID: &str = "cortecs.ai/instance-id";

/// Longest value of a user's annotation that is looked at, in bytes.
pub const MAX_VALUE_LENGTH: usize = 256;
