//! The controller of accounts: watch, look, write what has changed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use jiff::SignedDuration;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    runtime::controller::Action,
};
use serde_json::json;
use tracing::Instrument;

use crate::{
    resources::{ACCOUNT_FINALIZER, CortecsAccount},
    runtime::{
        allowed_hosts::AllowedHosts,
        backoff::Backoff,
        clock,
        config::Namespaces,
        events::Events,
        kube_client::{KubeError, bounded},
        leadership::Leadership,
        metrics::{Metrics, ReconcileResult},
        signals::Shutdown,
        telemetry::reconcile_span,
        wake::WakeSet,
    },
};

use super::{
    directory::Directory,
    entry::{AccountEntry, AccountState},
    events::derive_events,
    holds::{next_hold, why_held},
    hooks::{Claims, Listener},
    installs::Installs,
    key::ObjectKey,
    look::look,
    observe::summarize,
    owner::Owner,
    poll::PollLimits,
    relay::Relay,
    status::{View, next_status},
    watch,
};

/// The controller's name in metrics.
const CONTROLLER: &str = "cortecsaccount";
/// How often each account is looked at without an event. Most looks call nobody.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
/// How soon after somebody else's write came first.
const CONFLICT_PAUSE: Duration = Duration::from_secs(1);
/// How often a deletion asks whether somebody uses the account still: who goes tells nobody.
const IN_USE_INTERVAL: Duration = Duration::from_secs(5);
/// Most names in a message.
const MAX_NAMES: usize = 3;

/// What the controller works with.
#[derive(Clone)]
pub struct Context {
    pub kube: kube::Client,
    pub directory: Directory,
    pub claims: Arc<dyn Claims>,
    pub listener: Arc<dyn Listener>,
    pub allowed_hosts: AllowedHosts,
    pub leadership: Leadership,
    pub metrics: Metrics,
    pub events: Events,
    pub installs: Arc<Installs>,
    pub namespaces: Namespaces,
    /// Accounts reconciled at once.
    pub concurrency: u16,
    /// Bounds each request to the API.
    pub request_timeout: Duration,
    pub limits: PollLimits,
}

