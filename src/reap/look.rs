//! Which stops are overdue, read past every cache.

use std::{collections::BTreeMap, time::Duration};

use cortecs_clock as clock;
use cortecs_resources::{
    CortecsAccount, CortecsInstance, annotations, decode::Decoded, key::ObjectKey,
};
use cortecs_rules::{
    account::manager::{Standing, standing},
    cost::overdue::{has_open_start, overdue_since},
    facts::home::home_account,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource, api::ListParams};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until};

use super::report::{Fate, Line};
use crate::{
    kubernetes::{
        client::{KubeError, bounded},
        scope,
        scope::WatchedNamespaces,
    },
    serve::signals::Shutdown,
};

/// How many objects one page has.
const PAGE: u32 = 500;
/// The pause after a failed read.
const RETRY: Duration = Duration::from_secs(2);

/// What is looked for, and where.
pub(super) struct Looker {
    pub client: Client,
    /// Where the operator is installed.
    pub namespace: String,
    pub watched: WatchedNamespaces,
    pub limit: SignedDuration,
}

/// When to end, whatever is left.
#[derive(Clone, Copy)]
pub(super) struct Until<'a> {
    pub deadline: Instant,
    pub shutdown: &'a Shutdown,
}

/// A stop that is overdue.
#[derive(Clone, Debug)]
pub(super) struct Overdue {
    pub instance: String,
    pub since: Timestamp,
    /// The account. One that does not exist is taken for ours: the stop then fails, and says so.
    pub account: Option<ObjectKey>,
    /// The account's `maxRuntimeSeconds`.
    pub of_account: Option<i32>,
}

/// The stops to make, by resource.
pub(super) type Stops = BTreeMap<ObjectKey, Overdue>;

/// The overdue stops.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Those to make.
    pub ours: Stops,
    /// The lines of the report about the others.
    pub others: Vec<Line>,
}

/// Why it is not known which stops are overdue.
#[derive(Debug)]
pub(super) enum Problem {
    Unread(KubeError),
    /// An account is managed by an operator without leader election.
    Refused(String),
}

impl Until<'_> {
    /// Completes when it is time to end, and says why.
    async fn over(self) -> &'static str {
        tokio::select! {
            () = sleep_until(self.deadline) => "the resources could not be read in time",
            () = self.shutdown.requested() => "ended by a signal before the resources were read",
        }
    }
}

impl Overdue {
    /// The line of the report about this resource.
    pub fn line(&self, resource: &ObjectKey, fate: Fate) -> Line {
        Line {
            resource: resource.clone(),
            instance: self.instance.clone(),
            since: self.since,
            fate,
        }
    }
}

impl Looker {
    /// The overdue stops.
    pub async fn look(&self) -> Result<Found, Problem> {
        let resources: Vec<Decoded<CortecsInstance>> = self.list("read all resources").await?;
        let accounts: Vec<Decoded<CortecsAccount>> = self.list("read all accounts").await?;
        let accounts = accounts
            .iter()
            .map(|account| (ObjectKey::of(account), &*account.object));
        let accounts: BTreeMap<ObjectKey, &CortecsAccount> = accounts.collect();
        let now = clock::wall();
        let mut found = Found::default();
        for decoded in &resources {
            let resource = &*decoded.object;
            let home = home_account(resource);
            let account = home.as_ref().and_then(|key| accounts.get(key)).copied();
            let limits = account.map(|account| &account.spec.limits);
            let of_account = limits.and_then(|limits| limits.max_runtime_seconds);
            let Some(since) = overdue_since(resource, of_account, self.limit, now) else {
                continue;
            };
            let status = resource.status.as_ref();
            let instance = status.and_then(|status| status.instance_id.clone());
            let overdue = Overdue {
                instance: instance.unwrap_or_default(),
                since,
                account: home,
                of_account,
            };
            let key = ObjectKey::of(resource);
            let fate = match &decoded.problem {
                Some(problem) => Some(Fate::Runs(problem.to_string())),
                None => self.fate(resource, account, &overdue)?,
            };
            match fate {
                Some(fate) => found.others.push(overdue.line(&key, fate)),
                None => drop(found.ours.insert(key, overdue)),
            }
        }
        Ok(found)
    }

    /// What becomes of a stop that is not to be made here.
    fn fate(
        &self,
        resource: &CortecsInstance,
        account: Option<&CortecsAccount>,
        overdue: &Overdue,
    ) -> Result<Option<Fate>, Problem> {
        let standing = account.map_or(Standing::Ours, |account| {
            let managed_by = account.status.as_ref().and_then(|s| s.managed_by.as_ref());
            let assigned = annotations::value(account, annotations::OPERATOR);
            standing(&self.namespace, managed_by, assigned)
        });
        match standing {
            Standing::Others(other) => Ok(Some(Fate::Others(other.namespace))),
            Standing::Moving(from) => Ok(Some(Fate::Runs(format!(
                "the status of its account still names the operator in namespace {from} as its manager"
            )))),
            Standing::NotElected => {
                let account = overdue.account.as_ref();
                let account = account.map(ToString::to_string).unwrap_or_default();
                let key = ObjectKey::of(resource);
                Err(Problem::Refused(format!(
                    "{key} is overdue, and the operator that manages its account {account} runs without leader election"
                )))
            }
            Standing::Ours => Ok(has_open_start(resource).then_some(Fate::StartOpen)),
        }
    }

    /// As [`Self::look`], repeated while the reads fail.
    ///
    /// # Errors
    /// Why it cannot be known, or why the reaper refuses. A right that is missing will not come in time, so it is not waited for.
    pub async fn look_until_known(&self, until: Until<'_>) -> Result<Found, String> {
        let mut last: Option<KubeError> = None;
        let looking = async {
            loop {
                match self.look().await {
                    Ok(found) => return Ok(found),
                    Err(Problem::Refused(why)) => return Err(super::refused(&why)),
                    Err(Problem::Unread(error)) if error.is_forbidden() => {
                        return Err(format!("nothing was stopped: {error}"));
                    }
                    Err(Problem::Unread(error)) => {
                        tracing::warn!(%error, "the resources cannot be read now");
                        last = Some(error);
                    }
                }
                sleep(RETRY).await;
            }
        };
        tokio::select! {
            found = looking => found,
            why = until.over() => Err(match last {
                Some(error) => format!("{why}: {error}"),
                None => why.to_owned(),
            }),
        }
    }

    async fn list<K>(&self, what: &'static str) -> Result<Vec<K>, Problem>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let mut all = Vec::new();
        for scope in &self.watched.scopes() {
            let api: Api<K> = scope::api(&self.client, scope);
            let mut params = ListParams::default().limit(PAGE);
            loop {
                let page = bounded(what, async { api.list(&params).await }).await;
                let page = page.map_err(Problem::Unread)?;
                all.extend(page.items);
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => params = params.continue_token(&token),
                    None => break,
                }
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
#[path = "look_tests.rs"]
mod tests;
