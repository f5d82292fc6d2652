use std::collections::BTreeMap;

use cortecs_api::types::{HardwareConfig, Model};
use serde_json::json;

use super::{super::defaults::pin, *};

fn spec(value: serde_json::Value) -> CortecsInstanceSpec {
    serde_json::from_value(value).unwrap()
}

fn model() -> Model {
    let config = |maximum: serde_json::Value| HardwareConfig {
        params: serde_json::from_value(json!({ "--max-model-len": maximum })).unwrap(),
        ..HardwareConfig::default()
    };
    Model {
        model_id: "org--name".into(),
        recommended_config: Some("NVIDIA_L4_1".into()),
        hardware_configs: Some(BTreeMap::from([
            ("NVIDIA_L4_1".into(), config(json!(16_000))),
            ("NVIDIA_H100_1".into(), config(json!("128000"))),
        ])),
        ..Model::default()
    }
}

#[test]
fn every_default_is_pinned() {
    let pinned = pin(&spec(json!({ "modelId": "org/name" })), Some(&model())).unwrap();
    assert_eq!(
        pinned,
        InstanceArgs {
            model_id: "org--name".into(),
            hardware_type_id: Some("NVIDIA_L4_1".into()),
            context_length: Some(16_000),
            billing_interval: Some(BillingInterval::PerMinute),
            num_workers: Some(1),
        }
    );
    let other = spec(
        json!({ "modelId": "org/name", "hardwareTypeId": "NVIDIA_H100_1", "billingInterval": "per_hour", "numWorkers": 3 }),
    );
    let pinned = pin(&other, Some(&model())).unwrap();
    assert_eq!(pinned.context_length, Some(32_000));
    assert_eq!(pinned.billing_interval, Some(BillingInterval::PerHour));
    assert_eq!(pinned.num_workers, Some(3));
}

#[test]
fn hardware_that_the_model_lacks_is_refused_with_the_choices() {
    let refused = |spec: &CortecsInstanceSpec| pin(spec, Some(&model())).unwrap_err();
    let message = refused(&spec(
        json!({ "modelId": "org/name", "hardwareTypeId": "X" }),
    ));
    assert!(message.contains("NVIDIA_H100_1, NVIDIA_L4_1"), "{message}");
    let too_long = spec(json!({ "modelId": "org/name", "contextLength": 16_001 }));
    let message = refused(&too_long);
    assert!(message.contains("16000"), "{message}");
}

#[test]
fn what_an_answer_omits_matches_anything() {
    let pinned = pin(&spec(json!({ "modelId": "org/name" })), Some(&model())).unwrap();
    let seen = |value: serde_json::Value| serde_json::from_value::<InstanceArgs>(value).unwrap();
    assert!(matches(&pinned, &seen(json!({ "model_id": "org--name" }))));
    assert!(matches(
        &pinned,
        &seen(json!({ "model_id": "org/name", "context_length": 16_000 }))
    ));
    assert!(!matches(
        &pinned,
        &seen(json!({ "model_id": "org--name", "num_workers": 2 }))
    ));
    assert!(!matches(
        &pinned,
        &seen(json!({ "model_id": "org--other" }))
    ));
}

#[test]
fn a_default_left_open_agrees_with_what_runs() {
    let actual = pin(&spec(json!({ "modelId": "org/name" })), Some(&model())).unwrap();
    assert!(satisfies(
        &spec(json!({ "modelId": "org--name" })),
        &actual,
        &actual
    ));
    assert!(!satisfies(
        &spec(json!({ "modelId": "org--name", "numWorkers": 2 })),
        &actual,
        &actual
    ));
    assert!(!satisfies(
        &spec(json!({ "modelId": "org--name", "billingInterval": "per_hour" })),
        &actual,
        &actual
    ));
    assert!(!satisfies(
        &spec(json!({ "modelId": "org--name", "contextLength": 8000 })),
        &actual,
        &actual
    ));
}

#[test]
fn only_a_change_of_the_spec_outdates_an_instance() {
    let seen = |value: serde_json::Value| serde_json::from_value::<InstanceArgs>(value).unwrap();
    let wanted = |value| spec(value);
    let asked = wanted(json!({ "modelId": "org/name", "contextLength": 33_000 }));
    let requested = stated(&asked);
    let rounded =
        seen(json!({ "model_id": "org--name-fp8", "context_length": 32_768, "num_workers": 1 }));
    assert!(
        !is_outdated(&asked, &requested, &rounded),
        "the API took it otherwise"
    );
    let changed = |value| is_outdated(&wanted(value), &requested, &rounded);
    assert!(changed(
        json!({ "modelId": "org/name", "contextLength": 16_000 })
    ));
    assert!(changed(
        json!({ "modelId": "org/other", "contextLength": 33_000 })
    ));
    assert!(changed(
        json!({ "modelId": "org/name", "contextLength": 33_000, "numWorkers": 2 })
    ));
    assert!(
        !changed(json!({ "modelId": "org/name", "contextLength": 32_768 })),
        "that is what runs"
    );
    assert!(
        !changed(json!({ "modelId": "org/name" })),
        "what is left open agrees with anything"
    );
    // A restored resource knows of the request what the API shows.
    let otherwise = wanted(json!({ "modelId": "ORG/Name", "contextLength": 32_768 }));
    let mut shown = stated(&otherwise);
    shown.model_id = "org--name".to_owned();
    assert!(!is_outdated(&otherwise, &shown, &shown));
}

/// The catalog says how the API spells the model of the spec.
#[test]
fn an_instance_satisfies_a_spec_whose_model_is_spelt_otherwise() {
    let asked = spec(json!({ "modelId": "ORG/Name", "numWorkers": 2 }));
    let shown = |workers| InstanceArgs {
        model_id: "org--name".to_owned(),
        num_workers: Some(workers),
        ..InstanceArgs::default()
    };
    assert!(satisfies(&asked, &shown(2), &shown(2)));
    assert!(!satisfies(&asked, &shown(2), &shown(1)));
    assert!(!satisfies(&asked, &stated(&asked), &shown(2)));
}

#[test]
fn recorded_arguments_fill_what_the_api_omits() {
    let recorded = identity::InstanceArgs {
        model_id: "org--name".into(),
        num_workers: Some(2),
        context_length: Some(1),
        ..Default::default()
    };
    let stated = InstanceArgs {
        model_id: "org--name".into(),
        context_length: Some(5),
        ..Default::default()
    };
    let result = in_force(&stated, Some(&recorded));
    assert_eq!(
        (result.num_workers, result.context_length),
        (Some(2), Some(5))
    );
}
