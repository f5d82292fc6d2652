use cortecs_resources::schema::spec_violations;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn entry(value: serde_json::Value) -> Model {
    serde_json::from_value(value).unwrap()
}

fn listed() -> Model {
    entry(json!({
        "model_name": "org--Name", "model_id": "internal", "hf_name": "org/Name", "screen_name": "Name",
        "instant_provisioned": true, "creator": {"name": "Org", "url": "https://org.example"},
        "description": "Two\nlines.", "size": 7_000_000_000_u64,
        "hardware_info": {"hardware_configs": ["L4", "H100", "A100"]},
    }))
}

fn detail() -> Detail {
    Detail::of(&entry(json!({
        "model_id": "internal", "recommended_config": "H100",
        "hardware_configs": {
            "H100": {"params": {"--max-model-len": 32768}},
            "L4": {"params": {"--max-model-len": "8192"}},
            "A100": {"params": {}},
        },
    })))
}

#[test]
fn a_model_says_what_the_list_says() {
    let spec = model(&listed(), None, None);
    assert_eq!(spec.id, "org--Name");
    assert_eq!(spec.description.as_deref(), Some("Two lines."));
    assert_eq!(spec.size.as_deref(), Some("7B"));
    assert_eq!(spec.instant_provisioning, Some(true));
    assert_eq!(spec.hardware_type_ids, ["A100", "H100", "L4"]);
    assert_eq!(spec.recommended_hardware_type_id, None);
    assert!(spec.max_context_lengths.is_empty());
    let spec = model(&entry(json!({"model_id": "bare"})), None, None);
    assert_eq!(serde_json::to_value(spec).unwrap(), json!({"id": "bare"}));
}

#[test]
fn the_recommended_hardware_is_the_first() {
    let spec = model(&listed(), Some(&detail()), None);
    assert_eq!(spec.hardware_type_ids, ["H100", "A100", "L4"]);
    let maxima = [("H100".to_owned(), 32768), ("L4".to_owned(), 8192)];
    assert_eq!(spec.max_context_lengths, BTreeMap::from(maxima));
}

#[test]
fn what_was_known_before_stays_while_the_model_offers_that_hardware() {
    let before = model(&listed(), Some(&detail()), None);
    assert_eq!(model(&listed(), None, Some(&before)), before);
    let mut less = listed();
    less.hardware_info = Some(serde_json::from_value(json!({"hardware_configs": ["L4"]})).unwrap());
    let spec = model(&less, None, Some(&before));
    assert_eq!(spec.hardware_type_ids, ["L4"]);
    assert_eq!(spec.recommended_hardware_type_id, None);
    assert_eq!(spec.max_context_lengths.len(), 1);
    less.hardware_info = None;
    let spec = model(&less, None, Some(&before));
    assert_eq!(spec.hardware_type_ids, before.hardware_type_ids);
}

#[test]
fn sizes_are_shown_as_people_write_them() {
    for (given, shown) in [
        (json!(7_000_000_000_u64), Some("7B")),
        (json!(1_500_000_000), Some("1.5B")),
        (json!(560e6), Some("560M")),
        (json!(1e12), Some("1T")),
        (json!(42), Some("42")),
        (json!("8x7B"), Some("8x7B")),
        (json!(" \n"), None),
        (json!(null), None),
        (json!([1]), None),
    ] {
        assert_eq!(size(&given).as_deref(), shown, "{given}");
    }
}

#[test]
fn a_hardware_type_has_its_prices_as_decimal_numbers() {
    let given = |price: serde_json::Value| -> HardwareType {
        serde_json::from_value(json!({
            "hardware_type_id": "NVIDIA_L4_2", "price_info": price,
            "hardware_info": {"gpu_type": "NVIDIA L4", "num_gpus": 2, "gpu_ram_gb": 24.0},
        }))
        .unwrap()
    };
    let free = BTreeSet::from(["NVIDIA_L4_2".to_owned()]);
    let price = json!({"price_per_hour": 2.4, "price_per_minute": 0.04, "currency": "EUR"});
    let spec = hardware_type(&given(price.clone()), Some(&free), None);
    assert_eq!(
        serde_json::to_value(&spec).unwrap(),
        json!({
            "id": "NVIDIA_L4_2", "gpuType": "NVIDIA L4", "gpuCount": 2, "gpuRam": "24G",
            "pricePerHour": "2.40", "pricePerMinute": "0.04", "currency": "EUR", "available": true,
        })
    );
    // Where availability is not known, the last known one stays.
    assert_eq!(
        hardware_type(&given(price.clone()), None, Some(&spec)),
        spec
    );
    assert_eq!(hardware_type(&given(price), None, None).available, None);
    let minute = json!({"price_per_minute": 0.5, "currency": "EUR"});
    let spec = hardware_type(&given(minute), Some(&BTreeSet::new()), None);
    assert_eq!(spec.price_per_hour.as_deref(), Some("30.00"));
    assert_eq!(spec.available, Some(false));
    for price in [
        json!({"price_per_hour": 2.4}),
        json!({"price_per_hour": -2.4, "currency": "EUR"}),
        json!({"price_per_hour": 2.4, "currency": "euros"}),
    ] {
        assert_eq!(
            hardware_type(&given(price), None, None).price_per_hour,
            None
        );
    }
}

#[test]
fn memory_is_a_quantity() {
    for (given, shown) in [
        (24.0, Some("24G")),
        (79.65, Some("79.65G")),
        (0.0, Some("0G")),
        (100.0, Some("100G")),
        (-1.0, None),
        (f64::NAN, None),
        (f64::INFINITY, None),
    ] {
        assert_eq!(gigabytes(given).as_deref(), shown, "{given}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_schema_takes_every_answer(
        long in "\\PC{0,300}",
        description in "[\\PC\\pC]{0,3000}",
        ids in proptest::collection::vec("\\PC{0,260}", 0..80),
        price in any::<f64>(),
        count in any::<u32>(),
    ) {
        let configs: BTreeMap<_, _> = ids.iter().map(|id| (id, json!({"params": {"--max-model-len": count}}))).collect();
        let model_entry = entry(json!({
            "model_id": "id", "hf_name": long, "screen_name": long, "description": description, "size": long,
            "creator": {"name": long, "url": description}, "recommended_config": ids.first(),
            "hardware_info": {"hardware_configs": ids}, "hardware_configs": configs,
        }));
        let detail = Detail::of(&model_entry);
        let spec = model(&model_entry, Some(&detail), None);
        prop_assert_eq!(spec_violations("CortecsModel", &spec), Vec::<String>::new());
        // The same answer makes no other object.
        prop_assert_eq!(&model(&model_entry, Some(&detail), Some(&spec)), &spec);
        prop_assert_eq!(&model(&model_entry, None, Some(&spec)), &spec);
        let hardware: HardwareType = serde_json::from_value(json!({
            "hardware_type_id": "id",
            "price_info": {"price_per_hour": price, "price_per_minute": price, "currency": "EUR"},
            "hardware_info": {"gpu_type": long, "num_gpus": count, "gpu_ram_gb": price},
        })).unwrap();
        let spec = hardware_type(&hardware, None, None);
        prop_assert_eq!(spec_violations("CortecsHardwareType", &spec), Vec::<String>::new());
    }
}
