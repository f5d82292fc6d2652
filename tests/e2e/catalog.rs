//! The API's catalog as cluster-scoped objects.

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use cortecs_operator::catalog_objects::intervals::Intervals;
use cortecs_resources::{
    CortecsHardwareType, CortecsModel, account::ManagedBy, annotations::OPERATOR,
};
use cortecs_rules::catalog::details::Pace;
use cortecs_simulator::{CatalogChange, Effect, Endpoint, Fault, FaultBody, When};
use k8s_openapi::ClusterResourceScope;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    control_plane::assert_succeeded,
    eventually::eventually,
    harness::{Bed, MODEL, MODEL_ID, SOON, polls_every_second},
    objects::{install_definitions, object},
};

const MODELS: usize = 8;
const HARDWARE_TYPES: usize = 10;

/// The intervals of the tests: all of what takes minutes or hours takes moments.
const INTERVALS: Intervals = Intervals {
    refresh: Duration::from_millis(200),
    availability: Duration::from_millis(200),
    details: Pace {
        slow: Duration::from_millis(20),
        fresh: Duration::from_secs(3600),
        retry: Duration::from_millis(200),
    },
    retry: Duration::from_millis(200),
    tick: Duration::from_millis(50),
    pass: Duration::from_millis(20),
};

async fn bed(name: &'static str) -> Bed {
    let mut bed = Bed::builder(name).alone().build().await;
    bed.config.catalog_objects = Some(INTERVALS);
    bed
}

fn api<K: Resource<DynamicType = (), Scope = ClusterResourceScope>>(bed: &Bed) -> Api<K> {
    Api::all(bed.client.clone())
}

async fn objects<K>(bed: &Bed) -> BTreeMap<String, K>
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + DeserializeOwned,
{
    let list = api::<K>(bed).list(&ListParams::default()).await;
    let objects = list.expect("the objects").items.into_iter();
    objects.map(|object| (object.name_any(), object)).collect()
}

/// Name and resourceVersion of each object of both kinds.
async fn versions(bed: &Bed) -> BTreeMap<String, Option<String>> {
    let models = objects::<CortecsModel>(bed).await.into_iter();
    let hardware = objects::<CortecsHardwareType>(bed).await.into_iter();
    let models = models.map(|(name, o)| (format!("model {name}"), o.resource_version()));
    models
        .chain(hardware.map(|(name, o)| (format!("hardware {name}"), o.resource_version())))
        .collect()
}

/// Waits until the objects are as they should be.
async fn until<K>(
    bed: &Bed,
    what: &str,
    holds: impl Fn(&BTreeMap<String, K>) -> bool,
) -> BTreeMap<String, K>
where
    K: Resource<DynamicType = (), Scope = ClusterResourceScope> + Clone + Debug + DeserializeOwned,
{
    eventually(what, SOON, async || {
        let found = objects::<K>(bed).await;
        match holds(&found) {
            true => Ok(found),
            false => Err(format!("{found:#?}\n{}", bed.logs.text())),
        }
    })
    .await
}

/// Waits until every model of the catalog has its object, with its maxima, and every hardware type.
async fn complete(bed: &Bed) {
    until::<CortecsModel>(bed, "all models", |models| {
        models.len() == MODELS
            && models
                .values()
                .all(|model| !model.spec.max_context_lengths.is_empty())
    })
    .await;
    until::<CortecsHardwareType>(bed, "all hardware types", |types| {
        types.len() == HARDWARE_TYPES && types.values().all(|kind| kind.spec.available.is_some())
    })
    .await;
}

/// Waits until the operator has worked with this many more lists of models and of hardware types.
async fn refreshed(bed: &Bed, more: u64) {
    for endpoint in [Endpoint::ListModels, Endpoint::HardwareTypes] {
        // The last list of those that are counted may not be in use yet.
        let wanted = bed.api.count(endpoint) + more + 2;
        bed.wait_api("more lists", |view| view.count(endpoint) >= wanted)
            .await;
    }
}

