//! Fleets. A fleet is one owner at one API: its client, its poll loop and its last good list, however many accounts and
//! resources use it.
//!
//! | file | what it has |
//! |---|---|
//! | [`hooks`] | what a fleet asks of the controllers, and what it tells them |
//! | [`turns`] | whose turn it is to make a call |
//! | [`poll`] | one fleet: the loop that lists |
//! | [`api_calls`] | the count of a fleet's requests |
//! | [`allowed_namespaces`] | which namespaces may use an account |
//! | [`admission`] | what the mass-change brake remembers of a fleet |
//! | [`directory`] | every account and every fleet, as the controllers share them |
//! | `accounts` | of the directory: the accounts as the watch delivers them |
//! | `membership` | of the directory: which account belongs to which fleet |
//! | `holds` | of the directory: which fleets are held, and which lists are made known |
//! | [`summarize`] | a list, summed up by what the resources claim |
//! | [`relay`] | from a fleet's loop to the instances, the accounts and the metrics |

mod accounts;
pub mod admission;
pub mod allowed_namespaces;
pub mod api_calls;
pub mod directory;
pub(crate) mod holds;
pub mod hooks;
mod membership;
pub mod poll;
pub mod relay;
pub mod summarize;
pub mod turns;
