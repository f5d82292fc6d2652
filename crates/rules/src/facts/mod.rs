//! The known facts, as values. Each file imports only files above it.
//!
//! | file | what it has |
//! |---|---|
//! | [`snapshot`] | what a good list of instances said |
//! | [`fleet_key`], [`fleet_health`] | one client id at one API URL, and how its lists go |
//! | [`account_entry`] | what is known of an account |
//! | [`failure`] | a call that failed |
//! | [`finalizers`] | the finalizers that others have set |
//! | [`capacity`] | the hardware on which an instance can be started now |
//! | [`args`] | the arguments of an instance: converted and compared |
//! | [`nearest`] | the models and the hardware that a misspelt name may have meant |
//! | [`defaults`] | the arguments of an instance: completed |
//! | [`notes`] | what the message of `Ready` says beside the state |
//! | [`patience`] | how long an object waits for what it needs |
//! | [`home`] | where a resource lives |
//! | [`drift_policy`] | whether what others did to an instance is to be left so |
//! | [`stop_order`] | which stopped instances the account's order to stop everything explains |
//! | [`known`] | the instances that a start cannot have made |
//! | [`sealed_id`] | the annotation that proves which instance was a resource's own |
//! | [`budget_wait`] | a start that waits for the account's budget |
//! | [`held_up`] | a start that waits for the open start of another resource |
//! | [`lookup`] | the gets of an instance that lists show |
//! | [`attempt`], [`bound`] | a call that was written ahead, a bound instance |
//! | [`memory`] | what this process remembers of one resource |
//! | `stored` | for tests: statuses as they are stored |

pub mod account_entry;
pub mod args;
pub mod attempt;
pub mod bound;
pub mod budget_wait;
pub mod capacity;
pub mod defaults;
pub mod drift_policy;
pub mod failure;
pub mod finalizers;
pub mod fleet_health;
pub mod fleet_key;
pub mod held_up;
pub mod home;
pub mod known;
pub mod lookup;
pub mod memory;
pub mod nearest;
pub mod notes;
pub mod patience;
pub mod sealed_id;
pub mod snapshot;
pub mod stop_order;
#[cfg(test)]
pub(crate) mod stored;
