//! The controller of accounts: what it works with, and one reconcile from the look to the write.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash},
    sync::Arc,
    time::Duration,
};

use cortecs_clock as clock;
use cortecs_resources::{CortecsAccount, annotations, key::ObjectKey};
use cortecs_rules::{account::owner::Owner, ledger::book::Scope};
use kube::{ResourceExt, runtime::watcher::Event};

use super::{
    context::{AccountController, CONFLICT_PAUSE, LOOK_INTERVAL},
    look::look,
};
use crate::kubernetes::{
    client::KubeError,
    controller::{Reconciler, Requeue, Shell, run as run_controller},
};

/// Watches and reconciles accounts until the shutdown is asked for. The fleets live as long as the directory does.
pub async fn run(controller: Arc<AccountController>, shell: &Shell) {
    let watches = controller.watches.scopes().count();
    controller.directory.expect_watches(watches);
    let chores = async {
        tokio::select! {
            () = shell.shutdown.requested() => {}
            () = controller.keep_tidy() => {}
            () = controller.watch_others() => {}
        }
    };
    tokio::join!(run_controller(shell, Arc::clone(&controller)), chores);
}

impl Reconciler for AccountController {
    type Object = CortecsAccount;
    const NAME: &'static str = "cortecsaccount";

    /// The order to resume, and who manages the account: what else was written into the status, above all by this process,
    /// is no reason for a look.
    fn relevant(account: &CortecsAccount, hasher: &mut DefaultHasher) {
        annotations::value(account, annotations::RESUME).hash(hasher);
        annotations::value(account, annotations::OPERATOR).hash(hasher);
        // The first operator that writes its name gets the account: another one's name matters, and so does this one's.
        let manager = account.status.as_ref().and_then(|s| s.managed_by.as_ref());
        manager.map(|m| (&m.namespace, &m.lease)).hash(hasher);
    }

    fn note(&self, scope: &Scope, event: &Event<CortecsAccount>) {
        match event {
            Event::Init => {
                self.listings().insert(scope.clone(), BTreeSet::new());
            }
            Event::InitApply(account) => {
                let mut listings = self.listings();
                let listed = listings.entry(scope.clone()).or_default();
                listed.insert(ObjectKey::of(account));
                drop(listings);
                self.upsert(account);
            }
            Event::InitDone => {
                let listed = self.listings().remove(scope).unwrap_or_default();
                for key in &self.directory.listed(scope, &listed) {
                    self.forget(key);
                }
            }
            Event::Apply(account) => self.upsert(account),
            Event::Delete(account) => {
                let key = ObjectKey::of(account);
                if self.directory.remove(&key) {
                    self.forget(&key);
                }
            }
        }
    }

    /// What it does at most, in order: look, finalizer, status.
    async fn reconcile(&self, account: Arc<CortecsAccount>) -> Result<Requeue, KubeError> {
        let key = ObjectKey::of(&*account);
        if let Owner::Other(other) = self.owner(&account) {
            self.stand_off(&key, &account, &other).await;
            return Ok(Requeue::After(LOOK_INTERVAL));
        }
        let name = key.to_string();
        self.metrics.set_contested(&name, false);
        self.metrics.account_seen(&name, clock::moment());
        let soon = self.look_and_tell(&key, &account).await;
        let requeue = match self.write(&key, &account).await {
            Ok(_) if soon => Requeue::After(self.back_off(&account)),
            Err(error) if error.is_conflict() => Requeue::After(CONFLICT_PAUSE),
            Err(error) if error.is_not_found() => Requeue::OnChange,
            result => result?,
        };
        if !soon {
            self.backoffs().remove(&key);
        }
        Ok(requeue)
    }

    fn back_off(&self, account: &CortecsAccount) -> Duration {
        let mut backoffs = self.backoffs();
        let backoff = backoffs.entry(ObjectKey::of(account)).or_default();
        backoff.next(fastrand::f64(), None).min(LOOK_INTERVAL)
    }
}

impl AccountController {
    fn upsert(&self, account: &CortecsAccount) {
        let key = ObjectKey::of(account);
        if account.namespace().is_some() && self.directory.upsert(account) {
            self.tell(&key);
        }
        if self.directory.has_lost_hold(account) {
            self.watches.add(key);
        }
    }

    /// Takes leave of an account that is gone.
    fn forget(&self, account: &ObjectKey) {
        self.backoffs().remove(account);
        self.metrics.remove_account(&account.to_string());
        self.tell(account);
        self.directory.prune(&*self.claims);
    }

    /// Once a minute: fleets that nobody needs any more, and series that a late answer brought back.
    async fn keep_tidy(&self) {
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            self.directory.prune(&*self.claims);
            self.metrics.retain_accounts(|account| {
                account.split_once('/').is_none_or(|(namespace, name)| {
                    self.directory.account(namespace, name).is_some()
                })
            });
        }
    }

    /// Whether what was found may change at any time, so that another look is worth while soon.
    async fn look_and_tell(&self, key: &ObjectKey, account: &CortecsAccount) -> bool {
        let in_use = !self.claims.users(key).is_empty();
        let found = look(self, account, in_use).await;
        let soon = found.state.is_passing() || found.state.awaits_secret();
        if self.directory.settle(account, found.state) {
            self.tell(key);
        }
        for doubted in found.doubted {
            self.tell(&doubted);
            self.watches.add(doubted);
        }
        soon
    }
}
