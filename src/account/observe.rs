//! What an account's status shows of a list: counts, and the instances that no resource claims.

use std::collections::BTreeMap;

use crate::{
    cortecs::types::{Instance, InstanceState},
    resources::{
        account::{InstanceCounts, MAX_UNMANAGED, ResourceName, UnmanagedInstance},
        instance_status::InstanceArgs,
    },
};

use super::{fleet_key::FleetKey, hooks::Claims, key::ObjectKey, snapshot::Snapshot};

/// The longest id, model or hardware type that a status takes, in characters.
const MAX_ID: usize = 256;
/// The longest state or billing interval, in characters.
const MAX_WORD: usize = 64;

/// A list, summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub counts: InstanceCounts,
    /// At most [`MAX_UNMANAGED`]: first those that are probably some resource's, each in order of ids.
    pub unmanaged: Vec<UnmanagedInstance>,
    /// How many are probably some resource's.
    pub late: u64,
}

/// Sums up a list of the fleet by what the resources claim.
pub fn summarize(fleet: &FleetKey, snapshot: &Snapshot, claims: &dyn Claims) -> Summary {
    let late = claims.late(fleet, snapshot);
    sum_up(snapshot, &late, |id| claims.is_claimed(&fleet.api_url, id))
}

fn sum_up(
    snapshot: &Snapshot,
    late: &BTreeMap<String, ObjectKey>,
    is_claimed: impl Fn(&str) -> bool,
) -> Summary {
    let mut summary = Summary {
        late: u64::try_from(late.len()).unwrap_or(u64::MAX),
        unmanaged: late
            .iter()
            .filter_map(|(id, of)| Some(unmanaged(id, snapshot.instances.get(id)?, Some(of))))
            .take(MAX_UNMANAGED)
            .collect(),
        ..Summary::default()
    };
    let counts = &mut summary.counts;
    for (id, instance) in &snapshot.instances {
        match instance.instance_status.status {
            InstanceState::Pending => counts.pending += 1,
            InstanceState::Running => counts.running += 1,
            InstanceState::Stopped => counts.stopped += 1,
            InstanceState::Unknown(_) => {}
        }
        if is_claimed(id) {
            counts.managed += 1;
        } else {
            counts.unmanaged += 1;
            if summary.unmanaged.len() < MAX_UNMANAGED && !late.contains_key(id) {
                summary.unmanaged.push(unmanaged(id, instance, None));
            }
        }
    }
    summary
}

fn unmanaged(id: &str, instance: &Instance, of: Option<&ObjectKey>) -> UnmanagedInstance {
    let args = InstanceArgs::from(&instance.instance_args);
    UnmanagedInstance {
        id: cut(id, MAX_ID),
        args: InstanceArgs {
            model_id: cut(&args.model_id, MAX_ID),
            hardware_type_id: args.hardware_type_id.map(|id| cut(&id, MAX_ID)),
            billing_interval: args.billing_interval.map(|word| cut(&word, MAX_WORD)),
            ..args
        },
        state: cut(instance.instance_status.status.as_str(), MAX_WORD),
        probably_of: of.map(|key| ResourceName {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        }),
    }
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn snapshot(instances: impl IntoIterator<Item = (String, &'static str)>) -> Snapshot {
        let instances = instances
            .into_iter()
            .map(|(id, state)| {
                let instance = serde_json::from_value(serde_json::json!({
                    "instance_id": id,
                    "instance_args": {"model_id": "org--model"},
                    "instance_status": {"status": state},
                }));
                (id, Arc::new(instance.unwrap()))
            })
            .collect();
        Snapshot {
            instances,
            ..Snapshot::default()
        }
    }

    #[test]
    fn counts_states_and_claims() {
        let list = ["pending", "running", "running", "stopped", "exploded"];
        let list = list
            .iter()
            .enumerate()
            .map(|(n, state)| (format!("i{n}"), *state));
        let summary = sum_up(&snapshot(list), &BTreeMap::new(), |id| {
            id == "i1" || id == "i4"
        });
        assert_eq!(
            summary.counts,
            InstanceCounts {
                managed: 2,
                unmanaged: 3,
                running: 2,
                pending: 1,
                stopped: 1,
            }
        );
        let ids: Vec<_> = summary.unmanaged.iter().map(|u| u.id.as_str()).collect();
        assert_eq!(ids, ["i0", "i2", "i3"]);
        assert_eq!(summary.unmanaged[0].state, "pending");
    }

    #[test]
    fn the_list_of_unmanaged_instances_is_bounded_and_their_count_is_not() {
        let list = (0..200).map(|n| (format!("i{n:03}"), "running"));
        let summary = sum_up(&snapshot(list), &BTreeMap::new(), |_| false);
        assert_eq!(summary.unmanaged.len(), MAX_UNMANAGED);
        assert_eq!(summary.unmanaged[49].id, "i049");
        assert_eq!(summary.counts.unmanaged, 200);
    }

    #[test]
    fn overlong_words_of_the_api_fit_the_schema() {
        let list = [("ä".repeat(1000), "running")];
        let summary = sum_up(&snapshot(list), &BTreeMap::new(), |_| false);
        assert_eq!(summary.unmanaged[0].id.chars().count(), 256);
    }
}
