//! Decisions on accounts. Each file imports only files above it.
//!
//! | file | what it decides |
//! |---|---|
//! | [`allowed_hosts`] | which API hosts credentials are sent to |
//! | [`selector`] | whether it can be understood which namespaces the account allows |
//! | [`secret_value`] | what of a Secret's value is the credential |
//! | [`manager`] | which of several operators manages the account |
//! | [`brake`] | whether a list shows a mass change, and whether the account goes on hold |
//! | [`hold_record`] | the hold, as it is known even if the status loses it |
//! | [`stop_all`] | what `mode: StopAll` stops, and when |
//! | [`stop_parties`] | the accounts that a stop of everything concerns, and whether they permit it |
//! | [`late_starts`] | which late outcomes of starts are deleted |
//! | [`summary`] | counts of a list, and its unmanaged instances |
//! | [`status`] | the account's status |
//! | [`handover`] | what is said of an account that the assigned operator does not take |
//! | [`events`] | what a change of the status is worth telling |

pub mod allowed_hosts;
pub mod brake;
pub mod events;
pub mod handover;
pub mod hold_record;
pub mod late_starts;
pub mod manager;
pub mod secret_value;
pub mod selector;
pub mod status;
pub mod stop_all;
pub mod stop_parties;
pub mod summary;
