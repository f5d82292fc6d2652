//! The controller of accounts: its watch, and its reconcile out of evaluate and write.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash},
    sync::Arc,
    time::Duration,
};

use cortecs_clock as clock;
use cortecs_resources::{
    CortecsAccount, annotations, decode::Decoded, key::ObjectKey, reason::Reason,
};
use cortecs_rules::{facts::account_entry::AccountState, ledger::book::Scope};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{ResourceExt, runtime::watcher::Event};

use super::{
    context::{AccountController, CONFLICT_PAUSE, RESYNC_INTERVAL},
    evaluate::evaluate,
};
use crate::kubernetes::{
    client::KubeError,
    controller::{ControllerOptions, Reconciler, Requeue, run as run_controller},
};

/// Watches and reconciles accounts until the shutdown is requested. The fleets live as long as the directory.
pub async fn run(controller: Arc<AccountController>, options: &ControllerOptions) {
    let watches = controller.watches.scopes().count();
    controller.directory.expect_watches(watches);
    let background = async {
        tokio::select! {
            () = options.shutdown.requested() => {}
            () = controller.clean_up_regularly() => {}
        }
    };
    tokio::join!(run_controller(options, Arc::clone(&controller)), background);
}

impl Reconciler for AccountController {
    type Object = CortecsAccount;
    const NAME: &'static str = "cortecsaccount";

    /// The order to resume, the assigned operator, the manager, and the order to stop everything.
    fn hash_relevant(account: &CortecsAccount, hasher: &mut DefaultHasher) {
        for name in [annotations::RESUME, annotations::OPERATOR] {
            account.annotations().get(name).hash(hasher);
        }
        // Of several operators, the first one that writes its name becomes the manager.
        let manager = account.status.as_ref().and_then(|s| s.managed_by.as_ref());
        manager.map(|m| (&m.namespace, &m.lease)).hash(hasher);
        // Calls follow once the watch has brought their record.
        let stop = account.status.as_ref().and_then(|s| s.stop_all.as_ref());
        stop.map(|stop| (stop.since, stop.end_time)).hash(hasher);
    }

    fn on_event(&self, scope: &Scope, event: &Event<Decoded<CortecsAccount>>) {
        match event {
            Event::Init => {
                self.listings().insert(scope.clone(), BTreeSet::new());
            }
            Event::InitApply(decoded) => {
                let mut listings = self.listings();
                let listed = listings.entry(scope.clone()).or_default();
                listed.insert(ObjectKey::of(decoded));
                drop(listings);
                self.upsert(decoded);
            }
            Event::InitDone => {
                let listed = self.listings().remove(scope).unwrap_or_default();
                for key in &self.directory.end_listing(scope, &listed) {
                    self.clean_up_after(key);
                }
            }
            Event::Apply(decoded) => self.upsert(decoded),
            Event::Delete(decoded) => {
                let key = ObjectKey::of(decoded);
                if self.directory.remove(&key) {
                    self.clean_up_after(&key);
                }
            }
        }
    }

    /// Evaluates the account, then writes its finalizer or its status.
    async fn reconcile(&self, account: Arc<CortecsAccount>) -> Result<Requeue, KubeError> {
        let key = ObjectKey::of(&*account);
        if let Some(other) = self.other_manager(&account) {
            return match self.leave_to(&other, &key, &account).await {
                Err(error) if error.is_conflict() => Ok(Requeue::After(CONFLICT_PAUSE)),
                Err(error) if error.is_not_found() => Ok(Requeue::OnChange),
                wait => wait.map(Requeue::After),
            };
        }
        self.left_to().remove(&key);
        let name = key.to_string();
        self.metrics.set_contested(&name, false);
        self.metrics.account_seen(&name, clock::moment());
        let is_passing = self.evaluate(&key, &account).await;
        let requeue = match self.write(&key, &account).await {
            Ok(_) if is_passing => Requeue::After(self.back_off(&account)),
            Err(error) if error.is_conflict() => Requeue::After(CONFLICT_PAUSE),
            Err(error) if error.is_not_found() => Requeue::OnChange,
            result => result?,
        };
        if !is_passing {
            self.backoffs().remove(&key);
        }
        if self.read_only {
            return Ok(requeue);
        }
        let stop = self.carry_out_stop(&key).await;
        // One call per reconcile.
        let late = match stop {
            Some(Duration::ZERO) => None,
            _ => self.carry_out_late(&key, &account).await,
        };
        Ok(match (stop.into_iter().chain(late).min(), requeue) {
            (Some(soon), Requeue::After(wait)) => Requeue::After(wait.min(soon)),
            (Some(soon), Requeue::OnChange) => Requeue::After(soon),
            (None, requeue) => requeue,
        })
    }

