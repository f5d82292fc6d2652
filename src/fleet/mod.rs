//! Fleets. A fleet is the client, the poll loop and the last good list of one client id at one API. All accounts and resources
//! with this client id share the fleet.
//!
//! | file | what it has |
//! |---|---|
//! | [`hooks`] | the interfaces between fleets and controllers |
//! | [`turns`] | the order of the calls of a fleet |
//! | `finances` | the prices and the balance of a fleet |
//! | [`poll`] | one fleet and its poll loop |
//! | [`api_calls`] | the metrics of a fleet's requests |
//! | [`allowed_namespaces`] | which namespaces may use an account |
//! | [`admission`] | the data of the mass-change brake about a fleet |
//! | [`directory`] | all accounts and fleets, shared by the controllers |
//! | `accounts` | of the directory: accounts from the watch |
//! | `late` | of the directory: late outcomes of starts, where an account deletes them |
//! | `membership` | of the directory: which account belongs to which fleet |
//! | `holds` | of the directory: which fleets are on hold, and which lists are published |
//! | [`recorded`] | of the directory: what the accounts record of the resources that are gone |
//! | `stops` | of the directory: which accounts order to stop everything, and what came of the calls |
//! | `supervise` | a loop that panics begins anew |
//! | [`summarize`] | the summary of a list |
//! | [`relay`] | passes the lists of a fleet to the instances, the accounts and the metrics |

mod accounts;
pub mod admission;
pub mod allowed_namespaces;
pub mod api_calls;
pub mod directory;
mod finances;
pub(crate) mod holds;
pub mod hooks;
mod late;
mod membership;
pub mod poll;
pub mod recorded;
pub mod relay;
mod stops;
pub mod summarize;
mod supervise;
pub mod turns;
