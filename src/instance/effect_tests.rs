//! What a write was to put on a resource, against what it returned.

use serde_json::{Value, json};

use super::*;

const INTENT: &str = "00000000-0000-0000-0000-000000000007";

/// A resource whose start with this intent is open.
fn starting() -> Value {
    let args = json!({ "modelId": "org--name" });
    let start = json!({
        "id": INTENT, "requestedAt": "2026-01-01T00:00:00.123456789Z", "args": args,
        "knownInstances": ["0123456789ab"], "overtaken": true,
    });
    json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": {
            "name": "phi", "namespace": "ns", "finalizers": [INSTANCE_FINALIZER],
            "annotations": { annotations::INSTANCE_ID: "sealed" },
        },
        "spec": { "modelId": "org/name" },
        "status": {
            "instanceId": "i-1",
            "journal": { "slots": { "current": {
                "start": start,
                "restart": { "id": INTENT, "requestedAt": "2026-01-01T00:00:00Z" },
            } } },
        },
    })
}

fn parse(resource: Value) -> CortecsInstance {
    serde_json::from_value(resource).unwrap()
}

/// Each write, and the field without which it had no effect.
#[test]
fn a_write_whose_field_was_dropped_had_no_effect() {
    let intent: Uuid = INTENT.parse().unwrap();
    let whole = parse(starting());
    let status = whole.status.clone().unwrap();
    let slot = "/status/journal/slots/current";
    for (effect, object, field) in [
        (Effect::Finalizer, "/metadata", "finalizers"),
        (Effect::Sealed("sealed"), "/metadata", "annotations"),
        (Effect::Recorded(&status), slot, "start"),
        (Effect::Recorded(&status), slot, "restart"),
        (Effect::Recorded(&status), "/status", "instanceId"),
        (Effect::Recorded(&status), "", "status"),
        (Effect::Bound("i-1"), "/status", "instanceId"),
        (Effect::Overtaken(intent), slot, "start"),
        (
            Effect::Overtaken(intent),
            &format!("{slot}/start"),
            "overtaken",
        ),
        (Effect::LetGo(intent, "0123456789ab"), slot, "start"),
        (
            Effect::LetGo(intent, "0123456789ab"),
            &format!("{slot}/start"),
            "knownInstances",
        ),
    ] {
        assert_eq!(effect.missing_in(&whole), None, "{object} {field}");
        let mut stripped = starting();
        let parent = stripped.pointer_mut(object).unwrap();
        parent.as_object_mut().unwrap().remove(field).unwrap();
        let missing = effect.missing_in(&parse(stripped));
        assert!(missing.is_some(), "{object} {field}");
    }
}

/// Without the instances that were there before, an open start could take one of them for its own.
#[test]
fn a_record_of_a_start_that_is_not_whole_is_no_record() {
    let whole = parse(starting()).status.unwrap();
    let mut cut = starting();
    let start = cut.pointer_mut("/status/journal/slots/current/start");
    start.unwrap()["knownInstances"] = json!([]);
    let missing = Effect::Recorded(&whole).missing_in(&parse(cut));
    assert!(missing.is_some_and(|field| field.contains("start")));
}

/// What was dropped from the record is expected to be there no longer.
#[test]
fn what_a_write_takes_off_must_be_gone() {
    let before = parse(starting());
    let after = CortecsInstanceStatus::default();
    let effect = Effect::Recorded(&after);
    assert!(effect.missing_in(&before).is_some());
    let mut bare = starting();
    bare["status"] = json!({});
    assert_eq!(effect.missing_in(&parse(bare)), None);
}
