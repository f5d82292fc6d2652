//! Annotations that users set on a `CortecsInstance` to ask for something once.

/// Any new value: stop, then restart, the same instance.
pub const RESTARTED_AT: &str = "cortecs.ai/restartedAt";

/// Any new value: look at the API and reconcile now.
pub const REQUESTED_AT: &str = "cortecs.ai/requestedAt";

/// Settles a start that cannot be resolved safely: an instance id to take over, or `none`.
pub const RESOLVE_START: &str = "cortecs.ai/resolve-start";

/// Longest annotation value that is looked at, in bytes.
pub const MAX_VALUE_LENGTH: usize = 256;
