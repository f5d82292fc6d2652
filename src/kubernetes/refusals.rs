//! Writes that Kubernetes refuses: a policy, a quota or a webhook stands against them.

use cortecs_rules::event::EventText;
use kube::Resource;

use super::{client::KubeError, events::Events};
use crate::serve::metrics::Metrics;

/// Counts the failure and tells it in an event, if it is a refusal.
pub async fn tell(
    metrics: &Metrics,
    events: &Events,
    controller: &'static str,
    object: &impl Resource<DynamicType = ()>,
    error: &KubeError,
) {
    if !error.is_refused() {
        return;
    }
    metrics.write_refused(controller);
    let text = EventText {
        warning: true,
        reason: "WriteRefused".to_owned(),
        note: error.to_string(),
    };
    events.publish(object, vec![text]).await;
}
