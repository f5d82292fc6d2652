//! All accounts and fleets, shared by the controllers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use cortecs_api::Credentials;
use cortecs_clock::Moment;
use cortecs_resources::{
    CortecsAccount,
    account::{AccountMode, Hold, Sharing},
    budget::Budget,
    key::ObjectKey,
};
use cortecs_rules::{
    account::{hold_record::HoldRecord, late_starts::Late, stop_all::Calls, summary::Summary},
    cost::bill::Recorded,
    facts::{
        account_entry::{AccountEntry, AccountState},
        fleet_key::FleetKey,
    },
    ledger::book::Scope,
    pacing::schedule::PollSettings,
};
use kube::ResourceExt;
use tokio::sync::watch;

use super::{
    admission::FleetBrake, allowed_namespaces::NamespaceLabels, api_calls::ApiObserver, poll::Fleet,
};
use crate::kubernetes::client::KubeError;
use crate::mutex::lock;

/// The accounts of the watched namespaces, and their fleets. Clones share the same data.
#[derive(Clone)]
pub struct Directory {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    namespaces: NamespaceLabels,
    /// Whether accounts record the holds of their fleets. If not, this process remembers them.
    pub(super) records_holds: bool,
    state: Mutex<State>,
    pub(super) synced: watch::Sender<bool>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) accounts: BTreeMap<ObjectKey, Record>,
    pub(crate) fleets: BTreeMap<FleetKey, FleetRecord>,
    /// How many watches have not received their first list; `None` before they start.
    pub(crate) unlisted: Option<usize>,
    /// The scopes whose first list was received.
    pub(crate) listed: BTreeSet<Scope>,
    /// The accounts of the first lists that have not been reconciled yet.
    pub(crate) unchecked: BTreeSet<ObjectKey>,
}

pub(crate) struct Record {
    pub(crate) uid: Option<String>,
    pub(crate) entry: Arc<AccountEntry>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) read_at: Option<Moment>,
    /// The fleet that the account belongs to. It stays when the account becomes unusable.
    pub(crate) fleet: Option<FleetKey>,
    pub(crate) holds: HoldRecord,
    pub(crate) recorded: Arc<Recorded>,
    /// The hold whose end this process is writing.
    pub(crate) ending: Option<Hold>,
}

pub(crate) struct FleetRecord {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) observer: Arc<ApiObserver>,
    /// The summary that the accounts were last enqueued for.
    pub(crate) summary: Option<Summary>,
    /// The accounts were enqueued to show a failure, so they are enqueued again after its end.
    pub(crate) failure_shown: bool,
    /// The hold that the accounts and resources were last enqueued for.
    pub(crate) shown_hold: Option<(ObjectKey, Hold)>,
    pub(crate) brake: FleetBrake,
    /// The calls that stop everything.
    pub(crate) stop_calls: Calls,
    pub(crate) late: Late,
}

/// The result of the last evaluation of an account.
#[derive(Clone, Default)]
pub(crate) struct Remembered {
    pub state: AccountState,
    pub credentials: Option<Credentials>,
    pub read_at: Option<Moment>,
    pub fleet: Option<FleetKey>,
}

impl Directory {
    /// An empty directory. `client` reads the labels of namespaces.
    pub fn new(client: kube::Client) -> Self {
        Self::make(client, true)
    }

    /// The same for a process that writes nothing into accounts.
    pub fn read_only(client: kube::Client) -> Self {
        Self::make(client, false)
    }

    fn make(client: kube::Client, records_holds: bool) -> Self {
        Self {
            inner: Arc::new(Inner {
                namespaces: NamespaceLabels::new(client),
                records_holds,
                state: Mutex::default(),
                synced: watch::Sender::new(false),
            }),
        }
    }

    /// The account. Before [`Self::synced`] is true, `None` does not mean that there is no such account.
    pub fn account(&self, namespace: &str, name: &str) -> Option<Arc<AccountEntry>> {
        let key = ObjectKey::new(namespace, name);
        let state = self.state();
        state.accounts.get(&key).map(|r| Arc::clone(&r.entry))
    }

