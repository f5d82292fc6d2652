//! Accounts that another operator manages: this operator writes nothing into them or into the resources that use them.

use std::time::Duration;

use cortecs_clock as clock;
use cortecs_resources::{CortecsAccount, annotations, key::ObjectKey, reason::Reason};
use cortecs_rules::{
    account::{
        handover,
        manager::{Other, other_manager},
    },
    event::EventText,
    facts::account_entry::AccountState,
};

use kube::{ResourceExt, api::PostParams};

use super::context::{AccountController, RESYNC_INTERVAL};
use crate::kubernetes::client::{KubeError, bounded_write};

fn is_managed_by(account: &CortecsAccount, namespace: &str) -> bool {
    let manager = account.status.as_ref().and_then(|s| s.managed_by.as_ref());
    manager.is_some_and(|manager| manager.namespace == namespace)
}

impl AccountController {
    /// The other operator that manages the account; none if this one does, or will.
    pub(crate) fn other_manager(&self, account: &CortecsAccount) -> Option<Other> {
        let managed_by = account.status.as_ref().and_then(|s| s.managed_by.as_ref());
        let managed_by = managed_by.map(|manager| manager.namespace.as_str());
        let assigned = annotations::value(account, annotations::OPERATOR);
        other_manager(&self.this_operator.namespace, managed_by, assigned)
    }

    /// Leaves the account to another operator. In case of a contest an event, the log and a metric say so; if that operator does not take
    /// it, its status does, too. Returns when to look again.
    pub(crate) async fn leave_to(
        &self,
        other: &Other,
        key: &ObjectKey,
        account: &CortecsAccount,
    ) -> Result<Duration, KubeError> {
        let left_for = self.note_left(key, other);
        let is_overdue = other.is_assigned && left_for >= self.handover_patience;
        let is_taken = is_managed_by(account, &other.namespace);
        self.leave(other, key, account, is_overdue && !is_taken)
            .await;
        if is_overdue {
            self.tell_unclaimed(other, account).await?;
            return Ok(RESYNC_INTERVAL);
        }
        let left = self.handover_patience.saturating_sub(left_for);
        Ok(match other.is_assigned && !is_taken {
            true => left.min(RESYNC_INTERVAL).max(Duration::from_millis(10)),
            false => RESYNC_INTERVAL,
        })
    }

    /// For how long this process has left the account to this operator.
    fn note_left(&self, key: &ObjectKey, other: &Other) -> Duration {
        let now = clock::moment();
        let mut left = self.left_to();
        let entry = left
            .entry(key.clone())
            .and_modify(|(namespace, since)| {
                if *namespace != other.namespace {
                    (*namespace, *since) = (other.namespace.clone(), now);
                }
            })
            .or_insert_with(|| (other.namespace.clone(), now));
        now.since(entry.1)
    }

    /// The status says that nobody has taken the account, unless it does already.
    async fn tell_unclaimed(
        &self,
        other: &Other,
        account: &CortecsAccount,
    ) -> Result<(), KubeError> {
        let us = &self.this_operator.namespace;
        let said = handover::unclaimed(us, &other.namespace, account.status.as_ref());
        let Some(said) = said.filter(|_| self.leadership.may_act() && !self.read_only) else {
            return Ok(());
        };
        tracing::warn!(account = %ObjectKey::of(account), "{said}");
        let previous = account.status.clone().unwrap_or_default();
        let generation = account.metadata.generation.unwrap_or_default();
        let status = handover::next_status(&previous, generation, said.clone(), clock::wall());
        let mut next = account.clone();
        next.status = Some(status);
        let written = bounded_write(
            "write the account's status",
            self.api(account)
                .replace_status(&account.name_any(), &PostParams::default(), &next),
        )
        .await?;
        let event = EventText {
            warning: true,
            reason: Reason::ManagedElsewhere.to_string(),
            note: said,
        };
        self.events.publish(&written, vec![event]).await;
        Ok(())
    }

    async fn leave(
        &self,
        other: &Other,
        key: &ObjectKey,
        account: &CortecsAccount,
        is_unclaimed: bool,
    ) {
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
        let contested = other.is_contest() || is_unclaimed;
        metrics.set_contested(&key.to_string(), contested);
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
