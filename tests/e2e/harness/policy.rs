//! Admission policies of the real API server that refuse writes in a bed's namespace.

use serde_json::json;

use super::{Bed, SOON, apply};
use crate::{control_plane::assert_succeeded, eventually::eventually_true};

/// A policy that refuses writes. What it refuses is refused until [`Policy::end`].
pub(crate) struct Policy<'a> {
    bed: &'a Bed,
    name: String,
}

impl<'a> Policy<'a> {
    /// Refuses the updates of `resource` for which `permits` (CEL) is false.
    pub(crate) async fn refuse(bed: &'a Bed, resource: &str, permits: &str) -> Self {
        let name = format!("refuse-{}", bed.namespace);
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": ["cortecs.ai"], "apiVersions": ["*"], "operations": ["UPDATE"],
                    "resources": [resource, "cortecsaccounts"],
                }]},
                "validations": [
                    {"expression": permits, "message": "the house forbids it"},
                    // The policy takes effect a little later: a dry run of this shows when.
                    {"expression": "!(has(object.metadata.labels) && 'probe' in object.metadata.labels)"},
                ],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name, "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": bed.namespace}}},
            },
        });
        for object in [policy, binding] {
            assert_succeeded("the policy", &apply(bed.plane, &object).await);
        }
        let policy = Self { bed, name };
        let refuses = async || policy.refuses().await;
        eventually_true("the policy takes effect", SOON, refuses).await;
        policy
    }

    async fn refuses(&self) -> bool {
        let probe = [
            "label",
            "cortecsaccount/main",
            "probe=x",
            "--dry-run=server",
        ];
        !self.bed.kubectl(&probe).await.status.success()
    }

    /// Ends the policy.
    pub(crate) async fn end(self) {
        for kind in [
            "validatingadmissionpolicybinding",
            "validatingadmissionpolicy",
        ] {
            self.bed.kubectl_text(&["delete", kind, &self.name]).await;
        }
        let permits = async || !self.refuses().await;
        eventually_true("the policy has ended", SOON, permits).await;
    }
}
