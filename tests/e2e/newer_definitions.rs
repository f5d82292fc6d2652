//! The API server has objects that the operator cannot decode, since the definitions are newer or a value is odd. They are left alone
//! and named, and everything else goes on.

use cortecs_api::types::InstanceState;
use cortecs_resources::CortecsInstance;
use cortecs_simulator::{Effect, Endpoint, Fault, When};
use serde_json::{Value, json};

use crate::harness::{Bed, MODEL, Process, Read, stalled_because, stopped};

/// Adds a value to the words that a definition permits.
async fn permit(bed: &Bed, definition: &str, field: &str, value: &str) {
    let path = format!(
        "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/{field}/enum/-"
    );
    let patch = json!([{"op": "add", "path": path, "value": value}]).to_string();
    let definition = format!("customresourcedefinition/{definition}.cortecs.ai");
    bed.kubectl_text(&["patch", &definition, "--type=json", "-p", &patch])
        .await;
}

/// Changes an object once the API server takes the change: a definition takes effect a little later.
async fn change(bed: &Bed, object: &str, patch: Value) {
    let patch = patch.to_string();
    let change = ["patch", object, "--type=merge", "-p", &patch];
    crate::eventually::eventually("the change is taken", crate::harness::SOON, async || {
        let output = bed.kubectl(&change).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        output.status.success().then_some(()).ok_or(said)
    })
    .await;
}

fn times_named(bed: &Bed, name: &str) -> usize {
    let text = bed.logs.text();
    let names = |line: &&str| line.contains("cannot be decoded") && line.contains(name);
    text.lines().filter(names).count()
}

fn unreadable(resource: &CortecsInstance, field: &str) -> bool {
    resource.reason("Stalled") == "Unreadable"
        && resource.message("Stalled").contains(field)
        && resource.reason("Ready") == "Unreadable"
}

#[tokio::test]
async fn definitions_that_are_newer_blind_the_operator_for_nothing_else() {
    let bed = Bed::builder("newer").alone().elected().build().await;
    let operator = bed.operator();
    let id = bed.run_sealed("phi", json!({"modelId": MODEL})).await;
    bed.run("other", json!({"modelId": MODEL})).await;

    permit(&bed, "cortecsinstances", "deletionPolicy", "Snapshot").await;
    let snapshot = json!({"spec": {"deletionPolicy": "Snapshot", "state": "Stopped"}});
    change(&bed, "cortecsinstance/phi", snapshot).await;
    let told = |r: &CortecsInstance| unreadable(r, "spec.deletionPolicy");
    bed.wait("phi", "told that it cannot be read", told).await;
    bed.change("other", json!({"state": "Stopped"})).await;
    bed.wait("other", "stopped", stopped).await;
    // The outcome of this start is found with a quorum read of all resources.
    let lost = Effect::reset(When::After);
    bed.api.add_fault(Fault::once(Endpoint::Start, lost));
    bed.run("third", json!({"modelId": MODEL})).await;
    assert_eq!(times_named(&bed, "phi"), 1);
    drop(operator);

    // A new process knows no more of it.
    let mut process = Process::start(&bed, "the operator");
    process
        .answers("/readyz", |status, body| (status, body) == (200, "ok\n"))
        .await;
    process
        .answers("/metrics", |_, metrics| {
            metrics.contains("cortecs_unreadable_objects{controller=\"cortecsinstance\"} 1\n")
        })
        .await;
    bed.change("other", json!({"state": "Running"})).await;
    bed.runs("other").await;
    bed.kubectl_text(&["delete", "cortecsinstance/phi", "--wait=false"])
        .await;
    bed.run("fourth", json!({"modelId": MODEL})).await;
    assert_eq!(bed.state_of(&id), Some(InstanceState::Running));
    assert_eq!(bed.existing().len(), 4, "nobody takes its instance");
    let log = process.log();
    assert!(log.len() < 1_000_000, "{} bytes", log.len());

    // Once it can be read it is treated like any other.
    let delete = json!({"spec": {"deletionPolicy": "Delete"}});
    change(&bed, "cortecsinstance/phi", delete).await;
    bed.wait_gone("phi").await;
    assert_eq!(bed.existing().len(), 3);
}