/// What the parts of the controller share.
pub(super) struct Shared {
    pub context: Context,
    pub(super) wakes: Vec<(Option<String>, Arc<WakeSet>)>,
    backoffs: Mutex<BTreeMap<ObjectKey, Backoff>>,
}

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
    pub(super) fn new(context: Context, scopes: Vec<Option<String>>) -> Self {
        let wakes = scopes.into_iter().map(|scope| (scope, Arc::default()));
        Self {
            context,
            wakes: wakes.collect(),
            backoffs: Mutex::default(),
        }
    }

    /// What a new fleet reports to.
    pub(super) fn relay(&self) -> Arc<Relay> {
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
    pub(super) fn tell(&self, account: &ObjectKey) {
        let listener = &self.context.listener;
        listener.on_account_changed(&account.namespace, &account.name);
    }

    /// Takes leave of an account that is gone.
    pub(super) fn forget(&self, account: &ObjectKey) {
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
    pub(super) async fn reconcile(
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
        self.context.metrics.set_contested(&key.to_string(), false);
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
    pub(super) fn after_error(&self, account: &CortecsAccount) -> Action {
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

    /// Makes at most one write.
    async fn write(&self, key: &ObjectKey, account: &CortecsAccount) -> Result<Action, KubeError> {
        let Context {
            directory, claims, ..
        } = &self.context;
        let Some(entry) = directory.account(&key.namespace, &key.name) else {
            return Ok(Action::await_change());
        };
        let again = Action::requeue(LOOK_INTERVAL.mul_f64(0.95 + 0.1 * fastrand::f64()));
        if !self.context.leadership.may_act() {
            return Ok(again);
        }
        let deleting = account.metadata.deletion_timestamp.is_some();
        let ours = account.finalizers().iter().any(|f| f == ACCOUNT_FINALIZER);
        if !deleting && !ours {
            let mut finalizers = account.finalizers().to_vec();
            finalizers.push(ACCOUNT_FINALIZER.to_owned());
            // The change comes back as an event, with the resource version that the status needs.
            self.set_finalizers(account, &finalizers).await?;
            return Ok(again);
        }
        if deleting && !ours {
            return Ok(Action::await_change());
        }
        if !claims.synced() {
            // Nothing is known of users and claims yet.
            return Ok(Action::requeue(CONFLICT_PAUSE));
        }
        if !deleting {
            self.write_status(account, &entry, None).await?;
            return Ok(again);
        }
        let users = claims.users(&key.namespace, &key.name);
        if users == 0 {
            let mut finalizers = account.finalizers().to_vec();
            finalizers.retain(|f| f != ACCOUNT_FINALIZER);
            self.set_finalizers(account, &finalizers).await?;
            return Ok(Action::await_change());
        }
        self.write_status(account, &entry, Some(users)).await?;
        Ok(Action::requeue(IN_USE_INTERVAL))
    }

    /// Wakes the account's reconcile.
    pub(super) fn wake(&self, account: ObjectKey) {
        wake(&self.wakes, vec![account]);
    }

    async fn set_finalizers(
        &self,
        account: &CortecsAccount,
        finalizers: &[String],
    ) -> Result<(), KubeError> {
        let patch = json!({"metadata": {
            "resourceVersion": account.resource_version(),
            "finalizers": finalizers,
        }});
        let api = self.api(account);
        let (name, params) = (account.name_any(), PatchParams::default());
        bounded(
            "set the account's finalizers",
            api.patch_metadata(&name, &params, &Patch::Merge(&patch)),
        )
        .await
        .map(drop)
    }

    /// Writes the status if it says anything new. `held_by`: so many resources hold up the deletion.
    async fn write_status(
        &self,
        account: &CortecsAccount,
        entry: &AccountEntry,
        held_by: Option<usize>,
    ) -> Result<(), KubeError> {
        let Context {
            directory, claims, ..
        } = &self.context;
        let fleet_key = match &entry.state {
            AccountState::Usable(key) => Some(key.clone()),
            _ => directory.remembered(account).fleet,
        };
        let fleet = fleet_key.and_then(|key| directory.fleet(&key));
        let snapshot = fleet.as_ref().and_then(|fleet| fleet.snapshot());
        let summary = fleet
            .as_ref()
            .zip(snapshot.as_deref())
            .map(|(fleet, snapshot)| summarize(fleet.key(), snapshot, &**claims));
        let now = clock::wall();
        let previous = account.status.clone().unwrap_or_default();
        let key = ObjectKey::of(account);
        let (hold, last_handled_resume) = next_hold(&self.context, account, fleet.as_deref(), now);
        let hold_ended = match &hold {
            Some(_) => None,
            None => directory.hold_record(&key).end(now),
        };
        let held = fleet
            .as_ref()
            .and_then(|fleet| why_held(directory, fleet.key(), &key, hold.as_ref()));
        let age = snapshot.map(|snapshot| clock::moment().since(snapshot.received_at));
        let age = age.and_then(|age| SignedDuration::try_from(age).ok());
        let holders = match held_by {
            Some(_) => claims.user_names(&entry.namespace, &entry.name, MAX_NAMES),
            None => Vec::new(),
        };
        let view = View {
            generation: account.metadata.generation.unwrap_or_default(),
            state: entry.state.clone(),
            health: fleet.map(|fleet| fleet.health()).unwrap_or_default(),
            summary: summary.as_ref(),
            listed_at: age.and_then(|age| now.checked_sub(age).ok()),
            held_by,
            holders,
            hold,
            last_handled_resume,
            hold_ended,
            managed_by: Some(self.context.installs.us().clone()),
            held,
        };
        let Some(status) = next_status(&previous, &view, now) else {
            return Ok(());
        };
        if !self.context.leadership.may_act() {
            directory.abandon_release(&key);
            return Ok(());
        }
        if hold_ended.is_some() {
            directory.begin_end(&key);
        }
        let mut next = account.clone();
        let events = derive_events(&key, &previous, &status);
        next.status = Some(status);
        let api = self.api(account);
        let name = account.name_any();
        let written = bounded(
            "write the account's status",
            api.replace_status(&name, &PostParams::default(), &next),
        )
        .await;
        match written {
            Ok(written) => {
                if written
                    .status
                    .as_ref()
                    .is_none_or(|s| s.managed_by.is_none())
                {
                    tracing::error!(
                        "the account cannot be claimed, so nothing is started with it: the definition of CortecsAccount is older \
                         than this operator, apply the one of its version"
                    );
                }
                if !events.is_empty() {
                    self.context.events.publish(&written, events).await;
                }
                Ok(())
            }
            Err(error) => {
                if !error.outcome_unknown() {
                    directory.abandon_release(&key);
                }
                Err(error)
            }
        }
    }

    fn api(&self, account: &CortecsAccount) -> Api<CortecsAccount> {
        let namespace = account.namespace().unwrap_or_default();
        Api::namespaced(self.context.kube.clone(), &namespace)
    }

    fn backoffs(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Backoff>> {
        self.backoffs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn wake(wakes: &[(Option<String>, Arc<WakeSet>)], accounts: Vec<ObjectKey>) {
    for (scope, wakes) in wakes {
        let watched = |key: &&ObjectKey| scope.as_ref().is_none_or(|scope| *scope == key.namespace);
        accounts
            .iter()
            .filter(watched)
            .for_each(|key| wakes.wake(key.clone()));
    }
}
