//! Starts whose outcome a person has to decide, and starts that take effect after the operator gave them up.

use std::time::Duration;

use cortecs_api::types::InstanceState;
use cortecs_resources::CortecsAccount;
use cortecs_rules::facts::known::digest;
use cortecs_simulator::{Effect, Endpoint, Fault, When};
use serde_json::json;

use crate::{
    control_plane::assert_succeeded,
    harness::{Bed, MODEL, MODEL_ID, Read, bound, running, sorted},
};

/// Far longer than the settle time of the operators here.
const TOO_LATE: Duration = Duration::from_secs(20);

/// The unmanaged instances that probably belong to a resource: their ids and the names of the resources.
fn late(account: &CortecsAccount) -> Vec<(String, String)> {
    let unmanaged = account.status.iter().flat_map(|s| &s.unmanaged);
    unmanaged
        .filter_map(|u| Some((u.id.clone(), u.probably_of.clone()?.name)))
        .collect()
}

#[tokio::test]
async fn an_instance_that_appears_after_its_start_was_given_up_is_reported_and_left_alone() {
    let bed = Bed::new("late").await;
    let delay = Effect::delay(When::Before, TOO_LATE);
    bed.api.add_fault(Fault::once(Endpoint::Start, delay));
    let operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let resource = bed.wait("phi", "running anew", running).await;
    let id = bound(&resource).to_owned();
    let status = resource.status.as_ref().unwrap();
    assert_eq!((status.journal.voided_starts.len(), bed.starts()), (1, 2));
    assert_eq!(bed.existing(), std::slice::from_ref(&id));

    bed.wait_api("do it after all", |v| v.existing().count() == 2)
        .await;
    let account = bed.wait_account("telling", |a| !late(a).is_empty()).await;
    let existing = bed.existing();
    let stray = existing.iter().find(|e| **e != id).unwrap();
    assert_eq!(late(&account), [(stray.clone(), "phi".to_owned())]);
    let events = async || {
        let args = [
            "get",
            "events",
            "--field-selector",
            "reason=LateInstance",
            "--no-headers",
        ];
        bed.kubectl_text(&args).await
    };
    let told = events().await;
    assert!(told.contains(stray) && told.contains("phi"), "{told}");

    // There is one Event, also after a restart of the operator, and the operator does not touch the instance.
    operator.kill();
    let _operator = bed.operator();
    bed.wait_lists(4).await;
    assert_eq!(events().await.lines().count(), 1);
    assert_eq!(bed.state_of(stray), Some(InstanceState::Running));
    assert_eq!(bed.runs("phi").await, id);
    assert_eq!((bed.starts(), bed.api.count(Endpoint::Stop)), (2, 0));

    // A person removes the instance.
    bed.api.outsider_delete(stray).unwrap();
    bed.wait_account("calm", |a| late(a).is_empty()).await;
}

#[tokio::test]
async fn the_second_start_and_older_instances_are_not_taken_for_late_ones() {
    let bed = Bed::new("not-late").await;
    let stray = bed.start_unmanaged(MODEL_ID);
    let lost = Effect::reset(When::Before);
    bed.api.add_fault(Fault::once(Endpoint::Start, lost));
    // The operator finds the instance of the second start only after lists have shown it for a while.
    let lost = Effect::reset(When::After);
    bed.api.add_fault(Fault::once(Endpoint::Start, lost));
    let fails = Effect::fail(500, "not now");
    bed.api
        .add_fault(Fault::new(Endpoint::GetInstance, fails).times(3));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let resource = bed.wait("phi", "running anew", running).await;
    let voided = &resource.status.as_ref().unwrap().journal.voided_starts;
    assert_eq!(voided.len(), 1);
    assert_eq!(voided[0].known_instances, [digest(voided[0].id, &stray)]);
    bed.wait_lists(2).await;
    let told = bed.account_versions();
    assert!(told.iter().all(|a| late(a).is_empty()), "{told:?}");
}