#[tokio::test]
async fn an_account_that_cannot_be_decoded_starts_nothing_and_still_stops() {
    let bed = Bed::builder("newer-account").alone().build().await;
    let operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    bed.run("other", json!({"modelId": MODEL})).await;
    permit(&bed, "cortecsaccounts", "mode", "Freeze").await;
    let frozen = json!({"spec": {"mode": "Freeze"}});
    change(&bed, "cortecsaccount/main", frozen).await;
    let account = bed.account_stalls("Unreadable").await;
    assert!(account.message("Stalled").contains("spec.mode"));
    bed.create("late", json!({"modelId": MODEL})).await;
    bed.wait("late", "told why", stalled_because("Unreadable"))
        .await;
    bed.change("phi", json!({"state": "Stopped"})).await;
    bed.wait("phi", "stopped", stopped).await;
    drop(operator);
    let _operator = bed.operator();
    // A new process stops as well.
    bed.change("other", json!({"state": "Stopped"})).await;
    bed.wait("other", "stopped", stopped).await;
    let active = json!({"spec": {"mode": "Active"}});
    bed.wait_account("told again", |a| a.reason("Stalled") == "Unreadable")
        .await;
    change(&bed, "cortecsaccount/main", active).await;
    bed.runs("late").await;
    bed.delete("other").await;
    bed.wait_gone("other").await;
    assert_eq!((bed.starts(), bed.existing().len()), (3, 2));
}

/// It was stored before the definition had rules for selectors.
#[tokio::test]
async fn a_selector_that_an_older_definition_took_allows_nothing_and_is_named() {
    const OLDER: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/e2e/upgrade/2026-11-30/definitions"
    );
    let bed = Bed::builder("old-selector")
        .definitions(OLDER)
        .build()
        .await;
    let _operator = bed.operator();
    for (expression, says) in [
        (
            json!({"key": "team", "operator": "in", "values": ["a"]}),
            "\"in\" is no operator",
        ),
        // Kubernetes would take these for selectors of every namespace.
        (
            json!({"key": "team", "operator": "NotIn"}),
            "NotIn needs values",
        ),
        (
            json!({"key": "my team", "operator": "DoesNotExist"}),
            "\"my team\" is not part",
        ),
    ] {
        let selector = json!({"matchExpressions": [expression]});
        let allowed = json!({"from": "Selector", "selector": selector});
        bed.patch_account(json!({"allowedNamespaces": allowed}))
            .await;
        let told = |a: &cortecs_resources::CortecsAccount| {
            a.reason("Stalled") == "SelectorInvalid" && a.message("Stalled").contains(says)
        };
        bed.wait_account("told that nothing is selected", told)
            .await;
    }
    bed.create("phi", json!({"modelId": MODEL})).await;
    let resource = bed.stalls("phi", "AccountNotAllowed").await;
    assert!(resource.message("Stalled").contains("cannot be understood"));
    assert_eq!(bed.starts(), 0);
    let same = json!({"allowedNamespaces": {"from": "Same", "selector": null}});
    bed.patch_account(same).await;
    bed.runs("phi").await;
}

/// The API server takes these times, and a parser does not.
#[tokio::test]
async fn a_time_that_cannot_be_read_is_named_and_what_it_belongs_to_is_kept() {
    let bed = Bed::new("odd-times").await;
    let _operator = bed.operator();
    let id = bed.run_sealed("phi", json!({"modelId": MODEL})).await;
    bed.run("other", json!({"modelId": MODEL})).await;
    let record = |field: &str, time: Value| {
        let value = match field {
            "start" => json!({
                "id": "00000000-0000-0000-0000-000000000009", "requestedAt": time, "knownInstances": [],
                "args": {"modelId": "of--nobody", "numWorkers": 1},
            }),
            _ => time.clone(),
        };
        let value = if time.is_null() { time } else { value };
        json!({"status": {"journal": {"slots": {"current": {field: value}}}}})
    };
    let set = async |status: Value| {
        let status = status.to_string();
        let patch = [
            "patch",
            "cortecsinstance/phi",
            "--subresource=status",
            "--type=merge",
            "-p",
            &status,
        ];
        bed.kubectl_text(&patch).await;
    };
    for (field, time) in [
        ("lastStartTime", "9999-12-31T23:59:59Z"),
        ("missingSince", "2026-11-30T10:00:00.123456789123Z"),
        ("start", "9999-12-31T23:59:59Z"),
    ] {
        set(record(field, json!(time))).await;
        let told = |r: &CortecsInstance| unreadable(r, field);
        bed.wait("phi", "told that it cannot be read", told).await;
        bed.change("other", json!({"state": "Stopped"})).await;
        bed.wait("other", "stopped", stopped).await;
        assert_eq!(bed.state_of(&id), Some(InstanceState::Running));
        set(record(field, Value::Null)).await;
        bed.runs("phi").await;
        bed.change("other", json!({"state": "Running"})).await;
        bed.runs("other").await;
    }
    assert_eq!((bed.existing().len(), bed.starts()), (2, 2));
}
