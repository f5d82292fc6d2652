//! What is kept of objects that cannot be decoded as a whole.

use kube::ResourceExt;
use serde_json::json;

use super::*;
use crate::instance::DeletionPolicy;

fn instance() -> Value {
    json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": {"name": "phi", "namespace": "ns", "uid": "u", "resourceVersion": "7"},
        "spec": {"modelId": "org/name"},
        "status": {
            "phase": "Running", "instanceId": "i-1",
            "account": {"namespace": "ns", "name": "main", "apiUrl": "https://x", "clientId": "c"},
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "Running", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
            "journal": {"slots": {"current": {"start": {
                "id": "00000000-0000-0000-0000-000000000001", "requestedAt": "2026-01-01T00:00:00Z",
                "args": {"modelId": "org--name"}, "knownInstances": [],
            }}}},
        },
    })
}

fn decoded(value: Value) -> Decoded<CortecsInstance> {
    decode(value).unwrap()
}

#[test]
fn what_can_be_decoded_has_no_problem() {
    let whole = decoded(instance());
    assert_eq!(whole.problem, None);
    assert_eq!(whole.name_any(), "phi");
    assert!(whole.object.status.as_ref().unwrap().slot().start.is_some());
}

#[test]
fn the_rest_is_kept_and_the_field_is_named() {
    for (pointer, value, field) in [
        (
            "/spec/deletionPolicy",
            json!("Snapshot"),
            "spec.deletionPolicy",
        ),
        ("/spec/numWorkers", json!("two"), "spec.numWorkers"),
        ("/spec", json!({"model": "org/name"}), "spec"),
        (
            "/spec/updateStrategy",
            json!({"type": "Canary"}),
            "spec.updateStrategy.type",
        ),
        ("/status/phase", json!("Hibernating"), "status.phase"),
        ("/status/cost", json!({"accrued": 5}), "status.cost.accrued"),
        (
            "/status/conditions/0/lastTransitionTime",
            json!("the day before"),
            "status.conditions[0].lastTransitionTime",
        ),
        ("/status/conditions/0", json!("odd"), "status.conditions[0]"),
        (
            "/status/journal/slots/current/start/requestedAt",
            json!("long ago"),
            "status.journal.slots.current.start.requestedAt",
        ),
    ] {
        let mut value_of = instance();
        let (above, last) = pointer.rsplit_once('/').unwrap();
        let above = value_of.pointer_mut(above).unwrap();
        match above {
            Value::Array(items) => items[0] = value,
            above => above[last] = value,
        }
        let part = decoded(value_of);
        let problem = part.problem.as_ref().map(|problem| problem.field.as_str());
        assert_eq!(problem, Some(field), "{pointer}");
        // The claims.
        let status = part.object.status.as_ref().unwrap();
        assert_eq!(status.instance_id.as_deref(), Some("i-1"), "{pointer}");
        assert!(
            status.account.is_some() && status.slot().start.is_some(),
            "{pointer}"
        );
        assert_eq!(part.resource_version().as_deref(), Some("7"));
    }
}

#[test]
fn however_much_is_odd_the_claims_are_kept() {
    let mut odd = instance();
    odd["status"]["workerStatuses"] = Value::Array(vec![json!(5); 200]);
    odd["status"]["cost"] = json!({"accrued": "1.00", "since": "9999-12-31T23:59:59Z"});
    let part = decoded(odd);
    let problem = part.problem.as_ref().unwrap();
    assert!(problem.lacks("spec") && problem.lacks("spec.mode"));
    let status = part.object.status.as_ref().unwrap();
    assert_eq!(status.instance_id.as_deref(), Some("i-1"));
    assert!(status.account.is_some() && status.slot().start.is_some());
    assert!(part.object.spec.suspend);
}

#[test]
fn a_time_that_money_is_counted_from_is_left_out() {
    let mut odd = instance();
    odd["status"]["cost"] = json!({"accrued": "1.00", "since": "9999-12-31T23:59:59Z"});
    let part = decoded(odd);
    assert!(part.problem.as_ref().unwrap().lacks("status.cost"));
    let cost = part.object.status.as_ref().unwrap().cost.as_ref();
    assert!(cost.is_none_or(|cost| cost.since.is_none()));
}

#[test]
fn an_object_without_a_readable_spec_asks_for_nothing() {
    let mut without = instance();
    without.as_object_mut().unwrap().remove("spec");
    let mut odd = instance();
    odd["spec"] = json!([]);
    for value in [without, odd] {
        let part = decoded(value);
        assert!(part.problem.is_some());
        let spec = &part.object.spec;
        assert_eq!(
            (spec.suspend, spec.deletion_policy),
            (true, DeletionPolicy::Orphan)
        );
        assert_eq!(
            part.object.status.as_ref().unwrap().instance_id.as_deref(),
            Some("i-1")
        );
    }
}

#[test]
fn a_list_is_read_although_one_of_its_objects_is_odd() {
    let mut odd = instance();
    odd["spec"]["deletionPolicy"] = json!("Snapshot");
    odd["status"] = json!("odd");
    let list: Vec<Decoded<CortecsInstance>> =
        serde_json::from_value(json!([instance(), odd, instance()])).unwrap();
    let odd: Vec<bool> = list.iter().map(|one| one.problem.is_some()).collect();
    assert_eq!(odd, [false, true, false]);
    assert!(list[1].object.status.is_none());
}

#[test]
fn messages_are_short_and_have_no_control_characters() {
    let mut odd = instance();
    odd["spec"]["deletionPolicy"] = json!(format!("a\n{}", "x".repeat(10_000)));
    let problem = decoded(odd).problem.unwrap().to_string();
    assert!(
        problem.chars().count() < 600 && !problem.contains('\n'),
        "{problem}"
    );
    assert!(problem.starts_with("spec.deletionPolicy cannot be read: "));
}

#[test]
fn every_kind_has_a_spec_to_stand_for_one_that_cannot_be_read() {
    fn check<K: Salvage>() {
        let value = json!({"metadata": {"name": "x"}, "spec": 5});
        let part: Decoded<K> = decode(value).unwrap();
        assert!(part.problem.is_some());
    }
    check::<CortecsInstance>();
    check::<CortecsAccount>();
    check::<CortecsModel>();
    check::<CortecsHardwareType>();
}

#[test]
fn an_object_without_metadata_is_none() {
    for value in [
        json!({"metadata": 5, "spec": {}}),
        json!("odd"),
        json!(null),
    ] {
        assert!(decode::<CortecsInstance>(value.clone()).is_err(), "{value}");
    }
}
