//! Lists of the API that are bad, and lists that lack something.

use super::*;

/// The hardware that is free changes often: it is asked for while somebody waits, and after a failure. The rest waits for the hour.
#[tokio::test]
async fn what_is_free_is_asked_for_while_a_resource_waits_and_again_after_a_failure() {
    let mut bed = bed("free").await;
    let free = |bed: &Bed| bed.api.count(Endpoint::AvailableHardwareTypes);
    bed.config.catalog_objects = Some(Intervals {
        refresh: Duration::from_secs(3600),
        ..INTERVALS
    });
    let fails = Effect::fail(503, "later");
    let endpoint = Endpoint::AvailableHardwareTypes;
    bed.api.add_fault(Fault::once(endpoint, fails));
    let _operator = bed.operator();
    // After the failure it was asked again.
    complete(&bed).await;
    let before = free(&bed);
    bed.wait_lists(3).await;
    assert_eq!(free(&bed), before);

    bed.api.set_capacity(HARDWARE, 0).expect("a hardware type");
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.waits("phi", "WaitingForCapacity").await;
    until::<CortecsHardwareType>(&bed, "none is free", |types| {
        let kind = types.values().find(|kind| kind.spec.id == HARDWARE);
        kind.is_some_and(|kind| kind.spec.available == Some(false))
    })
    .await;
    let before = free(&bed);
    bed.wait_api("more questions", |api| api.count(endpoint) > before + 3)
        .await;
    assert_eq!(bed.api.count(Endpoint::ListModels), 1);
}

#[tokio::test]
async fn a_bad_list_removes_nothing_and_a_good_one_does() {
    let bed = bed("lists").await;
    let _operator = bed.operator();
    complete(&bed).await;
    let before = versions(&bed).await;
    let unreadable =
        r#"{"models": [{"model_id": 7}], "hardware_types": [{"hardware_type_id": null}]}"#;
    for (status, body) in [
        (200, r#"{"models": [], "hardware_types": []}"#),
        (200, unreadable),
        (200, "{}"),
        (200, "<html>"),
        (503, "{}"),
        (404, "{}"),
    ] {
        for endpoint in [Endpoint::ListModels, Endpoint::HardwareTypes] {
            bed.api.add_fault(answer(endpoint, status, body));
        }
        refreshed(&bed, 4).await;
        assert_eq!(versions(&bed).await, before, "{status} {body}");
        bed.api.clear_faults();
    }
    assert!(bed.logs.text().contains("is empty"), "{}", bed.logs.text());

    // One entry that cannot be read hides no other, and removes nothing.
    let one = r#"{"models": [{"model_id": "new/one"}, {"model_id": 7}]}"#;
    bed.api.add_fault(answer(Endpoint::ListModels, 200, one));
    let models = until::<CortecsModel>(&bed, "the new model", |m| m.len() == MODELS + 1).await;
    let name = models.iter().find(|(_, model)| model.spec.id == "new/one");
    let name = name.expect("the new model").0.clone();
    assert!(name.starts_with("new-one-"), "{name}");
    refreshed(&bed, 4).await;
    assert_eq!(objects::<CortecsModel>(&bed).await.len(), MODELS + 1);
    bed.api.clear_faults();

    // A good list removes what it lacks.
    until::<CortecsModel>(&bed, "the new model gone", |m| !m.contains_key(&name)).await;
    let removed = json!({"removed_models": [MODEL_ID], "removed_hardware_types": ["NVIDIA_L4_4"]});
    change(&bed, removed);
    until::<CortecsModel>(&bed, "phi-4 gone", |m| !m.contains_key("microsoft--phi-4")).await;
    until::<CortecsHardwareType>(&bed, "L4_4 gone", |t| !t.contains_key("nvidia-l4-4")).await;
    assert!(!bed.logs.text().contains("more than half"));

    // A list that has lost more than half must come several times.
    let types = objects::<CortecsHardwareType>(&bed).await;
    let ids = types.values().map(|kind| kind.spec.id.clone());
    let lost: Vec<String> = ids.filter(|id| id != "NVIDIA_A100_1").collect();
    change(&bed, json!({"removed_hardware_types": lost}));
    until::<CortecsHardwareType>(&bed, "one hardware type", |types| types.len() == 1).await;
    assert!(
        bed.logs.text().contains("more than half"),
        "{}",
        bed.logs.text()
    );
}
