//! Accounts that another operator manages: they and what uses them are left alone, and people are told.

use cortecs_resources::{CortecsAccount, annotations, key::ObjectKey, reason::Reason};
use cortecs_rules::{
    account::owner::{Life, Other, Owner, decide_owner},
    event::EventText,
    facts::account_entry::AccountState,
};

use super::context::AccountController;

impl AccountController {
    /// Which operator manages the account.
    pub(crate) fn owner(&self, account: &CortecsAccount) -> Owner {
        let installs = &self.installs;
        let claim = account.status.as_ref().and_then(|s| s.managed_by.as_ref());
        let life = claim.map_or(Life::Unknown, |claim| installs.life(claim));
        let assigned = annotations::value(account, annotations::OPERATOR);
        decide_owner(installs.us(), claim, assigned, life)
    }

    /// Another operator manages the account: nothing is written, and what uses it is left alone. It is said where people look.
    pub(crate) async fn stand_off(&self, key: &ObjectKey, account: &CortecsAccount, other: &Other) {
        let Self {
            directory,
            metrics,
            events,
            installs,
            ..
        } = self;
        let message = other.explain(&installs.us().namespace);
        directory.leave(key);
        metrics.remove_account(&key.to_string());
        metrics.set_contested(&key.to_string(), other.is_contest());
        let state = AccountState::Unusable {
            reason: Reason::ManagedElsewhere,
            message: message.clone(),
        };
        if !directory.settle(account, state) {
            return;
        }
        self.tell(key);
        if other.is_contest() && self.leadership.may_act() {
            tracing::warn!(other = other.namespace, "{message}");
            let telling = EventText {
                warning: true,
                reason: Reason::ManagedElsewhere.to_string(),
                note: message,
            };
            events.publish(account, vec![telling]).await;
        }
    }

    /// Looks again at the accounts that other operators have claimed, when what is known of those changes; never completes.
    pub(crate) async fn watch_others(&self) {
        let Self {
            directory,
            installs,
            ..
        } = self;
        let claims = || {
            let all = directory.claims().into_iter();
            all.filter(|(_, claim)| claim.namespace != installs.us().namespace)
        };
        let named = || claims().map(|(_, claim)| claim).collect();
        let looked = || claims().for_each(|(account, _)| self.watches.add(account));
        installs.watch(named, looked).await;
    }
}
