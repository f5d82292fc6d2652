//! The input of a decision.

use std::{sync::Arc, time::Duration};

use cortecs_api::types::Model;
use cortecs_clock::Moment;
use cortecs_resources::{
    CortecsInstance,
    account::{AccountMode, Adoption, Sharing},
    budget::Budget,
    identity::AccountIdentity,
    key::ObjectKey,
    limits::Limits,
    reason::Reason,
};
use jiff::Timestamp;
use uuid::Uuid;

use super::protocol::Rules;
use crate::{
    cost::{Prices, money::Money},
    facts::{
        capacity::Capacity, failure::FailureKind, memory::Memory, snapshot::Snapshot,
        stop_order::StopOrder,
    },
    ledger::book::Book,
    pacing::pressure::Wait,
};

/// Everything that a decision may look at.
pub struct Input<'a> {
    pub key: &'a ObjectKey,
    /// The newest version that this process knows.
    pub resource: &'a CortecsInstance,
    pub account: &'a AccountView,
    pub book: &'a Book,
    pub memory: &'a Memory,
    /// The catalog's answer about `spec.modelId`, if it was asked.
    pub model: Option<&'a CatalogAnswer>,
    /// What the API last said about free hardware.
    pub capacity: &'a Capacity,
    pub settings: &'a Settings,
    pub now: Moment,
    pub wall: Timestamp,
    /// A fresh id, for an intent.
    pub uuid: Uuid,
}

/// What holds for all decisions of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a call may take to have its effect: at least four request time-outs.
    pub settle: Duration,
    pub rules: Rules,
    /// This process makes overdue stops and nothing else: it starts, restarts, replaces, adopts and deletes nothing.
    pub only_stops: bool,
}

impl Settings {
    /// The settings of the operator.
    pub fn new(settle: Duration) -> Self {
        Self {
            settle,
            rules: Rules::default(),
            only_stops: false,
        }
    }

    /// The settings of a process that makes overdue stops and nothing else.
    pub fn only_stops(settle: Duration) -> Self {
        Self {
            only_stops: true,
            ..Self::new(settle)
        }
    }

    /// How long after its intent a call may still be made.
    pub fn young(&self) -> Duration {
        self.settle / 4
    }

    /// How old the request of a list may be for the list to count as fresh: long enough for a slow answer.
    pub fn fresh(&self) -> Duration {
        (self.settle / 6).max(Duration::from_secs(10))
    }
}

/// The catalog's answer about a model.
pub type CatalogAnswer = Result<Arc<Model>, CatalogProblem>;

/// Why the catalog has no answer about a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogProblem {
    /// The same request would fail again until something changes.
    pub terminal: bool,
    pub message: String,
    /// The names of models that may have been meant.
    pub nearest: Vec<String>,
}

/// The accounts that concern the resource.
#[derive(Clone, Debug)]
pub struct AccountView {
    /// The name of the account that the spec names, or of the default one.
    pub named: Option<ObjectKey>,
    /// This process has not checked the account yet, so nothing that it says is known.
    pub unchecked: bool,
    /// The account that the spec names.
    pub desired: Desired,
    /// What the account permits in which the bound instance or the open start lives, also while it cannot be used; without one, what the named
    /// one permits. `None` while it is not known.
    pub limits: Option<Limits>,
    /// The fleet in which the bound instance or the open start lives; without one, the desired account's.
    pub fleet: Option<FleetView>,
}

/// The account that the spec names.
#[derive(Clone, Debug)]
pub enum Desired {
    /// The account is still being evaluated. The message says what is awaited.
    Pending(String),
    /// The account cannot be used. The reason is that of a condition.
    Unusable {
        reason: Reason,
        message: String,
    },
    Usable(Account),
}

/// An account that can be used.
#[derive(Clone, Debug)]
pub struct Account {
    pub identity: AccountIdentity,
    pub adoption: Adoption,
    /// The strictest of the accounts that share the client id.
    pub mode: AccountMode,
    /// The account that has this mode.
    pub mode_of: Option<Box<ObjectKey>>,
    /// The account is being deleted: stops and deletes go on, nothing is started.
    pub deleting: bool,
    /// What the account lets its users ask for. What ends a run is in [`AccountView::limits`].
    pub limits: Limits,
    /// The budgets of the accounts that share the client id, each with the name of its account.
    pub budgets: Vec<(ObjectKey, Budget)>,
    /// Whether `allowedNamespaces` lets the resource's namespace use it.
    pub allowed: bool,
    /// Why the account's URL is most likely wrong.
    pub wrong_url: Option<String>,
    /// It cannot be understood which namespaces `allowedNamespaces` selects.
    pub selector_invalid: bool,
}

/// The facts about a fleet.
#[derive(Clone, Debug, Default)]
pub struct FleetView {
    /// The strictest of the accounts that share the client id.
    pub sharing: Sharing,
    /// Whether namespaces that this operator does not watch may use the fleet.
    pub has_unseen_users: bool,
    pub snapshot: Option<Arc<Snapshot>>,
    /// Since when there are good lists, with no long gap between two of them.
    pub good_since: Moment,
    /// Why the last list failed.
    pub problem: Option<(FailureKind, String)>,
    /// Why an account of this fleet is on hold, if one is: nothing is started, and absence proves nothing.
    pub held: Option<String>,
    /// The order of its accounts to stop everything, until the resources have taken note.
    pub stop: Option<StopOrder>,
    /// The prices of the API, once they are known.
    pub prices: Option<Arc<Prices>>,
    /// The balance at the last look.
    pub balance: Option<Money>,
    /// The API's message when it began to fail or to ask for fewer calls, until a call works again.
    pub trouble: Option<Arc<str>>,
    /// Why a call about this resource has to wait.
    pub wait: Option<Wait>,
}
