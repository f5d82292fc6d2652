use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};

use super::*;

/// A model that recommends an L4 with 16,000 tokens, and runs on an L40S with 64,000 and on an H100.
fn model() -> Model {
    serde_json::from_value(json!({
        "model_id": "org--name", "recommended_config": "NVIDIA_L4_1",
        "hardware_configs": {
            "NVIDIA_L4_1": { "params": { "--max-model-len": 16_000 } },
            "NVIDIA_L40S_1": { "params": { "--max-model-len": 64_000 } },
            "NVIDIA_H100_1": {},
        },
    }))
    .unwrap()
}

fn spec(mut value: Value) -> CortecsInstanceSpec {
    value["modelId"] = json!("org/name");
    serde_json::from_value(value).unwrap()
}

fn free(ids: &[&str]) -> Capacity {
    let ids: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    Capacity::Available(Arc::new(ids))
}

/// Hardware and context length that are taken, or the hardware that is waited for.
fn taken(spec: &CortecsInstanceSpec, capacity: &Capacity) -> Result<(String, u32), Vec<String>> {
    let choices = choices(spec, Some(&model())).unwrap();
    let args = available(choices, capacity, None)?;
    Ok((args.hardware_type_id.unwrap(), args.context_length.unwrap()))
}

#[test]
fn the_first_hardware_that_is_available_and_fits_is_taken() {
    let alone = spec(json!({}));
    let l4 = Ok(("NVIDIA_L4_1".to_owned(), 16_000));
    assert_eq!(taken(&alone, &free(&["NVIDIA_L4_1"])), l4);
    // Where the API does not say what is free, the start tells.
    assert_eq!(taken(&alone, &Capacity::Unknown), l4);
    assert_eq!(
        taken(&alone, &free(&["NVIDIA_L40S_1"])),
        Err(vec!["NVIDIA_L4_1".to_owned()])
    );

    let with_others = spec(json!({ "hardwareFallbacks": ["NVIDIA_L40S_1", "NVIDIA_H100_1"] }));
    assert_eq!(
        taken(&with_others, &free(&["NVIDIA_L4_1", "NVIDIA_L40S_1"])),
        l4
    );
    let l40s = Ok(("NVIDIA_L40S_1".to_owned(), 32_000));
    assert_eq!(
        taken(&with_others, &free(&["NVIDIA_H100_1", "NVIDIA_L40S_1"])),
        l40s
    );
    let none = taken(&with_others, &free(&["NVIDIA_A100_1"]));
    assert_eq!(
        none.unwrap_err(),
        ["NVIDIA_L4_1", "NVIDIA_L40S_1", "NVIDIA_H100_1"]
    );
}

#[test]
fn a_fallback_that_does_not_fit_the_context_is_passed_over() {
    let long = spec(json!({
        "hardwareTypeId": "NVIDIA_L40S_1", "contextLength": 64_000,
        "hardwareFallbacks": ["NVIDIA_L4_1", "NVIDIA_H100_1"],
    }));
    let h100 = Ok(("NVIDIA_H100_1".to_owned(), 64_000));
    assert_eq!(taken(&long, &free(&["NVIDIA_L4_1", "NVIDIA_H100_1"])), h100);
}

#[test]
fn hardware_that_the_resource_gives_back_is_available() {
    let model = model();
    let choices = choices(&spec(json!({})), Some(&model)).unwrap();
    let pin = |own| available(choices.clone(), &free(&[]), own);
    assert!(pin(Some("NVIDIA_L4_1")).is_ok());
    assert!(pin(Some("NVIDIA_L40S_1")).is_err() && pin(None).is_err());
}

#[test]
fn misspelt_hardware_is_refused_with_the_nearest_name() {
    for (wrong, field) in [
        (
            json!({ "hardwareTypeId": "NVIDIA_L40_1" }),
            "spec.hardwareTypeId",
        ),
        (
            json!({ "hardwareFallbacks": ["NVIDIA_L40_1"] }),
            "spec.hardwareFallbacks",
        ),
    ] {
        let message = pin(&spec(wrong), Some(&model())).unwrap_err();
        for part in [
            "did you mean NVIDIA_L40S_1?",
            field,
            "NVIDIA_H100_1, NVIDIA_L40S_1, NVIDIA_L4_1",
        ] {
            assert!(message.contains(part), "{message}");
        }
    }
}

#[test]
fn too_much_context_is_refused_with_the_hardware_that_takes_it() {
    let mut only_l4 = model();
    let configs = only_l4.hardware_configs.as_mut().unwrap();
    configs.retain(|id, _| id == "NVIDIA_L4_1");
    for (model, asked, remedy) in [
        (model(), 17_000, "one of NVIDIA_H100_1, NVIDIA_L40S_1"),
        (model(), 65_000, "one of NVIDIA_H100_1"),
        (only_l4, 17_000, ": lower spec.contextLength"),
    ] {
        let long = spec(json!({ "hardwareTypeId": "NVIDIA_L4_1", "contextLength": asked }));
        let message = pin(&long, Some(&model)).unwrap_err();
        assert!(message.contains("at most 16000 tokens"), "{message}");
        assert!(message.ends_with(remedy), "{message}");
    }
}

#[test]
fn a_refusal_of_a_default_says_what_to_set() {
    let refusal = |message: &str| Failure {
        kind: FailureKind::Terminal,
        reason: cortecs_resources::reason::Reason::InvalidArguments,
        message: message.to_owned(),
        generation: 1,
        failed_at: cortecs_clock::Moment::default(),
        retry_at: cortecs_clock::Moment::default(),
        count: 1,
    };
    let says = |wanted: Value, message: &str| {
        let wanted = spec(wanted);
        let mut refusal = refusal(message);
        explain(&mut refusal, &wanted, &pin(&wanted, None).unwrap());
        refusal.message
    };
    let open = json!({ "hardwareTypeId": "NVIDIA_L4_1" });
    let stated = json!({ "hardwareTypeId": "NVIDIA_L4_1", "contextLength": 50_000 });
    for message in [
        "context_length 32000 is out of range",
        "Context too long",
        "max_model_len",
    ] {
        let said = says(open.clone(), message);
        assert!(
            said.ends_with("32000 tokens are the default here: set spec.contextLength"),
            "{said}"
        );
        assert_eq!(says(stated.clone(), message), message);
    }
    assert_eq!(says(open, "no such model"), "no such model");
}

#[test]
fn a_fallback_that_was_taken_is_no_reason_to_replace_the_instance() {
    let fallbacks =
        json!({ "hardwareTypeId": "NVIDIA_L4_1", "hardwareFallbacks": ["NVIDIA_L40S_1"] });
    let wanted = spec(fallbacks);
    let choices = choices(&wanted, Some(&model())).unwrap();
    let taken = available(choices, &free(&["NVIDIA_L40S_1"]), None).unwrap();
    // After a restore from a backup what is in force counts as requested.
    for requested in [&args::stated(&wanted), &taken] {
        assert!(!args::is_outdated(&wanted, requested, &taken));
        let without = spec(json!({ "hardwareTypeId": "NVIDIA_L4_1" }));
        let is_asked_for = requested.hardware_type_id == without.hardware_type_id;
        assert_eq!(
            args::is_outdated(&without, requested, &taken),
            !is_asked_for
        );
    }
    assert!(args::satisfies(&wanted, &taken, &taken));
    let other = spec(json!({ "hardwareTypeId": "NVIDIA_H100_1" }));
    assert!(args::is_outdated(&other, &args::stated(&wanted), &taken));
}
