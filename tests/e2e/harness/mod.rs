//! What all end-to-end tests use: an environment of namespaces, accounts and a simulated API, and an operator that can be
//! killed.

mod accounts;
mod bed;
mod build;
pub(crate) mod crowd;
mod forward_proxy;
mod gate;
mod hanging_proxy;
mod logs;
mod operator;
mod policy;
mod process;
mod read;
mod record;
mod report;
mod resources;
mod shared;
mod tamper;
mod told;

pub(crate) use bed::{Bed, CLIENT_ID, mentions};
pub(crate) use build::BedBuilder;
pub(crate) use forward_proxy::{ForwardProxy, PASSWORD, PASSWORD_IN_URL, USER};
pub(crate) use gate::Gate;
pub(crate) use hanging_proxy::{Asked, HangingProxy, Hangs, Meddling};
pub(crate) use operator::{CrashPoint, Operator};
pub(crate) use policy::Policy;
pub(crate) use process::{Process, leads, stands_by};
pub(crate) use read::{Read, bound, is_ready, phase_is, running, stalled_because, stopped};
pub(crate) use record::{Key, Record, version_of};
pub(crate) use shared::{allow_lease_in, apply};
pub(crate) use tamper::seal_of;
pub(crate) use told::Told;

use std::time::Duration;

use serde_json::{Value, json};

/// The deadline for everything that should happen soon. It is long, since many tests share two cores.
pub(crate) const SOON: Duration = Duration::from_secs(90);

/// A model of the simulated catalog: its name at Hugging Face, its id in the API, its recommended hardware and its default context
/// length.
pub(crate) const MODEL: &str = "microsoft/phi-4";
pub(crate) const MODEL_ID: &str = "microsoft--phi-4";
pub(crate) const HARDWARE: &str = "NVIDIA_L40S_1";
pub(crate) const CONTEXT: i64 = 16_384;
/// Another model of the simulated catalog.
pub(crate) const OTHER_MODEL: &str = "google/gemma-2-9b-it";
pub(crate) const OTHER_MODEL_ID: &str = "google--gemma-2-9b-it";

/// The spec of an account that asks for a list every second.
pub(crate) fn polls_every_second() -> Value {
    json!({"poll": {"activeSeconds": 1, "idleSeconds": 1}})
}

pub(crate) fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}
