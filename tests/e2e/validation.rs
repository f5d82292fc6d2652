//! The API server refuses invalid specs with a message that says what is wrong.

use serde_json::{Value, json};

use crate::{
    control_plane::assert_succeeded,
    harness::{Bed, MODEL, OTHER_MODEL},
};

fn instance(spec: Value) -> Value {
    json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": {"name": "checked"}, "spec": spec,
    })
}

fn account(spec: Value) -> Value {
    json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsAccount",
        "metadata": {"name": "checked"}, "spec": spec,
    })
}

async fn is_refused(bed: &Bed, manifest: Value, message: &str) {
    let output = bed.kubectl_apply(&manifest).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "accepted: {manifest}");
    assert!(said.contains(message), "{manifest}: {said}");
}

#[tokio::test]
async fn kubectl_tells_what_is_wrong_with_an_instance() {
    let bed = Bed::new("cel-instance").await;
    let names = "modelId must be the API's id (org--name) or the Hugging Face name (org/name)";
    let adopt = "adopt takes either instanceId or matching: true, not both and not neither";
    let cases = [
        (json!({}), "spec.modelId: Required value"),
        (json!({"modelId": "a/b/c"}), names),
        (json!({"modelId": "has space"}), names),
        (json!({"modelId": ""}), "spec.modelId"),
        (
            json!({"modelId": "x".repeat(201)}),
            "spec.modelId: Too long",
        ),
        (
            json!({"modelId": MODEL, "hardwareTypeId": "two words"}),
            "hardwareTypeId must be an id of the catalog",
        ),
        (
            json!({"modelId": MODEL, "contextLength": 0}),
            "contextLength must be at least 1 token",
        ),
        (
            json!({"modelId": MODEL, "expireTime": "2026-01-01T00:00:00+99:99"}),
            "expireTime must be a time such as",
        ),
        (
            json!({"modelId": MODEL, "ttlSecondsAfterExpired": 60}),
            "ttlSecondsAfterExpired needs expireTime",
        ),
        (
            json!({"modelId": MODEL, "expireTime": "2030-01-01T00:00:00Z", "ttlSecondsAfterExpired": 60, "deletionPolicy": "Orphan"}),
            "ttlSecondsAfterExpired does not go with deletionPolicy: Orphan",
        ),
        (
            json!({"modelId": MODEL, "numWorkers": 0}),
            "numWorkers must be between 1 and 8; to stop the instance set state: Stopped",
        ),
        (
            json!({"modelId": MODEL, "numWorkers": 9}),
            "numWorkers must be between 1 and 8",
        ),
        (
            json!({"modelId": MODEL, "billingInterval": "per_day"}),
            "per_minute",
        ),
        (json!({"modelId": MODEL, "state": "Paused"}), "Stopped"),
        (
            json!({"modelId": MODEL, "progressDeadlineSeconds": 0}),
            "progressDeadlineSeconds must be between 1 and 604800 (a week)",
        ),
        (json!({"modelId": MODEL, "adopt": {}}), adopt),
        (
            json!({"modelId": MODEL, "adopt": {"matching": false}}),
            adopt,
        ),
        (
            json!({"modelId": MODEL, "adopt": {"matching": true, "instanceId": "i"}}),
            adopt,
        ),
        (
            json!({"modelId": MODEL, "accountRef": {"name": "../main"}}),
            "name must be the name of a Kubernetes object",
        ),
        (
            json!({"modelId": MODEL, "accountRef": {"name": "main", "namespace": "a.b"}}),
            "namespace must be the name of a namespace",
        ),
        (
            json!({"modelId": MODEL, "accountRef": {"name": ""}}),
            "spec.accountRef.name",
        ),
        (
            json!({"modelId": MODEL, "unheardOf": 1}),
            "unknown field \"spec.unheardOf\"",
        ),
    ];
    for (spec, message) in cases {
        is_refused(&bed, instance(spec), message).await;
    }
    assert_succeeded(
        "the bounds",
        &bed.kubectl_apply(&instance(
            json!({"modelId": MODEL, "numWorkers": 8, "contextLength": 1}),
        ))
        .await,
    );
}