#[tokio::test]
async fn only_a_new_annotation_that_names_a_candidate_resolves_a_start() {
    let bed = Bed::builder("orders")
        .account(json!({"sharing": "Shared"}))
        .build()
        .await;
    let lost = Effect::reset(When::After);
    bed.api.add_fault(Fault::once(Endpoint::Start, lost));
    let older = bed.start_unmanaged(MODEL_ID);
    let _operator = bed.operator();
    // The annotation is older than the start, so it does not resolve the start.
    let manifest = json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": {"name": "phi", "annotations": {"cortecs.ai/resolve-start": "none"}},
        "spec": {"modelId": MODEL},
    });
    assert_succeeded("apply", &bed.kubectl_apply(&manifest).await);
    let resource = bed.stalls("phi", "StartUnresolved").await;
    let id = bed.existing().into_iter().find(|id| *id != older).unwrap();
    let message = resource.message("Stalled");
    assert!(
        message.contains(&id) && !message.contains(&older),
        "{message}"
    );
    // These lists take far longer than the settle time, after which the operator would obey the annotation `none`.
    bed.wait_lists(14).await;
    assert_eq!(bed.starts(), 1);
    for value in ["no-such-instance", "", older.as_str()] {
        bed.annotate("phi", "cortecs.ai/resolve-start", value).await;
        bed.wait_lists(2).await;
        let resource = bed.stalls("phi", "StartUnresolved").await;
        assert_eq!((bound(&resource), bed.starts()), ("", 1), "{value}");
    }
    bed.annotate("phi", "cortecs.ai/resolve-start", &id).await;
    let resource = bed.wait("phi", "running", running).await;
    assert_eq!((bound(&resource), bed.starts()), (id.as_str(), 1));
    assert_eq!(bed.existing().len(), 2);
}

/// The events with this reason: the kinds of the objects that they are about.
async fn told_of(bed: &Bed, reason: &str) -> Vec<String> {
    let events = bed.events().await.into_iter();
    let events = events.filter(|e| e.reason.as_deref() == Some(reason));
    let kinds = events.filter_map(|e| e.regarding?.kind);
    sorted(kinds.collect())
}

#[tokio::test]
async fn with_delete_the_late_instance_goes_and_others_of_the_same_arguments_stay() {
    let bed = Bed::builder("late-delete")
        .account(json!({"lateStartPolicy": "Delete"}))
        .build()
        .await;
    let older = bed.start_unmanaged(MODEL_ID);
    let delay = Effect::delay(When::Before, TOO_LATE);
    bed.api.add_fault(Fault::once(Endpoint::Start, delay));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let id = bed.runs("phi").await;
    assert_eq!(bed.starts(), 2);

    bed.wait_api("delete it", |v| v.count(Endpoint::Delete) > 0)
        .await;
    assert_eq!(
        sorted(bed.existing()),
        sorted(vec![id.clone(), older.clone()])
    );
    let both = ["CortecsAccount", "CortecsInstance"];
    assert_eq!(told_of(&bed, "LateInstanceStopped").await, both);
    bed.wait_lists(2).await;
    assert_eq!(told_of(&bed, "LateInstanceDeleted").await, both);

    // A start makes one instance, so this one is not of that start.
    let another = bed.start_unmanaged(MODEL_ID);
    bed.wait_lists(4).await;
    for id in [&older, &id, &another] {
        assert_eq!(bed.state_of(id), Some(InstanceState::Running));
    }
    assert_eq!(bed.api.count(Endpoint::Stop), 1);
    assert_eq!(bed.runs("phi").await, id);
}

#[tokio::test]
async fn an_operator_that_did_not_make_the_start_itself_only_reports_its_late_instance() {
    let bed = Bed::builder("late-restored")
        .account(json!({"lateStartPolicy": "Delete"}))
        .build()
        .await;
    let delay = Effect::delay(When::Before, TOO_LATE);
    bed.api.add_fault(Fault::once(Endpoint::Start, delay));
    let operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.runs("phi").await;
    operator.kill();
    let _operator = bed.operator();
    let account = bed.wait_account("telling", |a| !late(a).is_empty()).await;
    bed.wait_lists(4).await;
    let stray = &late(&account)[0].0;
    assert_eq!(bed.state_of(stray), Some(InstanceState::Running));
    assert_eq!(bed.changes(), [2, 0, 0, 0]);
}

#[tokio::test]
async fn in_a_shared_account_a_late_instance_is_only_reported() {
    let bed = Bed::builder("late-shared")
        .account(json!({"lateStartPolicy": "Delete", "sharing": "Shared"}))
        .build()
        .await;
    let delay = Effect::delay(When::Before, TOO_LATE);
    bed.api.add_fault(Fault::once(Endpoint::Start, delay));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.runs("phi").await;
    let account = bed.wait_account("telling", |a| !late(a).is_empty()).await;
    bed.wait_lists(4).await;
    let stray = &late(&account)[0].0;
    assert_eq!(bed.state_of(stray), Some(InstanceState::Running));
    assert_eq!(bed.changes(), [2, 0, 0, 0]);
}
