//! Accounts that another operator manages: this operator writes nothing into them or into the resources that use them.

use cortecs_resources::{CortecsAccount, annotations, key::ObjectKey, reason::Reason};
use cortecs_rules::{
    account::manager::{Life, Manager, Other, decide_manager},
    event::EventText,
    facts::account_entry::AccountState,
};

use super::context::AccountController;

impl AccountController {
    /// Which operator manages the account.
    pub(crate) fn manager(&self, account: &CortecsAccount) -> Manager {
        let installs = &self.installs;
        let managed_by = account.status.as_ref().and_then(|s| s.managed_by.as_ref());
        let life = managed_by.map_or(Life::Unknown, |other| installs.life(other));
        let assigned = annotations::value(account, annotations::OPERATOR);
        decide_manager(installs.this_operator(), managed_by, assigned, life)
    }

    /// Leaves the account to another operator. The conditions of its resources, and an event in case of a contest, say so.
    pub(crate) async fn leave_to(&self, other: &Other, key: &ObjectKey, account: &CortecsAccount) {
        let Self {
            directory,
            metrics,
            events,
            installs,
            ..
        } = self;
        let message = other.explain(&installs.this_operator().namespace);
        directory.leave_fleet(key);
        metrics.remove_account(&key.to_string());
        metrics.set_contested(&key.to_string(), other.is_contest());
        let state = AccountState::Unusable {
            reason: Reason::ManagedElsewhere,
            message: message.clone(),
        };
        if !directory.record_state(account, state) {
            return;
        }
        directory.prune(&*self.claims);
        self.notify_instances(key);
        if other.is_contest() && self.leadership.may_act() {
            tracing::warn!(other = other.namespace, "{message}");
            let event = EventText {
                warning: true,
                reason: Reason::ManagedElsewhere.to_string(),
                note: message,
            };
            events.publish(account, vec![event]).await;
        }
    }

    /// Watches the other operators that accounts name, and reconciles these accounts when one starts or ends; never completes.
    pub(crate) async fn watch_other_operators(&self) {
        let Self {
            directory,
            installs,
            ..
        } = self;
        let managers = || {
            let all = directory.managers().into_iter();
            all.filter(|(_, manager)| manager.namespace != installs.this_operator().namespace)
        };
        let others = || managers().map(|(_, manager)| manager).collect();
        let on_change = || managers().for_each(|(account, _)| self.watches.add(account));
        installs.watch(others, on_change).await;
    }
}