    /// The fleet. A fleet outlives its accounts as long as resources have instances or open starts in it.
    pub fn fleet(&self, key: &FleetKey) -> Option<Arc<Fleet>> {
        self.state().fleets.get(key).map(|r| Arc::clone(&r.fleet))
    }

    /// Makes the resource busy in `fleet`, and idle in all others: the others no longer list for the resource, and end its turn.
    pub fn set_busy(&self, resource: &ObjectKey, fleet: Option<&FleetKey>) {
        for known in self.fleets() {
            let busy = Some(known.key()) == fleet;
            if known.set_busy(resource, busy) && !busy {
                known.turns().decline(resource);
            }
        }
    }

    /// All fleets.
    pub(crate) fn fleets(&self) -> Vec<Arc<Fleet>> {
        let state = self.state();
        state
            .fleets
            .values()
            .map(|r| Arc::clone(&r.fleet))
            .collect()
    }

    /// Whether each account of the first lists has been reconciled.
    pub fn synced(&self) -> bool {
        *self.inner.synced.borrow()
    }

    /// Completes when [`Self::synced`] is true.
    pub async fn wait_until_synced(&self) {
        // An error is impossible: self keeps the sender.
        let _ = self
            .inner
            .synced
            .subscribe()
            .wait_for(|synced| *synced)
            .await;
    }

    /// The credentials that the account's Secret had at its last read.
    pub fn credentials(&self, account: &ObjectKey) -> Option<Credentials> {
        self.state().accounts.get(account)?.credentials.clone()
    }

    /// The strictest mode of the fleet's accounts; `Hold` without an account.
    pub fn mode(&self, key: &FleetKey) -> AccountMode {
        let state = self.state();
        let modes = state.members(key).map(|(_, r)| r.entry.spec.mode);
        modes.max().unwrap_or(AccountMode::Hold)
    }

    /// An account of the fleet with the strictest mode.
    pub fn mode_of(&self, key: &FleetKey) -> Option<ObjectKey> {
        let state = self.state();
        let strictest = state.members(key).max_by_key(|(_, r)| r.entry.spec.mode);
        strictest.map(|(account, _)| account.clone())
    }

    /// The strictest sharing of the fleet's accounts; `Shared` without an account.
    pub fn sharing(&self, key: &FleetKey) -> Sharing {
        let state = self.state();
        let sharing = state.members(key).map(|(_, r)| r.entry.spec.sharing);
        sharing.max().unwrap_or(Sharing::Shared)
    }

    /// The budgets of the fleet's accounts, each with the name of its account.
    pub fn budgets(&self, key: &FleetKey) -> Vec<(ObjectKey, Budget)> {
        let state = self.state();
        let budget = |(key, record): (&ObjectKey, &Record)| {
            let budget = record.entry.spec.budget.clone()?;
            Some((key.clone(), budget))
        };
        state.members(key).filter_map(budget).collect()
    }

    /// Whether this is so for each of the fleet's accounts; not without an account.
    pub fn all_accounts(&self, key: &FleetKey, holds: impl Fn(&AccountEntry) -> bool) -> bool {
        let state = self.state();
        let mut members = state.members(key).peekable();
        members.peek().is_some() && members.all(|(_, record)| holds(&record.entry))
    }

    /// The accounts of the fleet, in order.
    pub fn accounts_of(&self, key: &FleetKey) -> Vec<ObjectKey> {
        self.state().member_keys(key)
    }

    /// Whether resources in `namespace` may use the account.
    ///
    /// # Errors
    /// If the labels of the namespace are needed and cannot be fetched.
    pub async fn allows(&self, entry: &AccountEntry, namespace: &str) -> Result<bool, KubeError> {
        let allowed = &entry.spec.allowed_namespaces;
        let namespaces = &self.inner.namespaces;
        namespaces
            .allows(allowed, &entry.namespace, namespace)
            .await
    }

