//! Which stops are overdue, read past every cache.

use std::{collections::BTreeMap, time::Duration};

use cortecs_clock as clock;
use cortecs_resources::{CortecsAccount, CortecsInstance, annotations, key::ObjectKey};
use cortecs_rules::{
    account::manager::{Standing, standing},
    cost::overdue::overdue_since,
    facts::home::home_account,
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use kube::{Api, Client, Resource, api::ListParams};
use serde::de::DeserializeOwned;

use super::report::{Fate, Line};
use crate::kubernetes::{
    client::{KubeError, bounded},
    controller,
    scope::WatchedNamespaces,
};

/// How many objects one page has.
const PAGE: u32 = 500;

/// What is looked for, and where.
pub(super) struct Looker {
    pub client: Client,
    /// Where the operator is installed.
    pub namespace: String,
    pub watched: WatchedNamespaces,
    pub limit: SignedDuration,
}

/// A stop that is overdue.
#[derive(Clone, Debug)]
pub(super) struct Overdue {
    pub instance: String,
    pub since: Timestamp,
    /// The account, and whose it is. An account that does not exist is taken for ours: the stop then fails, and says so.
    pub account: Option<ObjectKey>,
    pub standing: Standing,
}

/// The overdue stops, by resource.
pub(super) type Found = BTreeMap<ObjectKey, Overdue>;

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
    /// The overdue stops. Accounts are read only if there are some.
    pub async fn look(&self) -> Result<Found, KubeError> {
        let resources: Vec<CortecsInstance> = self.list("read all resources").await?;
        let now = clock::wall();
        let overdue = resources.iter().filter_map(|resource| {
            let since = overdue_since(resource, self.limit, now)?;
            Some((resource, since))
        });
        let overdue: Vec<_> = overdue.collect();
        if overdue.is_empty() {
            return Ok(Found::new());
        }
        let accounts: Vec<CortecsAccount> = self.list("read all accounts").await?;
        let standings = accounts.iter().map(|account| {
            let managed_by = account.status.as_ref().and_then(|s| s.managed_by.as_ref());
            let assigned = annotations::value(account, annotations::OPERATOR);
            let standing = standing(&self.namespace, managed_by, assigned);
            (ObjectKey::of(account), standing)
        });
        let standings: BTreeMap<ObjectKey, Standing> = standings.collect();
        let found = overdue.into_iter().map(|(resource, since)| {
            let account = home_account(resource);
            let standing = account.as_ref().and_then(|key| standings.get(key)).cloned();
            let status = resource.status.as_ref();
            let overdue = Overdue {
                instance: status
                    .and_then(|s| s.instance_id.clone())
                    .unwrap_or_default(),
                since,
                account,
                standing: standing.unwrap_or(Standing::Ours),
            };
            (ObjectKey::of(resource), overdue)
        });
        Ok(found.collect())
    }

    /// As [`Self::look`], repeated until it succeeds.
    pub async fn look_until_known(&self, pause: Duration) -> Found {
        loop {
            match self.look().await {
                Ok(found) => return found,
                Err(error) => tracing::warn!(%error, "the resources cannot be read now"),
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn list<K>(&self, what: &'static str) -> Result<Vec<K>, KubeError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        let mut all = Vec::new();
        for scope in &self.watched.scopes() {
            let api: Api<K> = controller::api(&self.client, scope);
            let mut params = ListParams::default().limit(PAGE);
            loop {
                let page = bounded(what, async { api.list(&params).await }).await?;
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
