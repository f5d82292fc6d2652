//! Five resources of one account, and the hold on the account after most of their instances are gone or stopped.

use std::sync::Arc;

use cortecs_resources::{CortecsAccount, CortecsInstance, account::Hold};
use cortecs_simulator::{Effect, Endpoint, Fault};
use serde_json::json;

use super::{Bed, CLIENT_ID, Policy, is_ready, stalled_because};

pub(crate) const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
pub(crate) const RESUME: &str = "cortecs.ai/resume";

/// Creates five resources and waits until they run; the ids of their instances.
pub(crate) async fn crowd(bed: &Bed) -> Vec<String> {
    bed.create_each(&NAMES).await;
    bed.all_run(&NAMES).await
}

pub(crate) fn hold(account: &CortecsAccount) -> Option<&Hold> {
    account.status.as_ref()?.hold.as_ref()
}

pub(crate) async fn is_held(bed: &Bed) -> Arc<CortecsAccount> {
    bed.wait_account("on hold", |a| {
        stalled_because("MassChange")(a) && hold(a).is_some()
    })
    .await
}

pub(crate) async fn is_free(bed: &Bed) -> Arc<CortecsAccount> {
    bed.wait_account("ready without a hold", |a| is_ready(a) && hold(a).is_none())
        .await
}

/// Waits until each of the five says that the account is on hold.
pub(crate) async fn all_say(bed: &Bed, what: impl Fn(&CortecsInstance) -> bool) {
    for name in NAMES {
        bed.wait(name, "stalled by the hold", |r| {
            stalled_because("AccountHeld")(r) && what(r)
        })
        .await;
    }
}

pub(crate) fn is_missing(resource: &CortecsInstance) -> bool {
    let status = resource.status.as_ref();
    status.is_some_and(|s| s.slot().missing_since.is_some() && s.instance_id.is_some())
}

pub(crate) fn shows_stopped(resource: &CortecsInstance) -> bool {
    let status = resource.status.as_ref();
    let shown = status.and_then(|s| s.instance_status.as_ref());
    shown.is_some_and(|s| s.status == "stopped")
}

/// Freezes lists: from now on they show only the first instances, as these are now. The ids of the instances shown.
pub(crate) fn list_only(bed: &Bed, count: usize) -> Vec<String> {
    let shown: Vec<_> = bed
        .api
        .instances(CLIENT_ID)
        .into_iter()
        .take(count)
        .collect();
    let body = json!({ "instances": shown }).to_string();
    let effect = Effect::raw(200, body);
    bed.api
        .add_fault(Fault::new(Endpoint::ListInstances, effect));
    shown.into_iter().map(|i| i.instance_id).collect()
}

/// Lets the API server refuse to record a hold.
pub(crate) async fn forbid_holds(bed: &Bed) -> Policy<'_> {
    let permits = "!has(object.status) || !has(object.status.hold)";
    Policy::refuse(bed, "cortecsaccounts/status", permits).await
}
