//! The annotation with the instance's id: a resource without a status finds its instance by it, unless the annotation is forged.

use cortecs_api::types::InstanceArgs;
use cortecs_resources::annotations;
use cortecs_rules::facts::sealed_id::Key;
use cortecs_simulator::Endpoint;
use kube::ResourceExt;
use serde_json::json;

use crate::harness::{Bed, CLIENT_ID, MODEL, MODEL_ID, Read, bound, seal_of, sorted};

fn args(workers: u32) -> InstanceArgs {
    serde_json::from_value(json!({"model_id": MODEL_ID, "num_workers": workers})).unwrap()
}

impl Bed {
    fn seal(&self, secret: &str, name: &str, id: &str) -> String {
        Key::derive(secret).unwrap().seal(&self.namespace, name, id)
    }
}

#[tokio::test]
async fn a_resource_that_comes_back_from_a_backup_finds_its_instance() {
    let bed = Bed::new("backup").await;
    let (id, backup) = bed.lose_backed_up().await;
    let before = bed.versions("phi").last().expect("the resource").uid();
    bed.restore(&backup).await;
    let blank = bed.wait("phi", "back", |_| true).await;
    assert_ne!(blank.uid(), before);
    assert_eq!(bound(&blank), "", "a status is not restored");
    let second = bed.operator();
    assert_eq!(bed.runs("phi").await, id);
    bed.wait_lists(2).await;
    assert_eq!((bed.starts(), bed.existing()), (1, vec![id.clone()]));

    // The same happens while the operator runs.
    bed.api.set_down(true);
    bed.lose("phi").await;
    bed.api.set_down(false);
    bed.restore(&backup).await;
    assert_eq!(bed.runs("phi").await, id);
    assert_eq!((bed.starts(), bed.existing()), (1, vec![id]));
    // The deletion of the resource deletes the instance.
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!(bed.existing(), [""; 0]);
    drop(second);
}

#[tokio::test]
async fn a_restored_resource_that_is_deleted_leaves_nothing() {
    let bed = Bed::new("backup-deleted").await;
    let (_, mut backup) = bed.lose_backed_up().await;
    // The resource is restored with its finalizer, and deleted before an operator has seen it.
    backup.metadata.finalizers = Some(vec!["cortecs.ai/instance".to_owned()]);
    bed.restore(&backup).await;
    bed.delete("phi").await;
    let _second = bed.operator();
    bed.wait_gone("phi").await;
    assert_eq!((bed.starts(), bed.existing()), (1, Vec::new()));
}

#[tokio::test]
async fn other_arguments_in_the_restored_spec_replace_the_instance_once() {
    let bed = Bed::new("backup-changed").await;
    let first = bed.operator();
    bed.create("same", json!({"modelId": MODEL, "numWorkers": 2}))
        .await;
    bed.create("other", json!({"modelId": MODEL})).await;
    let mut backups = Vec::new();
    let mut ids = Vec::new();
    for name in ["same", "other"] {
        let id = bed.runs(name).await;
        bed.sealed(name, &id).await;
        backups.push(bed.back_up(name).await);
        ids.push(id);
    }
    first.kill();
    backups[1].spec.num_workers = 3;
    for backup in &backups {
        bed.lose(&backup.name_any()).await;
        bed.restore(backup).await;
    }
    let _second = bed.operator();
    assert_eq!(bed.runs("same").await, ids[0]);
    let replaced = bed.runs("other").await;
    assert_ne!(replaced, ids[1]);
    bed.wait_lists(2).await;
    assert_eq!(
        (bed.starts(), sorted(bed.existing())),
        (3, sorted(vec![ids[0].clone(), replaced]))
    );
}

