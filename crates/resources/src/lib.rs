//! The custom resources: types, validation rules, printer columns. No I/O.
//!
//! | file | what it has |
//! |---|---|
//! | [`key`] | namespace and name of an object |
//! | [`reason`] | the reasons of conditions |
//! | [`conditions`] | the types of conditions, and the one way to set a condition |
//! | [`annotations`] | the annotations of users and of the operator |
//! | [`instance_status`], [`instance`] | `CortecsInstance`: the status, the spec |
//! | [`journal`] | the part of that status that only the operator needs |
//! | [`identity`] | what a status records to recognise an instance |
//! | [`account`] | `CortecsAccount` |
//! | [`allowed_namespaces`] | the namespaces that may use an account |
//! | [`stop_all`] | what `mode: StopAll` of an account has stopped |
//! | [`unmanaged`] | instances that no resource claims |
//! | [`model`] | `CortecsModel`, of the API's catalog |
//! | [`hardware_type`] | `CortecsHardwareType`, of the API's catalog |
//! | [`user_time`] | a time that a user writes |
//! | [`transition`] | the transitions of an instance without anybody's order |
//! | [`money`] | amounts of money in statuses |
//! | [`limits`] | the limits of an account for its users |
//! | [`budget`] | the budget of an account |
//! | [`decode`] | objects as the API server has them, each decoded by itself |
//! | [`crds`] | the custom resource definitions as they are installed |
//! | `schema` | for tests: whether a status is what the definition permits |

pub mod account;
pub mod allowed_namespaces;
pub mod annotations;
pub mod budget;
pub mod conditions;
pub mod crds;
pub mod decode;
pub mod hardware_type;
pub mod identity;
pub mod instance;
pub mod instance_status;
pub mod journal;
pub mod key;
pub mod limits;
pub mod model;
pub mod money;
pub mod reason;
#[cfg(any(test, feature = "schema-check"))]
pub mod schema;
pub mod stop_all;
pub mod transition;
pub mod unmanaged;
pub mod user_time;

pub use account::CortecsAccount;
pub use hardware_type::CortecsHardwareType;
pub use instance::CortecsInstance;
pub use model::CortecsModel;

/// The API group of all custom resources.
pub const GROUP: &str = "cortecs.ai";

/// The finalizer on instances: the instance at the API is dealt with before the resource goes.
pub const INSTANCE_FINALIZER: &str = "cortecs.ai/instance";

/// The finalizer on accounts in use: credentials stay as long as something needs them.
pub const ACCOUNT_FINALIZER: &str = "cortecs.ai/account";
