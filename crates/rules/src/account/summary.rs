//! A list as an account's status shows it: counts, and the instances that no resource claims.

use std::collections::BTreeMap;

use cortecs_api::{
    fit,
    types::{Instance, InstanceState},
};
use cortecs_resources::{
    account::{InstanceCounts, PricePerHour},
    key::ObjectKey,
    unmanaged::{MAX_UNMANAGED, ResourceName, UnmanagedInstance},
};

use crate::{
    cost::{Prices, money::Money},
    facts::{
        args::{self, MAX_ID, MAX_WORD},
        snapshot::Snapshot,
    },
};

/// The summary of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub counts: InstanceCounts,
    /// At most [`MAX_UNMANAGED`]: first those that are probably some resource's, each in order of ids.
    pub unmanaged: Vec<UnmanagedInstance>,
    /// How many are probably the late outcome of a resource's start.
    pub late: u64,
    /// How many instances of resources the API finds and the list lacks.
    pub unlisted: u64,
    /// The cost per hour of the listed instances; `None` while no price is known.
    pub price_per_hour: Option<Vec<PricePerHour>>,
    /// The last balance of the account.
    pub balance: Option<Money>,
}

/// The last answers of the API about the money of an account.
#[derive(Clone, Debug, Default)]
pub struct Finances<'a> {
    pub prices: Option<&'a Prices>,
    pub balance: Option<Money>,
}

/// Sums a list up. `late` has the instances that are probably the late outcome of a resource's start, and `unlisted` is the number of
/// those that the API finds and the list lacks.
pub fn sum_up(
    snapshot: &Snapshot,
    late: &BTreeMap<String, ObjectKey>,
    unlisted: u64,
    finances: Finances<'_>,
    is_claimed: impl Fn(&str) -> bool,
) -> Summary {
    let prices = finances.prices;
    let mut summary = Summary {
        late: u64::try_from(late.len()).unwrap_or(u64::MAX),
        unlisted,
        price_per_hour: finances.prices.map(|prices| {
            let instances = snapshot.instances.iter();
            prices.shown(instances.map(|(id, instance)| (&**instance, is_claimed(id))))
        }),
        balance: finances.balance,
        unmanaged: late
            .iter()
            .filter_map(|(id, of)| {
                let instance = snapshot.instances.get(id)?;
                Some(unmanaged(id, instance, prices, Some(of)))
            })
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
                let shown = unmanaged(id, instance, prices, None);
                summary.unmanaged.push(shown);
            }
        }
    }
    summary
}

fn unmanaged(
    id: &str,
    instance: &Instance,
    prices: Option<&Prices>,
    of: Option<&ObjectKey>,
) -> UnmanagedInstance {
    let price = prices.and_then(|prices| prices.shown_for(instance));
    let (price_per_hour, currency) = price.map(|p| (p.amount, p.currency)).unzip();
    let started_at = instance.instance_status.started_at.as_deref();
    UnmanagedInstance {
        id: fit(id, MAX_ID),
        args: args::shown(&instance.instance_args),
        state: fit(instance.instance_status.status.as_str(), MAX_WORD),
        started_at: started_at.map(|at| fit(at, MAX_WORD)),
        price_per_hour,
        currency,
        probably_of: of.map(|key| ResourceName {
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cortecs_api::is_shown;
    use cortecs_resources::{account::CortecsAccountStatus, schema::status_violations};
    use proptest::{collection::vec, option, prelude::*};

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
        let summary = sum_up(
            &snapshot(list),
            &BTreeMap::new(),
            0,
            Finances::default(),
            |id| id == "i1" || id == "i4",
        );
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
    fn an_unmanaged_instance_is_shown_with_its_price_and_its_start() {
        let hardware = serde_json::json!([{
            "hardware_type_id": "L4", "price_info": { "price_per_hour": 1.2, "currency": "EUR" },
        }]);
        let prices = Prices::of(serde_json::from_value(hardware).unwrap());
        let list = ["running", "stopped"].map(|state| {
            let instance = serde_json::from_value(serde_json::json!({
                "instance_id": state,
                "instance_args": {"model_id": "m", "hardware_type_id": "L4", "num_workers": 2},
                "instance_status": {"status": state, "started_at": "2026-01-01T00:00:00Z"},
            }));
            (state.to_owned(), Arc::new(instance.unwrap()))
        });
        let list = Snapshot {
            instances: list.into(),
            ..Snapshot::default()
        };
        let shown = |prices| {
            let finances = Finances {
                prices,
                balance: None,
            };
            let unmanaged = sum_up(&list, &BTreeMap::new(), 0, finances, |_| false).unmanaged;
            unmanaged.into_iter().map(|u| {
                assert_eq!(u.started_at.as_deref(), Some("2026-01-01T00:00:00Z"));
                u.price_per_hour.zip(u.currency)
            })
        };
        let price = ("2.40".to_owned(), "EUR".to_owned());
        assert!(shown(Some(&prices)).eq([Some(price), None]));
        assert!(shown(None).eq([None, None]), "no price is known yet");
    }

    #[test]
    fn the_list_of_unmanaged_instances_is_bounded_and_their_count_is_not() {
        let list = (0..200).map(|n| (format!("i{n:03}"), "running"));
        let summary = sum_up(
            &snapshot(list),
            &BTreeMap::new(),
            0,
            Finances::default(),
            |_| false,
        );
        assert_eq!(summary.unmanaged.len(), MAX_UNMANAGED);
        assert_eq!(summary.unmanaged[49].id, "i049");
        assert_eq!(summary.counts.unmanaged, 200);
    }

    fn word() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            Just("ä".repeat(1000)),
            Just("\u{0}\u{1b}[31m\u{202e}x".to_owned()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn whatever_the_api_says_fits_the_schema(
            words in vec((word(), word(), word(), option::of(word()), option::of(word())), 1..60),
            number in option::of(any::<u32>()),
        ) {
            let instances = words.into_iter().map(|(id, model, state, hardware, billing)| {
                let instance = serde_json::from_value(serde_json::json!({
                    "instance_id": id,
                    "instance_args": {"model_id": model, "hardware_type_id": hardware, "billing_interval": billing,
                        "context_length": number, "num_workers": number},
                    "instance_status": {"status": state},
                }));
                (id, Arc::new(instance.unwrap()))
            });
            let snapshot = Snapshot { instances: instances.collect(), ..Snapshot::default() };
            let summary = sum_up(&snapshot, &BTreeMap::new(), 0, Finances::default(), |_| false);
            let status = CortecsAccountStatus {
                instances: Some(summary.counts),
                unmanaged: summary.unmanaged,
                ..CortecsAccountStatus::default()
            };
            prop_assert_eq!(status_violations("CortecsAccount", &status), Vec::<String>::new());
            let shown = |u: &UnmanagedInstance| u.id.chars().chain(u.state.chars()).chain(u.args.model_id.chars()).all(|c| is_shown(&c));
            prop_assert!(status.unmanaged.iter().all(shown));
        }
    }
}
