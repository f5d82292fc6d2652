//! What the random walks and the model checker share: a small API server, the instances of a small Cortecs API, and a
//! process that works with both through the real decisions, the real book and the real records.

mod cloud;
mod process;
mod server;

pub(super) use cloud::{Cloud, Effect, Instances};
pub(super) use process::{Landing, Moves, Process, Surroundings, Written, call_of, sealed_id_of};
pub(super) use server::Server;

use super::*;

/// An account of one's own, a catalog that knows the model, and all rules.
pub(super) fn surroundings() -> Surroundings {
    Surroundings {
        account: account(),
        named: Some(ObjectKey::new("ns", "main")),
        model: model(),
        settings: Settings {
            settle: SETTLE,
            rules: Rules::default(),
        },
        sharing: Sharing::Exclusive,
        held: false,
    }
}
