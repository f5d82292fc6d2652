//! What people and other operators do to the objects.

use super::*;

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
    let bed = CatalogBed::new(Bed::builder("managed").without_account()).await;
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
    let annotations = theirs.annotations_mut();
    annotations.insert(OPERATOR.to_owned(), "elsewhere".to_owned());
    annotations.insert(ACCOUNT.to_owned(), "elsewhere/main".to_owned());
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
    let said = bed.logs.text();
    let said = said.matches("another operator has written objects").count();
    assert_eq!(said, 1, "{}", bed.logs.text());
}
