//! Decides which namespaces may use an account.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
    time::Duration,
};

use cortecs_clock as clock;
use cortecs_clock::Moment;
use cortecs_resources::account::{AllowedNamespaces, NamespacesFrom};
use cortecs_rules::{account::selector, facts::account_entry::AccountEntry};
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::LabelSelector};
use kube::{
    Api, Client,
    core::{Selector, SelectorExt},
};

use crate::{
    kubernetes::{
        client::{KubeError, bounded},
        scope::WatchedNamespaces,
    },
    mutex::lock,
};

/// The most namespaces whose labels are cached.
const MAX_NAMESPACES: usize = 1024;
/// How long cached labels are used.
const FRESH: Duration = Duration::from_secs(30);

type Labels = BTreeMap<String, String>;

/// Whether every namespace that may use the account is watched.
pub fn sees_all_users(watched: &WatchedNamespaces, account: &AccountEntry) -> bool {
    watched.is_all()
        || (account.spec.allowed_namespaces.from == NamespacesFrom::Same
            && watched.contains(&account.namespace))
}

/// A cache of the labels of namespaces. Each namespace is fetched when its labels are needed.
pub struct NamespaceLabels {
    client: Client,
    /// `None`: there is no such namespace.
    known: Mutex<HashMap<String, (Moment, Option<Labels>)>>,
}

impl NamespaceLabels {
    pub fn new(client: Client) -> Self {
        Self {
            client,
            known: Mutex::new(HashMap::new()),
        }
    }

    /// Whether `namespace` may use an account in the namespace `home` that allows `allowed`.
    pub async fn allows(
        &self,
        allowed: &AllowedNamespaces,
        home: &str,
        namespace: &str,
    ) -> Result<bool, KubeError> {
        match (allowed.from, &allowed.selector) {
            (NamespacesFrom::Same, _) => Ok(namespace == home),
            (NamespacesFrom::All, _) => Ok(true),
            // Kubernetes takes some of these for selectors of everything.
            (NamespacesFrom::Selector, _) if selector::flaw(allowed).is_some() => Ok(false),
            (NamespacesFrom::Selector, Some(selector)) => {
                let labels = self.labels(namespace).await?;
                Ok(labels.is_some_and(|labels| selects(selector, &labels)))
            }
            (NamespacesFrom::Selector, None) => Ok(false),
        }
    }

    async fn labels(&self, namespace: &str) -> Result<Option<Labels>, KubeError> {
        if let Some(labels) = self.cached(namespace, clock::moment()) {
            return Ok(labels);
        }
        let requested_at = clock::moment();
        let api: Api<Namespace> = Api::all(self.client.clone());
        let labels = match bounded("read the namespace", api.get_metadata(namespace)).await {
            Ok(found) => Some(found.metadata.labels.unwrap_or_default()),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        self.insert(namespace, requested_at, labels.clone());
        Ok(labels)
    }

    fn cached(&self, namespace: &str, now: Moment) -> Option<Option<Labels>> {
        let known = lock(&self.known);
        let (at, labels) = known.get(namespace)?;
        (now.since(*at) < FRESH).then(|| labels.clone())
    }

    fn insert(&self, namespace: &str, now: Moment, labels: Option<Labels>) {
        let mut known = lock(&self.known);
        if known.len() >= MAX_NAMESPACES {
            known.retain(|_, (at, _)| now.since(*at) < FRESH);
        }
        if known.len() < MAX_NAMESPACES {
            known.insert(namespace.to_owned(), (now, labels));
        }
    }
}

/// Whether `selector` matches `labels`; an invalid selector matches nothing.
pub fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: serde_json::Value, labels: &[(&str, &str)]) -> bool {
        let labels = labels
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        selects(&serde_json::from_value(selector).unwrap(), &labels)
    }

    fn expression(operator: &str, values: &[&str]) -> serde_json::Value {
        serde_json::json!({"matchExpressions": [{"key": "team", "operator": operator, "values": values}]})
    }

    #[test]
    fn match_labels_must_all_be_there() {
        let selector = serde_json::json!({"matchLabels": {"team": "a", "stage": "prod"}});
        assert!(matches(
            selector.clone(),
            &[("team", "a"), ("stage", "prod"), ("x", "y")]
        ));
        assert!(!matches(selector.clone(), &[("team", "a")]));
        assert!(!matches(selector, &[("team", "b"), ("stage", "prod")]));
    }

    #[test]
    fn each_operator_selects() {
        let a = [("team", "a")];
        for (operator, values, with_a, without) in [
            ("In", &["a", "b"][..], true, false),
            ("In", &["b"], false, false),
            ("NotIn", &["a"], false, true),
            ("NotIn", &["b"], true, true),
            ("Exists", &[], true, false),
            ("DoesNotExist", &[], false, true),
            ("Near", &["a"], false, false),
        ] {
            let selector = expression(operator, values);
            assert_eq!(
                matches(selector.clone(), &a),
                with_a,
                "{operator} {values:?}"
            );
            assert_eq!(matches(selector, &[]), without, "{operator} {values:?}");
        }
    }

    #[test]
    fn labels_and_expressions_count_together_and_nothing_selects_all() {
        let selector = serde_json::json!({
            "matchLabels": {"stage": "prod"},
            "matchExpressions": [{"key": "team", "operator": "Exists"}],
        });
        assert!(matches(
            selector.clone(),
            &[("stage", "prod"), ("team", "a")]
        ));
        assert!(!matches(selector, &[("stage", "prod")]));
        assert!(matches(serde_json::json!({}), &[]));
    }
}
