//! The watched namespaces, and the objects in them.

use std::{collections::BTreeSet, fmt, str::FromStr};

use cortecs_resources::key::is_label;
use cortecs_rules::ledger::book::Scope;
use kube::{
    Api, Client, Resource,
    core::{ClusterResourceScope, NamespaceResourceScope},
};

/// The namespaces to watch; empty means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchedNamespaces(BTreeSet<String>);

impl WatchedNamespaces {
    /// Whether all namespaces are watched.
    pub fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `namespace` is watched.
    pub fn contains(&self, namespace: &str) -> bool {
        self.is_all() || self.0.contains(namespace)
    }

    /// The scopes to watch: each namespace, or one scope for all.
    pub fn scopes(&self) -> Vec<Scope> {
        match self.is_all() {
            true => vec![None],
            false => self.0.iter().cloned().map(Some).collect(),
        }
    }

    /// The namespaces in order; empty when all are watched.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl FromStr for WatchedNamespaces {
    type Err = String;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        let names = list
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        names
            .map(|name| match is_label(name) {
                true => Ok(name.to_owned()),
                false => Err(format!(
                    "`{name}` is not a valid namespace: write names of lower-case letters, digits and `-`, separated by commas"
                )),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for WatchedNamespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().collect::<Vec<_>>().join(","))
    }
}

/// Whether the objects of a kind belong to namespaces.
pub trait ObjectScope: Sized {
    /// The objects of a watched scope.
    fn api<K: Resource<DynamicType = (), Scope = Self>>(client: &Client, scope: &Scope) -> Api<K>;
}

impl ObjectScope for NamespaceResourceScope {
    fn api<K: Resource<DynamicType = (), Scope = Self>>(client: &Client, scope: &Scope) -> Api<K> {
        match scope {
            None => Api::all(client.clone()),
            Some(namespace) => Api::namespaced(client.clone(), namespace),
        }
    }
}

/// Objects without a namespace have one scope, without a namespace.
impl ObjectScope for ClusterResourceScope {
    fn api<K: Resource<DynamicType = (), Scope = Self>>(client: &Client, _: &Scope) -> Api<K> {
        Api::all(client.clone())
    }
}

/// The objects of a scope.
pub fn api<K>(client: &Client, scope: &Scope) -> Api<K>
where
    K: Resource<DynamicType = (), Scope: ObjectScope>,
{
    K::Scope::api(client, scope)
}