fn answer(endpoint: Endpoint, status: u16, body: &str) -> Fault {
    let effect = Effect::Answer {
        when: When::After,
        status,
        body: FaultBody::Raw(body.to_owned()),
        retry_after: None,
        location: None,
    };
    Fault::new(endpoint, effect)
}

fn change(bed: &Bed, change: Value) {
    let change: CatalogChange = serde_json::from_value(change).expect("a change");
    bed.api.change_catalog(change);
}

#[tokio::test]
async fn the_catalog_is_shown_and_nothing_is_written_while_it_stays_the_same() {
    let bed = bed("catalog").await;
    bed.api.set_capacity("NVIDIA_H100_8", 0).expect("hardware");
    let operator = bed.operator();
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
    refreshed(&bed, 5).await;
    assert_eq!(versions(&bed).await, before, "it wrote without a reason");
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
    let _operator = bed.operator();
    let all = MODELS + 1000;
    until::<CortecsModel>(&bed, "all models", |models| models.len() == all).await;
    until::<CortecsHardwareType>(&bed, "all hardware types", |types| {
        types.len() == HARDWARE_TYPES
    })
    .await;
    // Of those that no resource uses one is asked about.
    refreshed(&bed, 2).await;
    let before = versions(&bed).await;
    bed.api.reset_counts();
    refreshed(&bed, 3).await;
    assert_eq!(versions(&bed).await, before, "it wrote without a reason");
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

#[tokio::test]
async fn what_people_change_is_put_back_and_two_ids_of_one_name_have_two_objects() {
    let bed = bed("tampered").await;
    let _operator = bed.operator();
    complete(&bed).await;
    let models = api::<CortecsModel>(&bed);
    let types = api::<CortecsHardwareType>(&bed);
    let good = models
        .get("microsoft--phi-4")
        .await
        .expect("the model")
        .spec;

    let edit = json!({"spec": {"size": "1T", "id": "other"}, "metadata": {"labels": {"app.kubernetes.io/managed-by": null}}});
    let merge = PatchParams::default();
    models
        .patch("microsoft--phi-4", &merge, &Patch::Merge(edit))
        .await
        .expect("an edited model");
    types
        .delete("nvidia-l4-1", &DeleteParams::default())
        .await
        .expect("a deletion");
    until::<CortecsModel>(&bed, "the edit undone", |models| {
        let model = models.get("microsoft--phi-4");
        model.is_some_and(|model| model.spec == good && !model.labels().is_empty())
    })
    .await;
    until::<CortecsHardwareType>(&bed, "the deleted one back", |types| {
        types
            .get("nvidia-l4-1")
            .is_some_and(|kind| kind.spec.id == "NVIDIA_L4_1")
    })
    .await;

    // What a person made stays, unless the catalog needs its name.
    let spec = json!({"id": "mine"});
    for name in ["mine", "new-model"] {
        let own = object::<CortecsModel>("CortecsModel", name, spec.clone());
        models
            .create(&PostParams::default(), &own)
            .await
            .expect("a model");
    }
    let first = json!({"hardware_type_id": "nvidia-l4-1", "hardware_info": {"num_gpus": 3}});
    change(
        &bed,
        json!({"models": [{"model_id": "New_Model"}], "hardware_types": [first]}),
    );
    let found = until::<CortecsHardwareType>(&bed, "the other one", |types| {
        types.len() == HARDWARE_TYPES + 1
    })
    .await;
    assert_eq!(found["nvidia-l4-1"].spec.id, "NVIDIA_L4_1");
    let other = found.iter().find(|(_, kind)| kind.spec.id == "nvidia-l4-1");
    let (name, other) = other.expect("the other one");
    assert!(name.starts_with("nvidia-l4-1-"), "{name}");
    assert_eq!(other.spec.gpu_count, Some(3));
    let found = until::<CortecsModel>(&bed, "the name taken", |models| {
        models
            .get("new-model")
            .is_some_and(|model| model.spec.id == "New_Model")
    })
    .await;
    assert_eq!(found["mine"].spec.id, "mine");
}

#[tokio::test]
async fn an_operator_that_does_not_manage_the_default_account_writes_nothing() {
    let mut bed = Bed::builder("managed")
        .alone()
        .without_account()
        .build()
        .await;
    bed.config.catalog_objects = Some(INTERVALS);
    bed.create_account("main", polls_every_second()).await;
    bed.annotate_account(OPERATOR, "elsewhere").await;
    let _operator = bed.operator();
    // It is at work, with another account.
    bed.create_account("second", polls_every_second()).await;
    bed.wait_lists(3).await;
    assert_eq!(versions(&bed).await, BTreeMap::new());
    assert_eq!(bed.api.count(Endpoint::ListModels), 0);

    // The objects of another operator are left alone by the one that manages the account.
    let mut theirs: CortecsModel = object("CortecsModel", "theirs", json!({"id": MODEL_ID}));
    let labels = theirs.labels_mut();
    labels.insert(
        "app.kubernetes.io/managed-by".to_owned(),
        "cortecs-operator".to_owned(),
    );
    theirs
        .annotations_mut()
        .insert(OPERATOR.to_owned(), "elsewhere".to_owned());
    let created = api::<CortecsModel>(&bed)
        .create(&PostParams::default(), &theirs)
        .await;
    let created = created.expect("a model");
    bed.annotate_account(OPERATOR, &bed.namespace).await;
    let models = until::<CortecsModel>(&bed, "the others", |models| models.len() == MODELS).await;
    refreshed(&bed, 3).await;
    assert_eq!(
        models["theirs"].resource_version(),
        created.resource_version()
    );
    assert_eq!(objects::<CortecsModel>(&bed).await.len(), MODELS);
    let manager = bed.wait_account("managed", |a| {
        a.status.as_ref().is_some_and(|s| s.managed_by.is_some())
    });
    let manager = manager
        .await
        .status
        .clone()
        .and_then(|status| status.managed_by);
    let us = ManagedBy {
        namespace: bed.namespace.clone(),
        lease: None,
    };
    assert_eq!(manager, Some(us));
}

#[tokio::test]
async fn without_the_kinds_or_the_rights_the_operator_works_and_says_so_once() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/e2e/upgrade/2026-11-30/definitions"
    );
    let mut bed = Bed::builder("rightless").definitions(folder).build().await;
    bed.config.catalog_objects = Some(INTERVALS);
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    let warnings = |bed: &Bed| bed.logs.text().matches("writes no CortecsModel").count();
    bed.wait_lists(2).await;
    assert_eq!(warnings(&bed), 1, "{}", bed.logs.text());

    // The kinds are installed, and their models appear.
    install_definitions(bed.plane).await;
    complete(&bed).await;

    // The rights are taken away: only the objects suffer.
    let rules = json!([{"op": "test", "path": "/rules/4/resources/0", "value": "cortecsmodels"}, {"op": "remove", "path": "/rules/4"}]);
    let patched = bed
        .plane
        .kubectl(&[
            "patch",
            "clusterrole",
            "cortecs-operator",
            "--type=json",
            "--patch",
            &rules.to_string(),
        ])
        .await;
    assert_succeeded("kubectl patch", &patched);
    change(&bed, json!({"models": [{"model_id": "new"}]}));
    let refused = || {
        bed.logs
            .text()
            .matches("an object of the catalog cannot be written")
            .count()
    };
    eventually("a refusal in the log", SOON, async || match refused() {
        0 => Err(bed.logs.text()),
        _ => Ok(()),
    })
    .await;
    bed.run("second", json!({"modelId": MODEL})).await;
    let warned = bed.logs.text();
    let warned = warned
        .lines()
        .filter(|line| line.contains("WARN") && line.contains("cannot be written"));
    assert_eq!(warned.count(), 1, "{}", bed.logs.text());
}