#[tokio::test]
async fn kubectl_tells_what_is_wrong_with_an_account() {
    let bed = Bed::new("cel-account").await;
    let secret = json!({"name": "s"});
    let selector = "allowedNamespaces.selector goes with from: Selector, and only with it";
    let selecting = |selector: Value| json!({"credentialsSecretRef": secret, "allowedNamespaces": {"from": "Selector", "selector": selector}});
    let url = "apiUrl must be an http or https URL without user, query or fragment";
    let cases = [
        (json!({}), "credentialsSecretRef: Required value"),
        (
            json!({"credentialsSecretRef": {"name": "../else/secrets/x"}}),
            "name must be the name of a Kubernetes object",
        ),
        (
            json!({"credentialsSecretRef": secret, "apiUrl": "ftp://cortecs.ai"}),
            url,
        ),
        (
            json!({"credentialsSecretRef": secret, "apiUrl": "https://me:pw@cortecs.ai"}),
            url,
        ),
        (
            json!({"credentialsSecretRef": secret, "apiUrl": "https://cortecs.ai/?q"}),
            url,
        ),
        (
            json!({"credentialsSecretRef": secret, "budget": {"currency": "EUR"}}),
            "budget needs maxPricePerHour, minBalance or both",
        ),
        (
            json!({"credentialsSecretRef": secret, "budget": {"maxPricePerHour": "12,50", "currency": "EUR"}}),
            "budget.maxPricePerHour must be a decimal number with at most six decimals, in quotes",
        ),
        (
            json!({"credentialsSecretRef": secret, "budget": {"minBalance": "-1", "currency": "EUR"}}),
            "budget.minBalance must be a decimal number",
        ),
        (
            json!({"credentialsSecretRef": secret, "budget": {"minBalance": "1", "currency": "eur"}}),
            "budget.currency must be an ISO 4217 code",
        ),
        (
            json!({"credentialsSecretRef": secret, "allowedNamespaces": {"from": "Selector"}}),
            selector,
        ),
        (
            json!({"credentialsSecretRef": secret, "allowedNamespaces": {"from": "All", "selector": {}}}),
            selector,
        ),
        (
            selecting(
                json!({"matchExpressions": [{"key": "team", "operator": "in", "values": ["a"]}]}),
            ),
            "an operator is In, NotIn, Exists or DoesNotExist",
        ),
        (
            selecting(json!({"matchExpressions": [{"key": "team", "operator": "In"}]})),
            "In and NotIn need values",
        ),
        (
            selecting(
                json!({"matchExpressions": [{"key": "team", "operator": "Exists", "values": ["a"]}]}),
            ),
            "Exists and DoesNotExist take none",
        ),
        (
            selecting(json!({"matchExpressions": [{"key": "my team", "operator": "Exists"}]})),
            "a key or a value of matchExpressions is not that of a label",
        ),
        (
            selecting(json!({"matchLabels": {"team": "a,b"}})),
            "a key or a value of matchLabels is not that of a label",
        ),
        (
            json!({"credentialsSecretRef": secret, "poll": {"activeSeconds": 0}}),
            "poll.activeSeconds must be between 1 and 3600",
        ),
        (
            json!({"credentialsSecretRef": secret, "poll": {"idleSeconds": 3601}}),
            "poll.idleSeconds must be between 1 and 3600",
        ),
        (
            json!({"credentialsSecretRef": secret, "mode": "Pause"}),
            "Hold",
        ),
    ];
    for (spec, message) in cases {
        is_refused(&bed, account(spec), message).await;
    }
    assert_succeeded(
        "the least",
        &bed.kubectl_apply(&account(json!({"credentialsSecretRef": secret})))
            .await,
    );
}

#[tokio::test]
async fn a_resource_that_no_operator_has_seen_does_not_look_ready() {
    let bed = Bed::new("unseen").await;
    assert_succeeded(
        "apply",
        &bed.kubectl_apply(&instance(json!({"modelId": MODEL})))
            .await,
    );
    for kind in ["cortecsinstance/checked", "cortecsaccount/main"] {
        let observed = bed
            .kubectl_text(&["get", kind, "-o", "jsonpath={.status.observedGeneration}"])
            .await;
        assert_eq!(observed, "-1", "{kind}");
    }
    let defaults = bed
        .kubectl_text(&[
            "get",
            "cortecsinstance/checked",
            "-o",
            "jsonpath={.spec.state} {.spec.numWorkers} {.spec.billingInterval} {.spec.deletionPolicy} {.spec.driftPolicy} {.spec.updateStrategy.type}",
        ])
        .await;
    assert_eq!(defaults, "Running 1 per_minute Delete Revert Recreate");
}

#[tokio::test]
async fn resources_are_found_by_their_model() {
    let bed = Bed::new("fields").await;
    for (name, model) in [("one", MODEL), ("two", OTHER_MODEL)] {
        bed.create(name, json!({"modelId": model})).await;
    }
    let selector = format!("--field-selector=spec.modelId={OTHER_MODEL}");
    let found = bed
        .kubectl_text(&["get", "cti", &selector, "-o", "name"])
        .await;
    assert_eq!(found.trim(), "cortecsinstance.cortecs.ai/two");
}

#[tokio::test]
async fn kubectl_explains_the_fields() {
    let bed = Bed::new("explain").await;
    let text = bed
        .kubectl_text(&["explain", "cortecsinstance.spec.state"])
        .await;
    assert!(text.contains("ENUM") && text.contains("Stopped"), "{text}");
}
