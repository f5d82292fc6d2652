//! The arguments of an instance: normalised, pinned, compared. Pure.

use crate::{
    cortecs::types::{BillingInterval, HardwareConfig, InstanceArgs, Model},
    resources::{
        instance::{self, CortecsInstanceSpec},
        instance_status::{self, CortecsInstanceStatus},
    },
};

/// What the API takes as context length when none is asked for, unless the hardware allows less. In tokens.
pub const DEFAULT_CONTEXT_LENGTH: u32 = 32_000;

/// Most hardware types that a message lists.
const MAX_LISTED: usize = 12;

/// The API's id of a model that was named by its id (`org--name`) or by its Hugging Face name (`org/name`).
pub fn normalise_model_id(model: &str) -> String {
    model.replace('/', "--")
}

/// Whether the catalog is needed to pin these arguments.
pub fn needs_catalog(spec: &CortecsInstanceSpec) -> bool {
    spec.hardware_type_id.is_none() || spec.context_length.is_none()
}

/// Resolves every default, so that an instance started with the result can be recognised by it.
///
/// # Errors
/// A message for the user when the model cannot run as asked.
pub fn pin(spec: &CortecsInstanceSpec, model: Option<&Model>) -> Result<InstanceArgs, String> {
    let model_id = model
        .and_then(|m| m.model_name.as_deref())
        .map_or_else(|| normalise_model_id(&spec.model_id), normalise_model_id);
    let hardware = match (
        &spec.hardware_type_id,
        model.and_then(|m| m.recommended_config.as_ref()),
    ) {
        (Some(asked), _) => asked.clone(),
        (None, Some(recommended)) => recommended.clone(),
        (None, None) => {
            return Err(format!(
                "the catalog has no recommended hardware for {model_id}: set spec.hardwareTypeId"
            ));
        }
    };
    let configs = model
        .and_then(|m| m.hardware_configs.as_ref())
        .filter(|c| !c.is_empty());
    let config = configs.and_then(|c| c.get(&hardware));
    if let (Some(configs), None) = (configs, config) {
        let offered: Vec<&str> = configs
            .keys()
            .map(String::as_str)
            .filter(|id| can_be_asked_for(id))
            .take(MAX_LISTED)
            .collect();
        return Err(format!(
            "{model_id} does not run on {hardware}: set spec.hardwareTypeId to one of {}",
            offered.join(", ")
        ));
    }
    let maximum = config.and_then(HardwareConfig::max_context_length);
    let context_length = match spec.context_length.and_then(|n| u32::try_from(n).ok()) {
        Some(asked) if maximum.is_some_and(|maximum| asked > maximum) => {
            return Err(format!(
                "{model_id} takes at most {} tokens of context on {hardware}: lower spec.contextLength, or choose other hardware",
                maximum.unwrap_or_default()
            ));
        }
        Some(asked) => asked,
        None => maximum.map_or(DEFAULT_CONTEXT_LENGTH, |maximum| {
            maximum.min(DEFAULT_CONTEXT_LENGTH)
        }),
    };
    let pinned = InstanceArgs {
        model_id,
        hardware_type_id: Some(hardware),
        context_length: Some(context_length),
        billing_interval: Some(billing_interval(spec.billing_interval)),
        num_workers: Some(u32::try_from(spec.num_workers).unwrap_or(1)),
    };
    // A start is recorded before it is made.
    if !instance_status::InstanceArgs::from(&pinned).fits() {
        return Err(
            "the catalog's name of the model or of its hardware is too long, or has characters that cannot be seen: set spec.hardwareTypeId, or choose another model"
                .to_owned(),
        );
    }
    Ok(pinned)
}

