//! The `Lease` as an object: what is read from it and what is written into it.

use std::time::Duration;

use cortecs_rules::lease::{LEASE_DURATION, LeaseRecord};
use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{ResourceExt, api::ObjectMeta};

/// The name of the `Lease`.
pub const LEASE_NAME: &str = "cortecs-operator";

/// Who holds it, if anybody does.
pub(super) fn holder(lease: &Lease) -> Option<&String> {
    lease
        .spec
        .as_ref()?
        .holder_identity
        .as_ref()
        .filter(|holder| !holder.is_empty())
}

/// What of it matters to the election.
pub(crate) fn record(lease: &Lease) -> LeaseRecord {
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

/// The lease after `me` acquired or renewed it. The times in it are for people: nobody's decision depends on them.
pub(super) fn claimed_by(me: &str, lease: Option<&Lease>, now: Timestamp) -> Lease {
    let mut claimed = lease.cloned().unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(LEASE_NAME.to_owned()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    let changes_hands = holder(&claimed).map(String::as_str) != Some(me);
    let spec = claimed.spec.get_or_insert_with(LeaseSpec::default);
    if changes_hands {
        spec.acquire_time = Some(MicroTime(now));
        // The first holder is no transition.
        spec.lease_transitions = Some(match lease {
            None => 0,
            Some(_) => spec.lease_transitions.unwrap_or_default().saturating_add(1),
        });
        spec.holder_identity = Some(me.to_owned());
    }
    spec.lease_duration_seconds = i32::try_from(LEASE_DURATION.as_secs()).ok();
    spec.renew_time = Some(MicroTime(now));
    claimed
}

/// The lease after its holder gave it up.
pub(super) fn freed(lease: &Lease, now: Timestamp) -> Lease {
    let mut freed = lease.clone();
    let spec = freed.spec.get_or_insert_with(LeaseSpec::default);
    spec.holder_identity = None;
    spec.renew_time = Some(MicroTime(now));
    freed
}
