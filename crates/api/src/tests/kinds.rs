//! A good body of each kind of answer, and changes of it.

use std::fmt::Debug;

use serde_json::{Value, json};

use crate::answers;

/// A word in bodies that no error may quote.
pub(super) const MARK: &str = "do-not-quote";

pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) good: Value,
    pub(super) parse: fn(&[u8]) -> Result<String, String>,
    /// The fields whose content is not checked.
    free: &'static [&'static str],
}

/// Parts of the pointers of what is only shown: a value of any type is taken.
const SHOWN: [&str; 18] = [
    "/token_type",
    "/expires_in",
    "/base_url",
    "ed_at",
    "/worker_statuses",
    "/description",
    "/message",
    "/hf_name",
    "/screen_name",
    "/instant_provisioned",
    "/creator",
    "/price_info",
    "/hardware_types/0/hardware_info",
    "/params",
    "/requirements",
    "/size",
    "/total",
    "/has_more",
];

pub(super) fn is_only_shown(pointer: &str) -> bool {
    SHOWN.iter().any(|part| pointer.contains(part))
}

fn shown<T: Debug>(result: Result<T, String>) -> Result<String, String> {
    result.map(|value| format!("{value:?}"))
}

pub(super) fn kinds() -> Vec<Kind> {
    let one = json!({
        "instance_id": "i-1", "base_url": "https://i.example/v1",
        "instance_args": { "model_id": "org--name", "hardware_type_id": "NVIDIA_L4_1", "context_length": 16_000,
            "billing_interval": "per_minute", "num_workers": 2 },
        "instance_status": { "status": "running", "started_at": "2026-01-01T00:00:00Z", "stopped_at": "-" },
        "worker_statuses": [{ "init_progress": { "current_step": 1, "num_steps": 5, "description": "…" } }],
    });
    let mut two = one.clone();
    two["instance_id"] = json!("i-2");
    let model = json!({
        "model_name": "org--name", "model_id": "1", "hf_name": "org/name", "instant_provisioned": true,
        "creator": { "name": "Org", "url": "https://org.example" }, "description": "…", "screen_name": "Name",
        "size": 7, "hardware_info": { "hardware_configs": ["NVIDIA_L4_1"] }, "recommended_config": "NVIDIA_L4_1",
        "hardware_configs": { "NVIDIA_L4_1": { "hardware_type_id": "NVIDIA_L4_1",
            "params": { "--max-model-len": 16_000 }, "requirements": { "gpus": 1 } } },
    });
    let hardware = json!({
        "hardware_type_id": "NVIDIA_L4_1",
        "price_info": { "price_per_hour": 1.5, "price_per_minute": 0.02, "currency": "EUR" },
        "hardware_info": { "gpu_type": "L4", "num_gpus": 1, "gpu_ram_gb": 24.5 },
    });
    let kind = |name, good, parse, free| Kind {
        name,
        good,
        parse,
        free,
    };
    vec![
        kind(
            "list",
            json!({ "instances": [one, two] }),
            |b| shown(answers::instances(b)),
            &[],
        ),
        kind(
            "instance",
            json!({ "message": "done", "instance": one }),
            |b| shown(answers::instance(b)),
            &["/message"],
        ),
        kind(
            "deleted",
            json!({ "message": "gone", "instance_id": "i-1" }),
            |b| shown(answers::deleted(b)),
            &[],
        ),
        kind(
            "ids",
            json!({ "message": "gone", "instance_ids": ["i-1", "i-2"] }),
            |b| shown(answers::instance_ids(b)),
            &[],
        ),
        kind(
            "balance",
            json!({ "current_balance": 12.5, "currency": "EUR" }),
            |b| shown(answers::balance(b)),
            &[],
        ),
        kind(
            "token",
            json!({ "access_token": "t0ken", "token_type": "Bearer", "expires_in": 3600 }),
            |b| shown(answers::token(b).map(|grant| (grant.access_token, grant.lifetime))),
            &["/access_token"],
        ),
        kind(
            "models",
            json!({ "models": [model] }),
            |b| shown(answers::models(b)),
            &["/params/", "/requirements/", "/size"],
        ),
        kind(
            "model",
            json!({ "model": model }),
            |b| shown(answers::model(b)),
            &["/params/", "/requirements/", "/size"],
        ),
        kind(
            "hardware",
            json!({ "hardware_types": [hardware] }),
            |b| shown(answers::hardware_types(b)),
            &[],
        ),
    ]
}

impl Kind {
    pub(super) fn is_free(&self, pointer: &str) -> bool {
        self.free.iter().any(|part| pointer.contains(part))
    }

    pub(super) fn refuses(&self, body: &[u8], what: &str) {
        let Err(why) = (self.parse)(body) else {
            panic!("{}: {what} is taken", self.name);
        };
        assert!(!why.contains(MARK) && why.len() < 100, "{why}");
    }
}

/// The JSON pointers of all values in `value` but the root.
pub(super) fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(entries) => entries.iter().map(|(k, v)| (k.clone(), v)).collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(n, v)| (n.to_string(), v))
            .collect(),
        _ => return,
    };
    for (key, child) in children {
        let pointer = format!("{at}/{key}");
        places(child, &pointer, found);
        found.push(pointer);
    }
}

/// The good body with the value at `pointer` written as `text`.
pub(super) fn replaced(kind: &Kind, pointer: &str, text: &str) -> String {
    let mut body = kind.good.clone();
    *body.pointer_mut(pointer).unwrap() = json!("@@@");
    body.to_string().replace("\"@@@\"", text)
}

pub(super) fn all_places(kind: &Kind) -> Vec<String> {
    let mut found = Vec::new();
    places(&kind.good, "", &mut found);
    found
}
