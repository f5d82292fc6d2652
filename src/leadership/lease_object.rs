//! Reads and makes `Lease` objects.

use std::time::Duration;

use cortecs_rules::lease::{LEASE_DURATION, LeaseRecord};
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{Api, Client, ResourceExt, api::ObjectMeta};

use crate::kubernetes::client::bounded;

/// The name of the `Lease`.
pub const LEASE_NAME: &str = "cortecs-operator";

/// The holder of the lease.
pub(super) fn holder(lease: &Lease) -> Option<&String> {
    lease
        .spec
        .as_ref()?
        .holder_identity
        .as_ref()
        .filter(|holder| !holder.is_empty())
}

/// Who holds the lease in `namespace` now; `None` if nobody does, or if that cannot be read.
pub async fn present_holder(client: Client, namespace: &str) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(client, namespace);
    let read = bounded("read the Lease cortecs-operator", leases.get(LEASE_NAME));
    holder(&read.await.ok()?).cloned()
}

/// The fields that the election needs.
pub(super) fn record(lease: &Lease) -> LeaseRecord {
    let seconds = lease
        .spec
        .as_ref()
        .and_then(|spec| spec.lease_duration_seconds);
    LeaseRecord {
        holder: holder(lease).cloned(),
        duration: seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs),
        version: format!(
            "{}/{}",
            lease.uid().unwrap_or_default(),
            lease.resource_version().unwrap_or_default()
        ),
    }
}

/// The lease after `me` has acquired or renewed it. Its times are for people only: no decision depends on them.
pub(super) fn acquired_by(me: &str, lease: Option<&Lease>, now: Timestamp) -> Lease {
    let mut acquired = lease.cloned().unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(LEASE_NAME.to_owned()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    let is_transition = holder(&acquired).map(String::as_str) != Some(me);
    let spec = acquired.spec.get_or_insert_with(LeaseSpec::default);
    if is_transition {
        spec.acquire_time = Some(MicroTime(now));
        // The first holder does not count as a transition.
        spec.lease_transitions = Some(match lease {
            None => 0,
            Some(_) => spec.lease_transitions.unwrap_or_default().saturating_add(1),
        });
        spec.holder_identity = Some(me.to_owned());
    }
    spec.lease_duration_seconds = i32::try_from(LEASE_DURATION.as_secs()).ok();
    spec.renew_time = Some(MicroTime(now));
    acquired
}

/// The lease after its holder has released it.
pub(super) fn released(lease: &Lease, now: Timestamp) -> Lease {
    let mut released = lease.clone();
    let spec = released.spec.get_or_insert_with(LeaseSpec::default);
    spec.holder_identity = None;
    spec.renew_time = Some(MicroTime(now));
    released
}
