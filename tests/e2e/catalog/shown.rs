//! What the objects show, and when they are written.

use super::*;

/// Whether the request writes an object of the catalog.
fn writes(asked: &Asked) -> Option<Meddling> {
    let is_about = |kind: &str| asked.path.contains(kind);
    let is_catalog = is_about("/cortecsmodels") || is_about("/cortecshardwaretypes");
    (is_catalog && asked.method != "GET").then_some(Meddling::Refuses)
}

/// Lets the operator work with several lists. A write that changes nothing leaves the resourceVersion as it is, so the requests are
/// counted.
async fn nothing_is_written(bed: &Bed, proxy: &HangingProxy) {
    proxy.set_webhook(Some(writes));
    refreshed(bed, 5).await;
    assert_eq!(proxy.meddled(), 0, "it wrote without a reason");
    proxy.set_webhook(None);
}

#[tokio::test]
async fn the_catalog_is_shown_and_nothing_is_written_while_it_stays_the_same() {
    let bed = bed("catalog").await;
    bed.api.set_capacity("NVIDIA_H100_8", 0).expect("hardware");
    let proxy = HangingProxy::new(&bed.kubeconfig).await;
    let operator = bed.operator_through(&proxy);
    complete(&bed).await;

    let shown = bed.kubectl_text(&["get", "cortecsmodels"]).await;
    let line = |shown: &str, name: &str| {
        let line = shown.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in\n{shown}"));
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        line(&shown, "NAME"),
        ["NAME", "HF", "NAME", "SIZE", "HARDWARE", "INSTANT"],
        "{shown}"
    );
    assert_eq!(
        line(&shown, "microsoft--phi-4"),
        [
            "microsoft--phi-4",
            MODEL,
            "14B",
            r#"["NVIDIA_L40S_1","NVIDIA_A100_1","NVIDIA_L4_2"]"#,
            "true",
        ]
    );
    let shown = bed.kubectl_text(&["get", "cortecshardwaretypes"]).await;
    assert_eq!(
        line(&shown, "NAME"),
        ["NAME", "GPU", "COUNT", "RAM", "PRICE/H", "AVAILABLE"],
        "{shown}"
    );
    assert_eq!(
        line(&shown, "nvidia-l4-1 "),
        ["nvidia-l4-1", "NVIDIA", "L4", "1", "24G", "1.20", "true"]
    );
    assert_eq!(
        line(&shown, "nvidia-h100-8").last().map(String::as_str),
        Some("false")
    );

    // The id that a start takes, not the internal one.
    let llama = api::<CortecsModel>(&bed)
        .get("meta-llama--llama-3.1-8b-instruct")
        .await
        .expect("the model");
    assert_eq!(
        serde_json::to_value(&llama.spec).expect("a spec"),
        json!({
            "id": "meta-llama--Llama-3.1-8B-Instruct",
            "hfName": "meta-llama/Llama-3.1-8B-Instruct",
            "screenName": "Llama 3.1 8B Instruct",
            "creator": {"name": "Meta", "url": "https://llama.meta.com"},
            "description": "Llama 3.1 8B Instruct with 8 billion parameters.",
            "size": "8B",
            "instantProvisioning": true,
            "hardwareTypeIds": ["NVIDIA_L40S_1", "NVIDIA_H100_1", "NVIDIA_L4_1", "NVIDIA_L4_2"],
            "recommendedHardwareTypeId": "NVIDIA_L40S_1",
            "maxContextLengths": {"NVIDIA_H100_1": 131_072, "NVIDIA_L40S_1": 64_000, "NVIDIA_L4_1": 12_000, "NVIDIA_L4_2": 48_000},
        })
    );
    let llama_labels = llama.labels().get("app.kubernetes.io/managed-by");
    assert_eq!(llama_labels.map(String::as_str), Some("cortecs-operator"));

    let before = versions(&bed).await;
    let asked = bed.api.count(Endpoint::GetModel);
    assert_eq!(asked, MODELS as u64, "each model is asked about once");
    nothing_is_written(&bed, &proxy).await;
    assert_eq!(versions(&bed).await, before);
    assert_eq!(bed.api.count(Endpoint::GetModel), asked);

    // After a restart the maxima stay as they are, also while the API does not tell them.
    operator.kill();
    bed.api.add_fault(answer(Endpoint::GetModel, 503, "{}"));
    bed.api.lift_capacity("NVIDIA_H100_8").expect("hardware");
    let _operator = bed.operator();
    until::<CortecsHardwareType>(&bed, "available again", |types| {
        types.values().all(|kind| kind.spec.available == Some(true))
    })
    .await;
    refreshed(&bed, 2).await;
    let mut after = versions(&bed).await;
    let freed = "hardware nvidia-h100-8".to_owned();
    assert_ne!(
        after.insert(freed.clone(), before[&freed].clone()),
        Some(before[&freed].clone())
    );
    assert_eq!(after, before, "it wrote more than the change");
}

#[tokio::test]
async fn a_thousand_models_cost_one_list_and_no_write() {
    let mut bed = bed("thousand").await;
    let details = Pace {
        slow: Duration::from_secs(3600),
        ..INTERVALS.details
    };
    bed.config.catalog_objects = Some(Intervals {
        details,
        ..INTERVALS
    });
    let models: Vec<Value> = (0..1000)
        .map(|n| json!({"model_id": format!("Org--Model_{n}")}))
        .collect();
    change(&bed, json!({"models": models}));
    let proxy = HangingProxy::new(&bed.kubeconfig).await;
    let _operator = bed.operator_through(&proxy);
    let all = MODELS + 1000;
    // Each part has a deadline of its own: a loaded machine takes its time for a thousand writes.
    for part in (100..all).step_by(100).chain([all]) {
        until::<CortecsModel>(&bed, "more models", |models| models.len() >= part).await;
    }
    until::<CortecsHardwareType>(&bed, "all hardware types", |types| {
        types.len() == HARDWARE_TYPES
    })
    .await;
    // Of those that no resource uses one is asked about.
    refreshed(&bed, 2).await;
    bed.api.reset_counts();
    nothing_is_written(&bed, &proxy).await;
    assert_eq!(bed.api.count(Endpoint::GetModel), 0);

    // A model in use is asked about at once.
    bed.create(
        "phi",
        json!({"modelId": "google/gemma-2-9b-it", "state": "Stopped"}),
    )
    .await;
    until::<CortecsModel>(&bed, "the maxima of the model in use", |models| {
        let model = models.get("google--gemma-2-9b-it");
        model.is_some_and(|model| model.spec.max_context_lengths.len() == 2)
    })
    .await;
}
