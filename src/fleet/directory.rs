//! Every account and every fleet, as the controllers share them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use cortecs_api::Credentials;
use cortecs_clock::Moment;
use cortecs_resources::{
    CortecsAccount,
    account::{AccountMode, Hold, ManagedBy, Sharing},
    key::ObjectKey,
};
use cortecs_rules::{
    account::{hold_record::HoldRecord, summary::Summary},
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

/// Every account of the watched namespaces and the fleets behind them. Clones share one content.
#[derive(Clone)]
pub struct Directory {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    namespaces: NamespaceLabels,
    state: Mutex<State>,
    pub(super) synced: watch::Sender<bool>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) accounts: BTreeMap<ObjectKey, Record>,
    pub(crate) fleets: BTreeMap<FleetKey, FleetRecord>,
    /// Watches whose first list has not come yet; `None` until they are started.
    pub(crate) unlisted: Option<usize>,
    /// The watches whose first list has come.
    pub(crate) listed: BTreeSet<Scope>,
    /// Accounts of the first lists that have not been looked at yet.
    pub(crate) awaited: BTreeSet<ObjectKey>,
}

pub(crate) struct Record {
    pub(crate) uid: Option<String>,
    pub(crate) entry: Arc<AccountEntry>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) read_at: Option<Moment>,
    /// The fleet that it belongs to. It stays when the account becomes unusable.
    pub(crate) fleet: Option<FleetKey>,
    pub(crate) holds: HoldRecord,
    /// The hold whose end this process is writing.
    pub(crate) ending: Option<Hold>,
}

pub(crate) struct FleetRecord {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) observer: Arc<ApiObserver>,
    /// What the accounts were woken for last.
    pub(crate) summary: Option<Summary>,
    /// The accounts were told of a failure.
    pub(crate) troubled: bool,
    /// The hold that those who use the fleet were told of last.
    pub(crate) told_hold: Option<(ObjectKey, Hold)>,
    pub(crate) brake: FleetBrake,
}

/// What is remembered of the last look at an account.
#[derive(Clone, Default)]
pub(crate) struct Remembered {
    pub state: AccountState,
    pub credentials: Option<Credentials>,
    pub read_at: Option<Moment>,
    pub fleet: Option<FleetKey>,
}

impl Directory {
    /// An empty directory. `client` is used for the labels of namespaces.
    pub fn new(client: kube::Client) -> Self {
        Self {
            inner: Arc::new(Inner {
                namespaces: NamespaceLabels::new(client),
                state: Mutex::default(),
                synced: watch::Sender::new(false),
            }),
        }
    }

    /// The account; `None` when there is none, once [`Self::synced`] holds.
    pub fn account(&self, namespace: &str, name: &str) -> Option<Arc<AccountEntry>> {
        let key = ObjectKey::new(namespace, name);
        let state = self.state();
        state.accounts.get(&key).map(|r| Arc::clone(&r.entry))
    }

    /// The fleet; it outlives its accounts while something is bound in it.
    pub fn fleet(&self, key: &FleetKey) -> Option<Arc<Fleet>> {
        self.state().fleets.get(key).map(|r| Arc::clone(&r.fleet))
    }

    /// Notes in which fleet something is in progress for the resource, if in any: no other fleet lists for it any more, nor keeps
    /// its turn.
    pub fn set_busy(&self, resource: &ObjectKey, fleet: Option<&FleetKey>) {
        for known in self.fleets() {
            let busy = Some(known.key()) == fleet;
            if known.set_busy(resource, busy) && !busy {
                known.turns().decline(resource);
            }
        }
    }

    /// Every fleet.
    pub(crate) fn fleets(&self) -> Vec<Arc<Fleet>> {
        let state = self.state();
        state
            .fleets
            .values()
            .map(|r| Arc::clone(&r.fleet))
            .collect()
    }

    /// Whether each account that was there at the start has been looked at once.
    pub fn synced(&self) -> bool {
        *self.inner.synced.borrow()
    }

    /// Completes when [`Self::synced`] holds.
    pub async fn wait_until_synced(&self) {
        // The sender lives in self.
        let _ = self
            .inner
            .synced
            .subscribe()
            .wait_for(|synced| *synced)
            .await;
    }

    /// The credentials that the account's Secret held when it was last read.
    pub fn credentials(&self, account: &ObjectKey) -> Option<Credentials> {
        self.state().accounts.get(account)?.credentials.clone()
    }

    /// The strictest mode of the accounts that share the fleet; `Hold` where there is none.
    pub fn mode(&self, key: &FleetKey) -> AccountMode {
        let state = self.state();
        let modes = state.members(key).map(|(_, r)| r.entry.spec.mode);
        modes.max().unwrap_or(AccountMode::Hold)
    }

    /// The strictest sharing of the accounts that share the fleet; `Shared` where there is none.
    pub fn sharing(&self, key: &FleetKey) -> Sharing {
        let state = self.state();
        let sharing = state.members(key).map(|(_, r)| r.entry.spec.sharing);
        sharing.max().unwrap_or(Sharing::Shared)
    }

    /// The accounts that share the fleet, in order.
    pub fn accounts_of(&self, key: &FleetKey) -> Vec<ObjectKey> {
        self.state().member_keys(key)
    }

    /// What the accounts say of who manages them.
    pub(crate) fn claims(&self) -> Vec<(ObjectKey, ManagedBy)> {
        let state = self.state();
        let claims = state.accounts.iter().filter_map(|(key, record)| {
            let claim = record.entry.managed_by.clone()?;
            Some((key.clone(), claim))
        });
        claims.collect()
    }

    /// Whether resources in `namespace` may use the account.
    ///
    /// # Errors
    /// When the namespace's labels are needed and cannot be fetched.
    pub async fn allows(&self, entry: &AccountEntry, namespace: &str) -> Result<bool, KubeError> {
        let allowed = &entry.spec.allowed_namespaces;
        let namespaces = &self.inner.namespaces;
        namespaces
            .allows(allowed, &entry.namespace, namespace)
            .await
    }

    /// What the last look at `account` found; nothing if what was looked at has changed since.
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

    /// Notes when the Secret was read last, and what was in it: nothing of use, where `None`.
    pub(crate) fn note_read(
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

    /// Notes what a look at `account` found. Whether that is news; it is dropped if the account has changed meanwhile.
    pub(crate) fn settle(&self, account: &CortecsAccount, found: AccountState) -> bool {
        let key = ObjectKey::of(account);
        let mut state = self.state();
        let Some(record) = state.accounts.get_mut(&key) else {
            return false;
        };
        if !record.is_of(account) {
            return false;
        }
        let changed = record.set_state(found);
        state.awaited.remove(&key);
        self.tell_synced(&state);
        changed
    }

    pub(crate) fn downgrade(&self) -> WeakDirectory {
        WeakDirectory(Arc::downgrade(&self.inner))
    }

    /// The state. Held only for a moment, never across an await or a call of a hook.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.inner.state)
    }
}

/// A directory that may be gone: for what the directory itself holds.
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

    /// Brings what depends on a fleet's members up to date.
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
        if let Some((first, _)) = self.members(key).next() {
            record.observer.set_account(first);
        }
    }
}

impl Record {
    /// Whether what was found out about this record holds for `account`.
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
