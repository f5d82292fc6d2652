//! Any spec, also one that the API server would refuse, and any model: pinned to something that can be recorded, or refused.

use cortecs_api::{is_shown, types::Model};
use proptest::{option, prelude::*};
use serde_json::json;

use super::{super::defaults::pin, *};

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9._/-]{0,30}",
        any::<String>(),
        Just("/".repeat(200)),
        Just("ä".repeat(300)),
        Just("org--name".to_owned()),
    ]
}

fn spec() -> impl Strategy<Value = CortecsInstanceSpec> {
    let interval = prop_oneof![Just("per_minute"), Just("per_hour")];
    (
        name(),
        option::of(name()),
        any::<Option<i32>>(),
        any::<i32>(),
        interval,
    )
        .prop_map(|(model, hardware, context, workers, interval)| {
            serde_json::from_value(json!({
                "modelId": model, "hardwareTypeId": hardware, "contextLength": context,
                "numWorkers": workers, "billingInterval": interval,
            }))
            .unwrap()
        })
}

fn model() -> impl Strategy<Value = Option<Model>> {
    let maximum = prop_oneof![
        any::<i64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        name().prop_map(|n| json!(n)),
        Just(json!("18446744073709551616")),
        Just(json!([[]])),
    ];
    let config = (name(), maximum);
    let model = (option::of(name()), name(), option::of(name()), config);
    option::of(
        model.prop_map(|(model_name, model_id, recommended, config)| {
            let (hardware, maximum) = config;
            let configs = json!({ hardware: { "params": { "--max-model-len": maximum } } });
            serde_json::from_value(json!({
                "model_name": model_name, "model_id": model_id, "recommended_config": recommended,
                "hardware_configs": configs,
            }))
            .unwrap()
        }),
    )
}

proptest! {
    #[test]
    fn normalising_twice_is_normalising_once(name in name()) {
        let once = normalise_model_id(&name);
        prop_assert_eq!(normalise_model_id(&once), once.clone());
        prop_assert!(!once.contains('/'));
        let of = |model_id: &str| InstanceArgs { model_id: model_id.to_owned(), ..InstanceArgs::default() };
        prop_assert!(same_model(&of(&name), &of(&once)));
    }

    #[test]
    fn a_pinned_spec_can_be_recorded_and_recognised(spec in spec(), model in model()) {
        match pin(&spec, model.as_ref()) {
            Ok(pinned) => {
                prop_assert!(fits(&recorded(&pinned)));
                prop_assert!(matches(&pinned, &pinned));
                let written = recorded(&pinned);
                prop_assert_eq!(&of_record(&written), &pinned);
                prop_assert_eq!(in_force(&pinned, None), written);
                if model.is_none() && spec.num_workers > 0 {
                    prop_assert!(satisfies(&spec, &pinned, &pinned));
                    prop_assert!(!is_outdated(&spec, &stated(&spec), &pinned));
                }
            }
            Err(message) => prop_assert!(!message.is_empty()),
        }
    }

    #[test]
    fn what_the_api_says_is_recorded_as_fits(model in name(), hardware in option::of(name()), number in option::of(any::<u32>())) {
        let stated = InstanceArgs {
            model_id: model,
            hardware_type_id: hardware,
            context_length: number,
            num_workers: number,
            billing_interval: Some(BillingInterval::Unknown("\u{7}".repeat(300))),
        };
        let shown = in_force(&stated, None);
        prop_assert!(fits(&shown));
        prop_assert!(shown.model_id.chars().all(|c| is_shown(&c)));
        prop_assert_eq!(shown.context_length, number.map(i64::from));
    }
}
