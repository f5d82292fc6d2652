//! What the tests of decisions are made of: an account, resources, instances, a model.

use super::*;

pub(super) fn account() -> Account {
    Account {
        identity: AccountIdentity {
            namespace: "ns".into(),
            name: "main".into(),
            api_url: API.into(),
            client_id: "client".into(),
        },
        adoption: Adoption::None,
        mode: AccountMode::Active,
        mode_of: None,
        wrong_url: None,
        selector_invalid: false,
        deleting: false,
        limits: Limits::default(),
        budgets: Vec::new(),
        allowed: true,
    }
}

pub(super) fn fleet() -> FleetKey {
    FleetKey::new(API, "client")
}

pub(super) fn home() -> Value {
    json!({ "namespace": "ns", "name": "main", "apiUrl": API, "clientId": "client" })
}

pub(super) fn resource(name: &str, spec: Value, status: Value) -> Value {
    let mut spec = spec;
    spec["modelId"] = json!("org/name");
    json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": {
            "namespace": "ns", "name": name, "uid": format!("uid-{name}"), "generation": 1, "resourceVersion": "5",
            "creationTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["cortecs.ai/instance"],
        },
        "spec": spec,
        "status": stored(status),
    })
}

/// The arguments that the default spec is pinned to.
pub(super) fn args() -> Value {
    json!({
        "modelId": "org--name", "hardwareTypeId": "NVIDIA_L4_1", "contextLength": 16_000,
        "billingInterval": "per_minute", "numWorkers": 1,
    })
}

pub(super) fn intent(id: u128, requested_at: &str, known: &[&str]) -> Value {
    json!({ "id": Uuid::from_u128(id), "requestedAt": requested_at, "args": args(), "knownInstances": digests(id, known) })
}

/// What the record of the start with this id has of these instances, sorted.
pub(super) fn digests(id: u128, known: &[&str]) -> Vec<String> {
    let digests = known.iter().map(|known| digest(Uuid::from_u128(id), known));
    let mut digests: Vec<String> = digests.collect();
    digests.sort_unstable();
    digests
}

/// A resource, named like its instance, that is bound to it.
pub(super) fn owner_of(id: &str) -> Value {
    resource(
        id,
        json!({}),
        json!({ "account": home(), "instanceId": id }),
    )
}

/// What is remembered of a start with this id that was first seen at this second, and has come so far.
pub(super) fn remembered_start(id: u128, second: u64, outcome: Outcome) -> Memory {
    let mut attempt = Attempt::written(Uuid::from_u128(id), at(second));
    attempt.outcome = outcome;
    Memory {
        start: Some(attempt),
        ..Memory::default()
    }
}

/// One write of the status.
pub(super) fn written(purpose: Purpose) -> Step {
    Step::Write(Write::Status(purpose))
}

pub(super) fn instance(id: &str, state: &str) -> Instance {
    serde_json::from_value(json!({
        "instance_id": id,
        "base_url": if state == "running" { json!("https://i.example/v1") } else { Value::Null },
        "instance_args": {
            "model_id": "org--name", "hardware_type_id": "NVIDIA_L4_1", "context_length": 16_000,
            "billing_interval": "per_minute", "num_workers": 1,
        },
        "instance_status": { "status": state },
        "worker_statuses": [{ "init_progress": match state {
            "running" => json!({ "current_step": 5, "num_steps": 5, "description": "Running" }),
            "pending" => json!({ "current_step": 2, "num_steps": 5, "description": "Loading" }),
            _ => Value::Null,
        } }],
    }))
    .unwrap()
}

/// The answer of a catalog that does not answer.
pub(super) fn failing_catalog() -> CatalogAnswer {
    Err(CatalogProblem {
        terminal: false,
        message: "not now".to_owned(),
        nearest: Vec::new(),
    })
}

pub(super) fn model() -> CatalogAnswer {
    let config = HardwareConfig {
        params: serde_json::from_value(json!({ "--max-model-len": 16_000 })).unwrap(),
        ..HardwareConfig::default()
    };
    Ok(Arc::new(Model {
        model_id: "org--name".into(),
        recommended_config: Some("NVIDIA_L4_1".into()),
        hardware_configs: Some(BTreeMap::from([("NVIDIA_L4_1".into(), config)])),
        ..Model::default()
    }))
}
