//! Checks a spec or a status against the generated schema, as the API server does.

#![allow(clippy::unwrap_used, reason = "only tests use this")]

use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::crds;

/// The errors of `status` by the definition of `kind`; empty if the API server would accept the status.
pub fn status_violations(kind: &str, status: &impl serde::Serialize) -> Vec<String> {
    violations(kind, "status", status)
}

/// The same of a spec.
pub fn spec_violations(kind: &str, spec: &impl serde::Serialize) -> Vec<String> {
    violations(kind, "spec", spec)
}

fn violations(kind: &str, part: &str, status: &impl serde::Serialize) -> Vec<String> {
    static CRDS: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(crds::all()).unwrap());
    let mut crds = CRDS.as_array().unwrap().iter();
    let crd = crds.find(|crd| crd["spec"]["names"]["kind"] == kind);
    let schema = &crd.unwrap()["spec"]["versions"][0]["schema"];
    let schema = &schema["openAPIV3Schema"]["properties"][part];
    assert!(schema.is_object());
    let status = serde_json::to_value(status).unwrap();
    let mut wrong = Vec::new();
    check(schema, &status, part, &mut wrong);
    wrong
}

fn check(schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    if value.is_null() {
        if schema["nullable"] != true {
            wrong.push(format!("{at} is null"));
        }
        return;
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        wrong.push(format!("{at} is none of {allowed:?}"));
    }
    match (schema["type"].as_str(), value) {
        (Some("object"), Value::Object(entries)) => check_object(schema, entries, at, wrong),
        (Some("array"), Value::Array(items)) => check_array(schema, items, at, wrong),
        (Some("string"), Value::String(text)) => check_string(schema, text, at, wrong),
        (Some("integer"), Value::Number(number)) => {
            let fits = match schema["format"].as_str() {
                Some("int32") => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
                _ => number.is_i64(),
            };
            let above = |bound: &Value| bound.as_f64().is_some_and(|b| number.as_f64() > Some(b));
            let below = |bound: &Value| bound.as_f64().is_some_and(|b| number.as_f64() < Some(b));
            if !fits || above(&schema["maximum"]) || below(&schema["minimum"]) {
                wrong.push(format!("{at} is out of range: {number}"));
            }
        }
        (Some("boolean"), Value::Bool(_)) | (Some("number"), Value::Number(_)) => {}
        (kind, _) => wrong.push(format!("{at} is no {kind:?}")),
    }
}

fn check_object(schema: &Value, entries: &Map<String, Value>, at: &str, wrong: &mut Vec<String>) {
    for name in schema["required"].as_array().into_iter().flatten() {
        if !entries.contains_key(name.as_str().unwrap()) {
            wrong.push(format!("{at} lacks {name}"));
        }
    }
    let most = schema["maxProperties"].as_u64();
    if most.is_some_and(|most| entries.len() as u64 > most) {
        wrong.push(format!("{at} has {} entries", entries.len()));
    }
    for (name, value) in entries {
        let of_map = schema.get("additionalProperties");
        match schema["properties"].get(name).or(of_map) {
            Some(schema) => check(schema, value, &format!("{at}.{name}"), wrong),
            None => wrong.push(format!("{at} has no field {name}")),
        }
    }
}

fn check_array(schema: &Value, items: &[Value], at: &str, wrong: &mut Vec<String>) {
    let most = schema["maxItems"].as_u64();
    if most.is_none_or(|most| items.len() as u64 > most) {
        wrong.push(format!("{at} has {} items of {most:?}", items.len()));
    }
    for (n, item) in items.iter().enumerate() {
        check(&schema["items"], item, &format!("{at}[{n}]"), wrong);
    }
    if let Some(keys) = schema["x-kubernetes-list-map-keys"].as_array() {
        let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
        let key = |item: &Value| keys.iter().map(|key| item[key].to_string()).collect();
        let mut values: Vec<Vec<String>> = items.iter().map(key).collect();
        values.sort();
        values.dedup();
        if values.len() != items.len() {
            wrong.push(format!("{at} has two items of one {}", keys.join(" and ")));
        }
    }
}

fn check_string(schema: &Value, text: &str, at: &str, wrong: &mut Vec<String>) {
    let length = text.chars().count() as u64;
    if schema["maxLength"]
        .as_u64()
        .is_some_and(|most| length > most)
    {
        wrong.push(format!("{at} has {length} characters"));
    }
    let formed = match schema["format"].as_str() {
        Some("date-time") => text.parse::<Timestamp>().is_ok(),
        Some("uuid") => text.parse::<uuid::Uuid>().is_ok(),
        _ => true,
    };
    if !formed {
        wrong.push(format!("{at} is no {}", schema["format"]));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_api_server_would_refuse_is_seen() {
        let good = json!({
            "observedGeneration": 1, "phase": "Running", "instanceId": "i",
            "journal": {"slots": {"current": {"lastStartTime": "2026-01-01T00:00:00Z"}}},
            "workers": {"desired": 1, "running": 1}, "workerStatuses": [{"initProgress": null}],
        });
        assert!(status_violations("CortecsInstance", &good).is_empty());
        for (field, bad) in [
            ("phase", json!("Flying")),
            ("instanceId", json!("i".repeat(257))),
            ("instanceId", json!(7)),
            (
                "journal",
                json!({"slots": {"current": {"lastStartTime": "soon"}}}),
            ),
            ("workers", json!({"desired": 1_i64 << 40, "running": 1})),
            ("workers", json!({"desired": 1})),
            ("workerStatuses", json!(vec![json!({}); 65])),
            ("novelty", json!(1)),
            ("observedGeneration", json!(u64::MAX)),
        ] {
            let mut status = good.clone();
            status[field] = bad;
            assert_eq!(
                status_violations("CortecsInstance", &status).len(),
                1,
                "{status}"
            );
        }
    }
}