    fn conditions_to_write<'a>(&self, account: &'a CortecsAccount) -> Option<&'a [Condition]> {
        let may_write =
            self.leadership.may_act() && !self.read_only && self.other_manager(account).is_none();
        let status = account.status.as_ref();
        may_write.then(|| status.map_or(&[][..], |status| &status.conditions))
    }

    /// Its credentials serve stops and deletes; whoever manages it goes on to do so.
    async fn left_alone(&self, decoded: &Decoded<CortecsAccount>) -> Result<(), KubeError> {
        let Some(problem) = &decoded.problem else {
            return Ok(());
        };
        let account = self.directory.effective(decoded);
        let key = ObjectKey::of(&*account);
        let is_known = self.directory.remembered(&account).fleet.is_some();
        let fields = ["spec.apiUrl", "spec.credentialsSecretRef"];
        if let Some(other) = self.other_manager(&account) {
            self.leave_to(&other, &key, &account).await?;
        } else if is_known || !fields.iter().any(|field| problem.lacks(field)) {
            self.evaluate(&key, &account).await;
        } else {
            let state = AccountState::Unusable {
                reason: Reason::Unreadable,
                message: problem.to_string(),
            };
            self.directory.record_state(&account, state);
        }
        Ok(())
    }

    fn back_off(&self, account: &CortecsAccount) -> Duration {
        let mut backoffs = self.backoffs();
        let backoff = backoffs.entry(ObjectKey::of(account)).or_default();
        backoff.next(fastrand::f64(), None).min(RESYNC_INTERVAL)
    }
}

impl AccountController {
    fn upsert(&self, decoded: &Decoded<CortecsAccount>) {
        let key = ObjectKey::of(decoded);
        let account = &*self.directory.effective(decoded);
        let unreadable = decoded.problem.as_ref().map(ToString::to_string);
        if account.namespace().is_some() && self.directory.upsert(account, unreadable) {
            self.notify_instances(&key);
        }
        self.directory.record_spent(account);
        if self.directory.has_lost_hold(account) {
            self.watches.add(key);
        }
    }

    /// Removes all data about an account that is gone.
    fn clean_up_after(&self, account: &ObjectKey) {
        self.backoffs().remove(account);
        self.left_to().remove(account);
        self.rest_from_stopping(account);
        self.rest_from_late(account);
        self.metrics.remove_account(&account.to_string());
        self.claims.account_gone(account);
        self.notify_instances(account);
        self.directory.prune(&*self.claims);
    }

    /// Removes unused fleets once a minute, and metrics that a late response recorded after the account was gone.
    async fn clean_up_regularly(&self) {
        loop {
            tokio::time::sleep(RESYNC_INTERVAL).await;
            self.directory.prune(&*self.claims);
            self.metrics.retain_accounts(|account| {
                account.split_once('/').is_none_or(|(namespace, name)| {
                    self.directory.account(namespace, name).is_some()
                })
            });
        }
    }

    /// Evaluates the account and records its state. Whether the state may soon change without an event.
    async fn evaluate(&self, key: &ObjectKey, account: &CortecsAccount) -> bool {
        let in_use = !self.claims.users(key).is_empty();
        let found = evaluate(self, account, in_use).await;
        let is_passing = found.state.is_passing() || found.state.awaits_secret();
        if self.directory.record_state(account, found.state) {
            self.notify_instances(key);
        }
        for account in found.unverified {
            self.notify_instances(&account);
            self.watches.add(account);
        }
        is_passing
    }
}
