//! What the random walks and the model checker share: a small API server, the instances of a small Cortecs API, and a
//! process that works with both through the real decisions, the real book and the real records.

mod cloud;
mod process;
mod seals;
mod server;

pub(super) use cloud::{Cloud, Effect, Instances};
pub(super) use process::{Landing, Moves, Process, Written, call_of};
pub(super) use seals::sealed_id_of;
pub(super) use server::Server;

/// The model that the API shows as `org--name`, spelt otherwise.
pub(super) const MISSPELT_MODEL: &str = "ORG/Name";

use super::*;
use crate::cost::Prices;

/// What is the same for every decision.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub account: Account,
    pub named: Option<ObjectKey>,
    pub model: CatalogAnswer,
    /// The catalog's answer about a model that is spelt otherwise.
    pub no_model: CatalogAnswer,
    pub settings: Settings,
    pub sharing: Sharing,
    /// The account is on hold.
    pub held: bool,
    /// The process has checked the accounts.
    pub checked: bool,
    pub prices: Option<Arc<Prices>>,
    /// The API's last answer about free hardware.
    pub capacity: Capacity,
}

impl Surroundings {
    /// The catalog's answer about the model of the resource.
    pub fn model_of(&self, resource: &CortecsInstance) -> &CatalogAnswer {
        match resource.spec.model_id == MISSPELT_MODEL {
            true => &self.no_model,
            false => &self.model,
        }
    }
}

/// An account of one's own, a catalog that knows the model, and all rules.
pub(super) fn surroundings() -> Surroundings {
    Surroundings {
        account: account(),
        named: Some(ObjectKey::new("ns", "main")),
        model: model(),
        no_model: failing_catalog(),
        settings: Settings::new(SETTLE),
        sharing: Sharing::Exclusive,
        held: false,
        checked: true,
        prices: None,
        capacity: Capacity::Unknown,
    }
}
