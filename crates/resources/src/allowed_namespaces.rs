//! The namespaces that may use an account.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which namespaces may use an account.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("(self.from == 'Selector') == has(self.selector)")
    .message("allowedNamespaces.selector goes with from: Selector, and only with it"))]
#[x_kube(validation = Rule::new("!has(self.selector) || !has(self.selector.matchExpressions) || \
        self.selector.matchExpressions.all(e, e.operator in ['In', 'NotIn', 'Exists', 'DoesNotExist'])")
    .message("allowedNamespaces.selector: an operator is In, NotIn, Exists or DoesNotExist"))]
#[x_kube(validation = Rule::new("!has(self.selector) || !has(self.selector.matchExpressions) || \
        self.selector.matchExpressions.all(e, (e.operator in ['In', 'NotIn']) == (has(e.values) && size(e.values) > 0))")
    .message("allowedNamespaces.selector: In and NotIn need values, Exists and DoesNotExist take none"))]
#[x_kube(validation = Rule::new("!has(self.selector) || !has(self.selector.matchExpressions) || \
        self.selector.matchExpressions.all(e, e.key.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$') && \
        (!has(e.values) || e.values.all(v, size(v) <= 63 && v.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'))))")
    .message("allowedNamespaces.selector: a key or a value of matchExpressions is not that of a label"))]
#[x_kube(validation = Rule::new("!has(self.selector) || !has(self.selector.matchLabels) || \
        self.selector.matchLabels.all(k, k.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$') && \
        size(self.selector.matchLabels[k]) <= 63 && \
        self.selector.matchLabels[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$'))")
    .message("allowedNamespaces.selector: a key or a value of matchLabels is not that of a label"))]
#[serde(rename_all = "camelCase")]
pub struct AllowedNamespaces {
    #[serde(default)]
    pub from: NamespacesFrom,
    /// Selects namespaces by their labels.
    #[schemars(schema_with = "label_selector")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// The schema of a selector. It is bounded, so that rules about it can be checked.
fn label_selector(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mut schema = generator.subschema_for::<Option<LabelSelector>>();
    let mut bound = |pointer: &str, name: &str, most: u32| {
        if let Some(serde_json::Value::Object(part)) = schema.pointer_mut(pointer) {
            part.insert(name.to_owned(), most.into());
        }
    };
    bound("/properties/matchLabels", "maxProperties", 32);
    bound(
        "/properties/matchLabels/additionalProperties",
        "maxLength",
        63,
    );
    bound("/properties/matchExpressions", "maxItems", 32);
    let requirement = "/properties/matchExpressions/items/properties";
    bound(&format!("{requirement}/key"), "maxLength", 317);
    bound(&format!("{requirement}/operator"), "maxLength", 16);
    bound(&format!("{requirement}/values"), "maxItems", 64);
    bound(&format!("{requirement}/values/items"), "maxLength", 63);
    schema
}

/// `Same`: only the account's own namespace. `All`: every namespace. `Selector`: those with matching labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NamespacesFrom {
    #[default]
    Same,
    All,
    Selector,
}
