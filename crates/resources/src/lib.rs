//! The custom resources: types, CEL rules, printer columns. No I/O.

pub mod account;
pub mod annotations;
pub mod conditions;
pub mod crds;
pub mod instance;
pub mod instance_status;
pub mod key;
pub mod reason;
#[cfg(any(test, feature = "schema-check"))]
pub mod schema;

pub use account::CortecsAccount;
pub use instance::CortecsInstance;

/// The API group of all custom resources.
pub const GROUP: &str = "cortecs.ai";

/// The finalizer on instances: the instance at the API is dealt with before the resource goes.
pub const INSTANCE_FINALIZER: &str = "cortecs.ai/instance";

/// The finalizer on accounts in use: credentials stay as long as something needs them.
pub const ACCOUNT_FINALIZER: &str = "cortecs.ai/account";