/// Whether `spec.hardwareTypeId` takes this id.
fn can_be_asked_for(id: &str) -> bool {
    id.len() <= 128
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// Whether `seen` may be an instance that was started with `pinned`: what an answer omits matches anything.
pub fn matches(pinned: &InstanceArgs, seen: &InstanceArgs) -> bool {
    same_model(pinned, seen)
        && agrees(
            pinned.hardware_type_id.as_ref(),
            seen.hardware_type_id.as_ref(),
        )
        && agrees(pinned.context_length, seen.context_length)
        && agrees(
            pinned.billing_interval.as_ref(),
            seen.billing_interval.as_ref(),
        )
        && agrees(pinned.num_workers, seen.num_workers)
}

/// Whether both are of one model, however it is spelt.
pub fn same_model(a: &InstanceArgs, b: &InstanceArgs) -> bool {
    a.model_id == b.model_id || normalise_model_id(&a.model_id) == normalise_model_id(&b.model_id)
}

/// The arguments as the spec states them; what it leaves open is absent.
pub fn stated(spec: &CortecsInstanceSpec) -> InstanceArgs {
    InstanceArgs {
        model_id: normalise_model_id(&spec.model_id),
        hardware_type_id: spec.hardware_type_id.clone(),
        context_length: spec.context_length.and_then(|n| u32::try_from(n).ok()),
        billing_interval: Some(billing_interval(spec.billing_interval)),
        num_workers: u32::try_from(spec.num_workers).ok(),
    }
}

/// Whether `spec` asks for something else than when the instance was requested, and than what is in force. An answer of the API
/// that differs from the request is no such reason: replaced, it would differ again. What the spec leaves open agrees with anything.
pub fn is_outdated(
    spec: &CortecsInstanceSpec,
    requested: &InstanceArgs,
    in_force: &InstanceArgs,
) -> bool {
    fn moved<T: PartialEq>(wanted: Option<T>, requested: Option<T>, in_force: Option<T>) -> bool {
        wanted.is_some() && wanted != requested && !(in_force.is_some() && wanted == in_force)
    }
    let wanted = stated(spec);
    (!same_model(&wanted, requested) && !same_model(&wanted, in_force))
        || moved(
            wanted.hardware_type_id.as_ref(),
            requested.hardware_type_id.as_ref(),
            in_force.hardware_type_id.as_ref(),
        )
        || moved(
            wanted.context_length,
            requested.context_length,
            in_force.context_length,
        )
        || moved(
            wanted.billing_interval,
            requested.billing_interval.clone(),
            in_force.billing_interval.clone(),
        )
        || moved(
            wanted.num_workers,
            requested.num_workers,
            in_force.num_workers,
        )
}

/// Whether the instance that `status` shows is [outdated](is_outdated).
pub fn shows_outdated(spec: &CortecsInstanceSpec, status: &CortecsInstanceStatus) -> bool {
    match (&status.requested_args, &status.instance_args) {
        (Some(requested), Some(in_force)) => is_outdated(spec, &requested.into(), &in_force.into()),
        _ => false,
    }
}

/// Whether an instance in force with `actual` is what `spec` asks for. A default that the spec leaves open agrees with any value.
pub fn satisfies(spec: &CortecsInstanceSpec, actual: &InstanceArgs) -> bool {
    normalise_model_id(&spec.model_id) == normalise_model_id(&actual.model_id)
        && agrees(
            spec.hardware_type_id.as_ref(),
            actual.hardware_type_id.as_ref(),
        )
        && agrees(
            spec.context_length.and_then(|n| u32::try_from(n).ok()),
            actual.context_length,
        )
        && agrees(
            Some(&billing_interval(spec.billing_interval)),
            actual.billing_interval.as_ref(),
        )
        && agrees(u32::try_from(spec.num_workers).ok(), actual.num_workers)
}

/// The arguments in force: what the API states, filled up with what was recorded before for the same instance.
pub fn in_force(
    stated: &InstanceArgs,
    recorded: Option<&instance_status::InstanceArgs>,
) -> instance_status::InstanceArgs {
    let mut result = instance_status::InstanceArgs::shown(stated);
    if let Some(recorded) = recorded
        && normalise_model_id(&recorded.model_id) == normalise_model_id(&stated.model_id)
    {
        result.hardware_type_id = result
            .hardware_type_id
            .or_else(|| recorded.hardware_type_id.clone());
        result.context_length = result.context_length.or(recorded.context_length);
        result.billing_interval = result
            .billing_interval
            .or_else(|| recorded.billing_interval.clone());
        result.num_workers = result.num_workers.or(recorded.num_workers);
    }
    result
}

fn agrees<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a == b,
        _ => true,
    }
}

fn billing_interval(interval: instance::BillingInterval) -> BillingInterval {
    match interval {
        instance::BillingInterval::PerMinute => BillingInterval::PerMinute,
        instance::BillingInterval::PerHour => BillingInterval::PerHour,
    }
}

#[cfg(test)]
#[path = "args_property_tests.rs"]
mod property_tests;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::cortecs::types::HardwareConfig;

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
        let message = pin(
            &spec(json!({ "modelId": "org/name", "hardwareTypeId": "X" })),
            Some(&model()),
        )
        .unwrap_err();
        assert!(message.contains("NVIDIA_H100_1, NVIDIA_L4_1"), "{message}");
        let too_long = spec(json!({ "modelId": "org/name", "contextLength": 16_001 }));
        let message = pin(&too_long, Some(&model())).unwrap_err();
        assert!(message.contains("16000"), "{message}");
    }

    #[test]
    fn what_an_answer_omits_matches_anything() {
        let pinned = pin(&spec(json!({ "modelId": "org/name" })), Some(&model())).unwrap();
        let seen =
            |value: serde_json::Value| serde_json::from_value::<InstanceArgs>(value).unwrap();
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
        assert!(satisfies(&spec(json!({ "modelId": "org--name" })), &actual));
        assert!(!satisfies(
            &spec(json!({ "modelId": "org--name", "numWorkers": 2 })),
            &actual
        ));
        assert!(!satisfies(
            &spec(json!({ "modelId": "org--name", "billingInterval": "per_hour" })),
            &actual
        ));
        assert!(!satisfies(
            &spec(json!({ "modelId": "org--name", "contextLength": 8000 })),
            &actual
        ));
    }

    #[test]
    fn only_a_change_of_the_spec_outdates_an_instance() {
        let seen =
            |value: serde_json::Value| serde_json::from_value::<InstanceArgs>(value).unwrap();
        let wanted = |value| spec(value);
        let asked = wanted(json!({ "modelId": "org/name", "contextLength": 33_000 }));
        let requested = stated(&asked);
        let rounded = seen(
            json!({ "model_id": "org--name-fp8", "context_length": 32_768, "num_workers": 1 }),
        );
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
    }

    #[test]
    fn recorded_arguments_fill_what_the_api_omits() {
        let recorded = instance_status::InstanceArgs {
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
}
