//! The controller of accounts: watch, look, write what has changed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cortecs_clock as clock;
use cortecs_clock::Backoff;
use cortecs_resources::{CortecsAccount, key::ObjectKey};
use cortecs_rules::account::owner::Owner;
use futures::future::join_all;
use kube::runtime::controller::Action;
use tracing::Instrument;

use super::{
    context::{Context, wake},
    look::look,
    watch,
};
use crate::{
    account::context::{CONFLICT_PAUSE, LOOK_INTERVAL, Shared},
    fleet::relay::Relay,
    kubernetes::client::KubeError,
    serve::{metrics::ReconcileResult, signals::Shutdown, telemetry::reconcile_span},
};

/// The controller's name in metrics.
const CONTROLLER: &str = "cortecsaccount";

/// Watches and reconciles accounts until `shutdown` is requested; the reconciles under way are finished. The fleets live as long
/// as the directory does.
pub async fn run(context: Context, shutdown: Shutdown) {
    let scopes: Vec<Option<String>> = if context.namespaces.is_all() {
        vec![None]
    } else {
        context
            .namespaces
            .names()
            .map(|n| Some(n.to_owned()))
            .collect()
    };
    context.directory.expect_watches(scopes.len());
    let shared = Arc::new(Shared::new(context, scopes));
    let watches = shared
        .wakes
        .iter()
        .map(|(scope, wakes)| watch::run(&shared, scope.as_deref(), wakes, &shutdown));
    let chores = async {
        tokio::select! {
            () = shutdown.requested() => {}
            () = shared.keep_tidy() => {}
            () = shared.watch_others() => {}
        }
    };
    tokio::join!(join_all(watches), chores);
}

impl Shared {
    /// `scopes`: the namespaces watched, or one `None` for all.
    pub(crate) fn new(context: Context, scopes: Vec<Option<String>>) -> Self {
        let wakes = scopes.into_iter().map(|scope| (scope, Arc::default()));
        Self {
            context,
            wakes: wakes.collect(),
            backoffs: Mutex::default(),
        }
    }

    /// What a new fleet reports to.
    pub(crate) fn relay(&self) -> Arc<Relay> {
        let wakes = self.wakes.clone();
        Arc::new(Relay {
            directory: self.context.directory.downgrade(),
            claims: Arc::clone(&self.context.claims),
            listener: Arc::clone(&self.context.listener),
            wakes: Arc::new(move |accounts| wake(&wakes, accounts)),
            metrics: self.context.metrics.clone(),
        })
    }

    /// Tells that an account's entry has changed.
    pub(crate) fn tell(&self, account: &ObjectKey) {
        let listener = &self.context.listener;
        listener.on_account_changed(&account.namespace, &account.name);
    }

    /// Takes leave of an account that is gone.
    pub(crate) fn forget(&self, account: &ObjectKey) {
        self.backoffs().remove(account);
        self.context.metrics.remove_account(&account.to_string());
        self.tell(account);
        self.context.directory.prune(&*self.context.claims);
    }

    /// Once a minute: fleets that nobody needs any more, and series that a late answer brought back.
    async fn keep_tidy(&self) {
        let directory = &self.context.directory;
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            directory.prune(&*self.context.claims);
            self.context.metrics.retain_accounts(|account| {
                account
                    .split_once('/')
                    .is_none_or(|(namespace, name)| directory.account(namespace, name).is_some())
            });
        }
    }

    /// One reconcile. What it does at most, in order: look, finalizer, status.
    pub(crate) async fn reconcile(
        self: Arc<Self>,
        account: Arc<CortecsAccount>,
    ) -> Result<Action, KubeError> {
        let span = reconcile_span(CONTROLLER, &*account);
        let ended = self.look_and_write(&account).instrument(span.clone()).await;
        if let Err(error) = &ended {
            span.in_scope(|| tracing::warn!(%error, "reconcile failed and is repeated"));
        }
        ended
    }

    async fn look_and_write(&self, account: &CortecsAccount) -> Result<Action, KubeError> {
        let guard = self.context.metrics.reconcile(CONTROLLER);
        let key = ObjectKey::of(account);
        if let Owner::Other(other) = self.owner(account) {
            self.stand_off(&key, account, &other).await;
            guard.finish(ReconcileResult::RequeueAfter);
            return Ok(Action::requeue(LOOK_INTERVAL));
        }
        let name = key.to_string();
        self.context.metrics.set_contested(&name, false);
        self.context.metrics.account_seen(&name, clock::moment());
        let soon = self.look_and_tell(&key, account).await;
        let action = match self.write(&key, account).await {
            Ok(_) if soon => self.back_off(&key),
            Err(error) if error.is_conflict() => Action::requeue(CONFLICT_PAUSE),
            Err(error) if error.is_not_found() => Action::await_change(),
            result => result?,
        };
        if !soon {
            self.backoffs().remove(&key);
        }
        guard.finish(ReconcileResult::RequeueAfter);
        Ok(action)
    }

    /// After an error.
    pub(crate) fn after_error(&self, account: &CortecsAccount) -> Action {
        self.back_off(&ObjectKey::of(account))
    }

    /// The wait grows with each failure.
    fn back_off(&self, key: &ObjectKey) -> Action {
        let mut backoffs = self.backoffs();
        let backoff = backoffs.entry(key.clone()).or_default();
        Action::requeue(backoff.next(fastrand::f64(), None).min(LOOK_INTERVAL))
    }

    /// Whether what was found may change at any time, so that another look is worth while soon.
    async fn look_and_tell(&self, key: &ObjectKey, account: &CortecsAccount) -> bool {
        let users = self.context.claims.users(&key.namespace, &key.name);
        let found = look(self, account, users > 0).await;
        let soon = found.state.is_passing() || found.state.awaits_secret();
        if self.context.directory.settle(account, found.state) {
            self.tell(key);
        }
        for doubted in &found.doubted {
            self.tell(doubted);
        }
        wake(&self.wakes, found.doubted);
        soon
    }

    /// Wakes the account's reconcile.
    pub(crate) fn wake(&self, account: ObjectKey) {
        wake(&self.wakes, vec![account]);
    }

    fn backoffs(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Backoff>> {
        self.backoffs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
