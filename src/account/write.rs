//! The writes into an account: its finalizer and its status.

use std::time::Duration;

use cortecs_clock as clock;
use cortecs_resources::{
    ACCOUNT_FINALIZER, CortecsAccount,
    account::CortecsAccountStatus,
    annotations,
    conditions::{READY, is_true},
    key::ObjectKey,
};
use cortecs_rules::{
    account::{
        events::derive_events,
        selector::flaw,
        status::{Deletion, View, next_status, tells_of_deletion},
    },
    cost::bill::{Bill, Recorded},
    facts::{
        account_entry::{AccountEntry, AccountState},
        finalizers, notes,
    },
};
use jiff::SignedDuration;
use kube::{Api, ResourceExt, api::PostParams};

use super::{
    context::{AccountController, CONFLICT_PAUSE, RESYNC_INTERVAL},
    hold::{hold_message, next_hold},
};
use crate::kubernetes::{
    client::{KubeError, bounded_write},
    controller::Requeue,
    metadata,
};

/// How often a deleted account is reconciled while resources use it: the end of their use triggers no reconcile.
const IN_USE_INTERVAL: Duration = Duration::from_secs(5);
/// The most names of resources in a message.
const MAX_NAMES: usize = 3;

/// What came of a write of the status.
struct Written {
    /// The status has changed.
    is_new: bool,
    /// When the next bills of resources are due.
    due: Option<Duration>,
}

impl AccountController {
    /// Makes at most one write, and another one if Kubernetes refuses that.
    pub(crate) async fn write(
        &self,
        key: &ObjectKey,
        account: &CortecsAccount,
    ) -> Result<Requeue, KubeError> {
        let Self {
            directory, claims, ..
        } = self;
        let Some(entry) = directory.account(&key.namespace, &key.name) else {
            return Ok(Requeue::OnChange);
        };
        let again = Requeue::After(RESYNC_INTERVAL.mul_f64(0.95 + 0.1 * fastrand::f64()));
        if self.read_only || !self.leadership.may_act() {
            return Ok(again);
        }
        let deleting = account.metadata.deletion_timestamp.is_some();
        let has_finalizer = account.finalizers().iter().any(|f| f == ACCOUNT_FINALIZER);
        if !deleting && !has_finalizer {
            // The watch then delivers the account with the resourceVersion that the write of the status needs.
            let added =
                metadata::add_finalizer(&self.api(account), account, ACCOUNT_FINALIZER).await;
            self.show_refusal(account, &entry, None, added).await?;
            return Ok(again);
        }
        if deleting && !has_finalizer {
            return Ok(Requeue::OnChange);
        }
        if !claims.synced() {
            // The users of the account are not known yet.
            return Ok(Requeue::After(CONFLICT_PAUSE));
        }
        if !deleting {
            let next = self.write_status(account, &entry, None, None).await?;
            return Ok(next.due.map_or(again, Requeue::After));
        }
        let users = claims.users(key);
        let deletion = Deletion {
            used_by: users.len(),
            users: users.into_iter().take(MAX_NAMES).collect(),
            finalizers: finalizers::of_others(account.finalizers(), ACCOUNT_FINALIZER),
        };
        let deletion = Some(deletion);
        if deletion.as_ref().is_some_and(|d| d.used_by > 0) {
            let next = self.write_status(account, &entry, deletion, None).await?;
            return Ok(Requeue::After(next.due.unwrap_or(IN_USE_INTERVAL)));
        }
        // What stays of the account says what it waits for. An account that cannot be written goes as well.
        if deletion.as_ref().is_some_and(|d| d.finalizers.is_some())
            && !tells_of_deletion(account.status.as_ref())
            && let Ok(Written { is_new: true, .. }) = self
                .write_status(account, &entry, deletion.clone(), None)
                .await
        {
            return Ok(Requeue::After(CONFLICT_PAUSE));
        }
        let removed =
            metadata::remove_finalizer(&self.api(account), account, ACCOUNT_FINALIZER).await;
        self.show_refusal(account, &entry, deletion, removed)
            .await?;
        Ok(Requeue::OnChange)
    }

    /// The status says what Kubernetes has against a change of the finalizers.
    async fn show_refusal(
        &self,
        account: &CortecsAccount,
        entry: &AccountEntry,
        deletion: Option<Deletion>,
        changed: Result<CortecsAccount, KubeError>,
    ) -> Result<(), KubeError> {
        match changed {
            Err(error) if error.is_refused() => {
                let refused = Some(error.to_string());
                self.write_status(account, entry, deletion, refused).await?;
                Err(error)
            }
            other => other.map(drop),
        }
    }

