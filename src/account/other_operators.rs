//! Accounts that another operator manages: this operator writes nothing into them or into the resources that use them.

use cortecs_resources::{CortecsAccount, annotations, key::ObjectKey, reason::Reason};
use cortecs_rules::{
    account::manager::{Other, other_manager},
    event::EventText,
    facts::account_entry::AccountState,
};

use super::context::AccountController;

impl AccountController {
    /// The other operator that manages the account; none if this one does, or will.
    pub(crate) fn other_manager(&self, account: &CortecsAccount) -> Option<Other> {
        let managed_by = account.status.as_ref().and_then(|s| s.managed_by.as_ref());
        let managed_by = managed_by.map(|manager| manager.namespace.as_str());
        let assigned = annotations::value(account, annotations::OPERATOR);
        other_manager(&self.this_operator.namespace, managed_by, assigned)
    }

    /// Leaves the account to another operator. In case of a contest an event, the log and a metric say so.
    pub(crate) async fn leave_to(&self, other: &Other, key: &ObjectKey, account: &CortecsAccount) {
        let Self {
            directory,
            metrics,
            events,
            this_operator,
            ..
        } = self;
        let message = other.explain(&this_operator.namespace);
        directory.leave_fleet(key);
        self.rest_from_stopping(key);
        self.rest_from_late(key);
        metrics.remove_account(&key.to_string());
        metrics.set_contested(&key.to_string(), other.is_contest());
        let state = AccountState::Unusable {
            reason: Reason::ManagedElsewhere,
            message: message.clone(),
        };
        let is_new = directory.record_state(account, state);
        // That operator takes the bills of resources that go from now on.
        self.claims.account_gone(key);
        if !is_new {
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
}