#[tokio::test]
async fn a_forged_or_copied_annotation_is_ignored_and_overwritten() {
    let bed = Bed::new("forged").await;
    let theirs = bed.api.outsider_start(CLIENT_ID, args(1)).unwrap();
    let _operator = bed.operator();
    let honest = bed.run("honest", json!({"modelId": MODEL})).await;
    let copied = bed.sealed("honest", &honest).await;
    let forged = [
        ("invented", bed.seal("guessed", "invented", &theirs)),
        ("copied", copied),
        ("garbage", format!("{theirs}.no-mac")),
    ];
    for (name, value) in &forged {
        let mut resource = bed.back_up("honest").await;
        resource.metadata.name = Some((*name).to_owned());
        let annotations = resource.annotations_mut();
        annotations.insert(annotations::INSTANCE_ID.to_owned(), value.clone());
        bed.restore(&resource).await;
        let id = bed.runs(name).await;
        assert!(id != theirs && id != honest, "{name} got {id}");
        let sealed = bed.sealed(name, &id).await;
        assert_eq!(sealed, bed.seal(&bed.client_secret, name, &id));
    }
    assert_eq!(bed.starts(), 4);
    for (name, _) in &forged {
        bed.delete(name).await;
        bed.wait_gone(name).await;
    }
    for id in [&theirs, &honest] {
        assert_eq!(bed.requests_about(id, 0), []);
    }
}

#[tokio::test]
async fn an_instance_that_is_gone_is_started_anew() {
    let bed = Bed::new("backup-gone").await;
    let (id, backup) = bed.lose_backed_up().await;
    bed.api.outsider_delete(&id).unwrap();
    bed.restore(&backup).await;
    let _second = bed.operator();
    let anew = bed.runs("phi").await;
    assert_ne!(anew, id);
    assert_eq!((bed.starts(), bed.existing()), (2, vec![anew.clone()]));
    assert!(
        bed.api.count(Endpoint::GetInstance) >= 1,
        "a list is no proof"
    );
    bed.sealed("phi", &anew).await;
}

#[tokio::test]
async fn nothing_is_started_while_the_annotation_cannot_be_checked() {
    let bed = Bed::new("backup-unchecked").await;
    let (_, backup) = bed.lose_backed_up().await;
    bed.delete_secret().await;
    bed.restore(&backup).await;
    let second = bed.operator();
    let waits = bed.waits("phi", "WaitingForSecret").await;
    waits.assert_says("Reconciling", "cannot be told");
    // A deletion waits too, and the condition says what to do.
    bed.delete("phi").await;
    bed.wait("phi", "waiting to go", |r| {
        r.message("Stalled").contains("deletionPolicy: Orphan")
    })
    .await;
    second.kill();
    bed.write_secret(CLIENT_ID, &bed.client_secret).await;
    let _third = bed.operator();
    bed.wait_gone("phi").await;
    assert_eq!((bed.starts(), bed.existing()), (1, Vec::new()));
}

#[tokio::test]
async fn a_changed_secret_seals_anew_and_once() {
    let bed = Bed::new("reseal").await;
    let _operator = bed.operator();
    let id = bed.run_sealed("phi", json!({"modelId": MODEL})).await;
    bed.api.set_secret(CLIENT_ID, "rotated-away");
    bed.api.expire_tokens();
    bed.write_secret(CLIENT_ID, "rotated-away").await;
    let expected = bed.seal("rotated-away", "phi", &id);
    bed.wait("phi", "sealed anew", |r| seal_of(r) == Some(&expected))
        .await;
    bed.wait_lists(3).await;
    let mut seals: Vec<_> = bed
        .versions("phi")
        .iter()
        .filter_map(|r| seal_of(r).map(str::to_owned))
        .collect();
    seals.dedup();
    assert_eq!(seals.len(), 2, "{seals:?}");
    // The operator writes the annotation again after it was removed.
    bed.tamper(
        "phi",
        json!({"metadata": {"annotations": {annotations::INSTANCE_ID: null}}}),
    )
    .await;
    bed.wait("phi", "sealed again", |r| seal_of(r) == Some(&expected))
        .await;
}