    /// Writes the status if it has changed. `refused`: what Kubernetes has against a change of the finalizers.
    async fn write_status(
        &self,
        account: &CortecsAccount,
        entry: &AccountEntry,
        deletion: Option<Deletion>,
        refused: Option<String>,
    ) -> Result<Written, KubeError> {
        let directory = &self.directory;
        let fleet_key = match &entry.state {
            AccountState::Usable(key) => Some(key.clone()),
            _ => directory.remembered(account).fleet,
        };
        let fleet = fleet_key.and_then(|key| directory.fleet(&key));
        let snapshot = fleet.as_ref().and_then(|fleet| fleet.snapshot());
        let summary = fleet
            .as_ref()
            .and_then(|fleet| directory.summary(fleet.key()));
        let now = clock::wall();
        let previous = account.status.clone().unwrap_or_default();
        let key = ObjectKey::of(account);
        let (hold, last_handled_resume) = next_hold(self, account, fleet.as_deref(), now);
        let hold_ended = match &hold {
            Some(_) => None,
            None => directory.hold_record(&key).end(now),
        };
        let held = fleet
            .as_ref()
            .and_then(|fleet| hold_message(directory, fleet.key(), &key, hold.as_ref()));
        let stop = self.plan_stop(&key, now);
        let age = snapshot.map(|snapshot| clock::moment().since(snapshot.received_at));
        let age = age.and_then(|age| SignedDuration::try_from(age).ok());
        let (settlement, due) = self.claims.settlement(&key, &previous.settled);
        let view = View {
            generation: account.metadata.generation.unwrap_or_default(),
            state: entry.state.clone(),
            unpaid: fleet.as_ref().and_then(|fleet| fleet.turns().unpaid()),
            health: fleet.map(|fleet| fleet.health()).unwrap_or_default(),
            summary: summary.as_ref(),
            listed_at: age.and_then(|age| now.checked_sub(age).ok()),
            // Nothing is started with an account that may go at any time.
            managed_by: match (&refused, &deletion) {
                (Some(_), None) => previous.managed_by.clone(),
                _ => Some(self.this_operator.clone()),
            },
            deletion,
            selector_flaw: flaw(&account.spec.allowed_namespaces),
            notes: notes::ignored_annotations(
                account,
                &[annotations::RESUME, annotations::OPERATOR],
            )
            .into_iter()
            .collect(),
            refused,
            hold,
            last_handled_resume,
            hold_ended,
            stop_all: stop.record.clone(),
            stage: stop.stage.clone(),
            held,
            settlement,
        };
        let status = next_status(&previous, &view, now);
        let is_ready = is_true(&status.as_ref().unwrap_or(&previous).conditions, READY);
        self.metrics.set_ready(&key.to_string(), is_ready);
        let Some(status) = status else {
            self.stop_is_recorded(&stop);
            return Ok(Written { is_new: false, due });
        };
        if !self.leadership.may_act() {
            directory.abandon_release(&key);
            return Ok(Written { is_new: false, due });
        }
        if hold_ended.is_some() {
            directory.mark_ending(&key);
        }
        let recorded = Recorded::of(&status);
        let mut next = account.clone();
        let events = derive_events(&key, &previous, &status);
        next.status = Some(status);
        let api = self.api(account);
        let name = account.name_any();
        let written = bounded_write(
            "write the account's status",
            api.replace_status(&name, &PostParams::default(), &next),
        )
        .await;
        match written {
            Ok(written) => {
                let manager = |s: &CortecsAccountStatus| s.managed_by.is_some();
                if view.managed_by.is_some() && !written.status.as_ref().is_some_and(manager) {
                    tracing::error!(
                        "the API server dropped status.managedBy of the account, so no instance is started with it: the CustomResourceDefinition \
                         of CortecsAccount is older than this operator, apply the one of the same version"
                    );
                }
                directory.record_spent(&written);
                self.check_recorded(&key, &recorded, &written, &view.settlement.bills);
                let settled = written.status.as_ref().map(|s| s.settled.as_slice());
                self.claims.settled(&key, settled.unwrap_or_default());
                let is_dropped = written.status.as_ref().is_none_or(|s| s.stop_all.is_none());
                match stop.record.is_some() && is_dropped {
                    true => self.stop_is_dropped(&stop),
                    false => self.stop_is_recorded(&stop),
                }
                if !events.is_empty() {
                    self.events.publish(&written, events).await;
                }
                Ok(Written { is_new: true, due })
            }
            Err(error) => {
                if !error.outcome_unknown() {
                    directory.abandon_release(&key);
                }
                Err(error)
            }
        }
    }

    /// Without this, an account whose definition lacks the fields would be written again and again.
    fn check_recorded(
        &self,
        key: &ObjectKey,
        sent: &Recorded,
        written: &CortecsAccount,
        bills: &[Bill],
    ) {
        let Some(missing) = sent.missing(written.status.as_ref()) else {
            return;
        };
        tracing::error!(
            account = %key, ?bills,
            "the API server dropped {missing} of the account, so it does not show what the resources that are gone have cost: the              CustomResourceDefinition of CortecsAccount is older than this operator, apply the one of the same version"
        );
        self.claims.dropped(key, bills);
    }

    pub(super) fn api(&self, account: &CortecsAccount) -> Api<CortecsAccount> {
        let namespace = account.namespace().unwrap_or_default();
        Api::namespaced(self.client.clone(), &namespace)
    }
}