    /// The result of the last evaluation of `account`; empty if the account has changed since.
    pub(crate) fn remembered(&self, account: &CortecsAccount) -> Remembered {
        let state = self.state();
        match state.accounts.get(&ObjectKey::of(account)) {
            Some(record) if record.is_of(account) => Remembered {
                state: record.entry.state.clone(),
                credentials: record.credentials.clone(),
                read_at: record.read_at,
                fleet: record.fleet.clone(),
            },
            _ => Remembered::default(),
        }
    }

    /// Records a read of the Secret. `credentials` is `None` if the Secret is missing or wrong.
    pub(crate) fn record_read(
        &self,
        account: &CortecsAccount,
        at: Moment,
        credentials: Option<&Credentials>,
    ) {
        let mut state = self.state();
        if let Some(record) = state.accounts.get_mut(&ObjectKey::of(account))
            && record.is_of(account)
        {
            record.read_at = Some(at);
            record.credentials = credentials.cloned();
        }
    }

    /// Records the state of `account`, unless the account has changed since the evaluation. Whether the state is new.
    pub(crate) fn record_state(&self, account: &CortecsAccount, found: AccountState) -> bool {
        let key = ObjectKey::of(account);
        let mut state = self.state();
        let Some(record) = state.accounts.get_mut(&key) else {
            return false;
        };
        if !record.is_of(account) {
            return false;
        }
        let changed = record.set_state(found);
        state.unchecked.remove(&key);
        self.update_synced(&state);
        changed
    }

    pub(super) fn update_synced(&self, state: &State) {
        if state.unlisted == Some(0) && state.unchecked.is_empty() {
            self.inner
                .synced
                .send_if_modified(|synced| !std::mem::replace(synced, true));
        }
    }

    pub(crate) fn downgrade(&self) -> WeakDirectory {
        WeakDirectory(Arc::downgrade(&self.inner))
    }

    /// Locks the state. The lock must not be kept across an await or a call of a hook.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.inner.state)
    }
}

/// A weak reference to a directory, for objects that the directory owns.
pub(crate) struct WeakDirectory(Weak<Inner>);

impl WeakDirectory {
    pub(crate) fn upgrade(&self) -> Option<Directory> {
        self.0.upgrade().map(|inner| Directory { inner })
    }
}

impl State {
    pub(crate) fn members(&self, key: &FleetKey) -> impl Iterator<Item = (&ObjectKey, &Record)> {
        self.accounts
            .iter()
            .filter(move |(_, record)| record.fleet.as_ref() == Some(key))
    }

    pub(crate) fn member_keys(&self, key: &FleetKey) -> Vec<ObjectKey> {
        self.members(key)
            .map(|(member, _)| member.clone())
            .collect()
    }

    /// Applies the settings of its accounts to a fleet.
    pub(crate) fn refresh(&self, key: &FleetKey) {
        let Some(record) = self.fleets.get(key) else {
            return;
        };
        let settings = self
            .members(key)
            .map(|(_, r)| PollSettings::from(&r.entry.spec.poll));
        if let Some(settings) = settings.reduce(PollSettings::strictest) {
            record.fleet.set_settings(settings);
        }
        let needs_balance = self.members(key).any(|(_, record)| {
            let budget = record.entry.spec.budget.as_ref();
            budget.is_some_and(|budget| budget.min_balance.is_some())
        });
        record.fleet.finances().watch_balance(needs_balance);
        if let Some((first, _)) = self.members(key).next() {
            record.observer.set_account(first);
        }
    }
}

impl Record {
    /// Whether the evaluation in this record is about this version of `account`.
    pub(crate) fn is_of(&self, account: &CortecsAccount) -> bool {
        self.uid == account.uid()
            && self.entry.spec.api_url == account.spec.api_url
            && self.entry.spec.credentials_secret_ref == account.spec.credentials_secret_ref
    }

    pub(crate) fn set_state(&mut self, state: AccountState) -> bool {
        let changed = self.entry.state != state;
        if changed {
            let entry = (*self.entry).clone();
            self.entry = Arc::new(AccountEntry { state, ..entry });
        }
        changed
    }
}
