//! `mode: StopAll`: the accounts that a stop of everything concerns, and whether they permit it. Pure.

use std::collections::BTreeSet;

use cortecs_resources::{
    account::{AccountMode, Sharing},
    key::ObjectKey,
};

use crate::{
    facts::{fleet_key::FleetKey, home::home_account, snapshot::Snapshot},
    ledger::book::Book,
};

/// An account that the stop of everything concerns: it has the client id, or may have it, or has an instance that would be stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    pub key: ObjectKey,
    pub mode: AccountMode,
    pub sharing: Sharing,
    /// Its status names this operator as its manager.
    pub is_managed_here: bool,
    /// It is known whether it is concerned.
    pub is_checked: bool,
}

/// The accounts through which resources claim instances of the list, also with another client id: those would be stopped too.
pub fn claiming_accounts(book: &Book, fleet: &FleetKey, list: &Snapshot) -> BTreeSet<ObjectKey> {
    let ids = list.instances.keys();
    let claimants = ids.flat_map(|id| book.present_and_future_claimants(&fleet.api_url, id));
    let claimants = claimants.filter_map(|key| book.get(key));
    claimants
        .filter_map(|entry| home_account(&entry.resource))
        .collect()
}

/// Whether everything in the fleet of an account is to be stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit {
    /// The account does not ask for it.
    NotAsked,
    /// It is not known yet.
    Waits(String),
    /// A person has to change something before.
    Refused(String),
    Given,
}

/// Whether everything is to be stopped that the account `me` reaches. `parties`: all accounts that it concerns, this one included.
pub fn permit(me: &ObjectKey, parties: &[Party]) -> Permit {
    let asks = |party: &&Party| party.mode == AccountMode::StopAll;
    if !parties.iter().filter(asks).any(|party| party.key == *me) {
        return Permit::NotAsked;
    }
    for Party {
        key, mode, sharing, ..
    } in parties.iter().filter(|party| party.is_checked)
    {
        if *sharing == Sharing::Shared {
            return Permit::Refused(format!(
                "nothing is stopped: account {key} has sharing: Shared, so others have instances there, and StopAll would stop those too. \
                 Set state: Stopped on the resources instead, or sharing: Exclusive if only this operator starts instances there"
            ));
        }
        if *mode != AccountMode::StopAll {
            return Permit::Refused(format!(
                "nothing is stopped: account {key} has the same client id, or instances of the same owner, and mode: {mode:?}, and StopAll would stop its instances too. Set its \
                 mode to StopAll too, or set state: Stopped on the resources of this account"
            ));
        }
    }
    if let Some(party) = parties.iter().find(|party| !party.is_checked) {
        return Permit::Waits(format!(
            "nothing is stopped yet: account {} is being checked, and may have the same client id",
            party.key
        ));
    }
    match parties.iter().find(|party| !party.is_managed_here) {
        Some(party) => Permit::Refused(format!(
            "nothing is stopped: the status of account {}, which has the same client id or instances of the same owner, does not name this operator as its \
             manager. Give that account to this operator by the annotation cortecs.ai/operator, or stop its resources there",
            party.key
        )),
        None => Permit::Given,
    }
}

/// Why nothing is stopped where the definition of accounts drops the record.
pub const DROPPED: &str = "nothing is stopped: the API server dropped status.stopAll of the account, since the CustomResourceDefinition of \
                           CortecsAccount is older than this operator. Apply the one of the same version, then restart the operator";

/// The facts by which it is decided whether an account orders a stop of everything.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    pub me: &'a ObjectKey,
    /// The mode of the account's spec.
    pub mode: AccountMode,
    /// All accounts that the stop concerns; `None` while the account has no fleet.
    pub parties: Option<&'a [Party]>,
    /// The API server drops the record of the order.
    pub is_dropped: bool,
    /// There is a list, which tells whose instances would be stopped.
    pub is_listed: bool,
    /// Accounts that are no parties have the same API.
    pub has_others: bool,
    /// All accounts and resources were read.
    pub is_read: bool,
}

/// Whether the account orders it, as far as that is known.
pub fn asked(situation: Situation<'_>) -> Permit {
    let Some(parties) = situation.parties else {
        // Its credentials do not work: nothing can be called, and nothing is over.
        return match situation.mode {
            AccountMode::StopAll => {
                Permit::Waits("nothing is stopped: the account cannot be used".to_owned())
            }
            AccountMode::Active | AccountMode::Hold => Permit::NotAsked,
        };
    };
    match permit(situation.me, parties) {
        Permit::NotAsked => Permit::NotAsked,
        _ if !situation.is_read => Permit::Waits(
            "nothing is stopped yet: the accounts and the resources are being read".to_owned(),
        ),
        Permit::Given if situation.is_dropped => Permit::Refused(DROPPED.to_owned()),
        Permit::Given if !situation.is_listed && situation.has_others => Permit::Waits(
            "nothing is stopped yet: the first list tells whether other accounts have instances of the same owner".to_owned(),
        ),
        permit => permit,
    }
}

#[cfg(test)]
#[path = "stop_parties_tests.rs"]
mod tests;
