//! Short ways to read a resource.

use cortecs_resources::{
    CortecsAccount, CortecsInstance,
    conditions::{READY, RECONCILING, STALLED, find_condition, is_true},
    instance_status::{CortecsInstanceStatus, Phase},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

/// A resource with conditions.
pub(crate) trait Read: ResourceExt {
    fn conditions(&self) -> &[Condition];
    fn observed_generation(&self) -> Option<i64>;

    /// Whether the status is about the present spec.
    fn is_current(&self) -> bool {
        self.observed_generation() == self.meta().generation
    }

    fn condition(&self, kind: &str) -> Option<&Condition> {
        find_condition(self.conditions(), kind)
    }

    fn reason(&self, kind: &str) -> &str {
        self.condition(kind).map_or("", |c| &c.reason)
    }

    fn message(&self, kind: &str) -> &str {
        self.condition(kind).map_or("", |c| &c.message)
    }

    /// Panics unless the condition's message contains the text.
    fn assert_says(&self, kind: &str, text: &str) {
        let message = self.message(kind);
        assert!(message.contains(text), "no {text} in: {message}");
    }

    /// The rules of kstatus that this version breaks. No version may break one.
    fn violations(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let conditions = self.conditions();
        for kind in [RECONCILING, STALLED] {
            if find_condition(conditions, kind).is_some_and(|c| c.status != "True") {
                wrong.push(format!("{kind} is there but not True"));
            }
        }
        let [ready, reconciling, stalled] =
            [READY, RECONCILING, STALLED].map(|kind| is_true(conditions, kind));
        if reconciling && stalled {
            wrong.push("Reconciling and Stalled together".to_owned());
        }
        if ready && (reconciling || stalled) {
            wrong.push("Ready while Reconciling or Stalled".to_owned());
        }
        let generation = self.meta().generation.unwrap_or_default();
        for condition in conditions {
            if condition
                .observed_generation
                .is_none_or(|observed| observed > generation)
            {
                wrong.push(format!(
                    "{} without the generation that it speaks of",
                    condition.type_
                ));
            }
            if condition.reason.is_empty() {
                wrong.push(format!("{} without a reason", condition.type_));
            }
        }
        wrong
    }
}

impl Read for CortecsInstance {
    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |s| &s.conditions)
    }

    fn observed_generation(&self) -> Option<i64> {
        self.status.as_ref()?.observed_generation
    }
}

impl Read for CortecsAccount {
    fn conditions(&self) -> &[Condition] {
        self.status.as_ref().map_or(&[], |s| &s.conditions)
    }

    fn observed_generation(&self) -> Option<i64> {
        self.status.as_ref()?.observed_generation
    }
}

/// Whether the resource is ready, with a status about the present spec.
pub(crate) fn is_ready(resource: &impl Read) -> bool {
    resource.is_current() && is_true(resource.conditions(), READY)
}

pub(crate) fn running(resource: &CortecsInstance) -> bool {
    is_ready(resource) && phase_is(Phase::Running)(resource)
}

pub(crate) fn stopped(resource: &CortecsInstance) -> bool {
    is_ready(resource) && phase_is(Phase::Stopped)(resource)
}

pub(crate) fn phase_is(phase: Phase) -> impl Fn(&CortecsInstance) -> bool {
    move |resource| resource.status.as_ref().and_then(|s| s.phase) == Some(phase)
}

/// Whether the resource is stalled for this reason, with a status about the present spec.
pub(crate) fn stalled_because<R: Read>(reason: &str) -> impl Fn(&R) -> bool {
    move |resource| {
        resource.is_current()
            && is_true(resource.conditions(), STALLED)
            && resource.reason(STALLED) == reason
    }
}

/// The id of the bound instance, or an empty text.
pub(crate) fn bound(resource: &CortecsInstance) -> &str {
    let id = resource
        .status
        .as_ref()
        .and_then(|s: &CortecsInstanceStatus| s.instance_id.as_deref());
    id.unwrap_or_default()
}
