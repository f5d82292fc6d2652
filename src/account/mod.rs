//! The CortecsAccount controller and its fleets.
//!
//! A [`fleet`] is one owner at one API: its client, its poll loop, the last good list. The [`directory`] holds accounts and fleets
//! for everyone; the [`controller`] keeps it up to date and writes the accounts' statuses. [`hooks`] is what the controller of
//! instances provides.

pub mod book;
pub mod brake;
pub mod controller;
pub mod credentials;
pub mod directory;
pub mod entry;
pub mod events;
pub mod fleet;
pub mod fleet_health;
pub mod fleet_key;
pub mod hold_record;
mod holds;
pub mod hooks;
pub mod installs;
pub mod key;
pub mod late;
mod look;
mod membership;
pub mod namespaces;
pub mod observe;
pub mod open_start;
pub mod owner;
pub mod poll;
pub mod pressure;
mod relay;
pub mod snapshot;
mod stand_off;
pub mod status;
pub mod turns;
mod watch;
mod write;
