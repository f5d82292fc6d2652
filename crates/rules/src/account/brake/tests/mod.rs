//! Resources, lists and measures for the tests of the brake.

use std::{sync::Arc, time::Duration};

use cortecs_clock::Moment;
use cortecs_resources::key::ObjectKey;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::{
    facts::{
        fleet_key::FleetKey,
        snapshot::Snapshot,
        stored::{slot, stored},
    },
    ledger::book::Book,
};

mod back;
mod hold;
mod loss;
mod ordered;

const SETTLE: Duration = Duration::from_secs(180);
const API: &str = "https://api.example/v1";

fn fleet() -> FleetKey {
    FleetKey::new(API, "client")
}

fn now() -> Timestamp {
    "2026-01-03T00:00:00Z".parse().unwrap()
}

fn at(second: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(second))
}

fn args(workers: i64) -> Value {
    json!({ "modelId": "org--name", "numWorkers": workers, "billingInterval": "per_minute" })
}

/// A resource whose instance `i-NAME` has run for long.
fn running(name: &str) -> Value {
    json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": {
            "namespace": "ns", "name": name, "uid": format!("uid-{name}"), "resourceVersion": "5", "generation": 1,
        },
        "spec": { "modelId": "org/name" },
        "status": stored(json!({
            "account": { "namespace": "ns", "name": "main", "apiUrl": API, "clientId": "client" },
            "instanceId": format!("i-{name}"), "instanceStatus": { "status": "running" },
            "instanceArgs": args(1), "requestedArgs": args(1),
            "lastStartTime": "2026-01-02T00:00:00Z", "reachedGeneration": 1,
        })),
    })
}

fn crowd(n: usize) -> Vec<Value> {
    (0..n).map(|n| running(&n.to_string())).collect()
}

/// A list requested at this second: ids without their prefix, and states.
fn list(second: u64, instances: &[(&str, &str)]) -> Snapshot {
    let instances = instances.iter().map(|(name, state)| {
        let id = format!("i-{name}");
        let instance = json!({
            "instance_id": id, "instance_args": { "model_id": "org--name" }, "instance_status": { "status": state },
        });
        (id, Arc::new(serde_json::from_value(instance).unwrap()))
    });
    Snapshot {
        sequence: second,
        requested_at: at(second),
        received_at: at(second),
        instances: instances.collect(),
    }
}

fn measure_book(book: &Book, old: Option<&Snapshot>, new: &Snapshot) -> Measure {
    measure_after(&Past::default(), book, old, new)
}

fn measure_after(past: &Past, book: &Book, old: Option<&Snapshot>, new: &Snapshot) -> Measure {
    let fleet = fleet();
    let lists = Lists {
        fleet: &fleet,
        old,
        new,
        past,
    };
    measure(book.iter().map(|(_, entry)| entry), lists, SETTLE, now())
}

fn against_nothing(resources: &[Value]) -> Measure {
    measure_book(&Book::of(resources), None, &list(100, &[]))
}

/// Each of five resources changed alike.
fn changed(change: impl Fn(&mut Value)) -> Measure {
    let mut crowd = crowd(5);
    crowd.iter_mut().for_each(change);
    against_nothing(&crowd)
}

/// Stopped, suspended, deleted.
const ORDERS: [fn(&mut Value); 3] = [
    |r| r["spec"]["state"] = json!("Stopped"),
    |r| r["spec"]["suspend"] = json!(true),
    |r| r["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z"),
];

/// A mass change.
fn tripped() -> Measure {
    Measure {
        expected: 5,
        lost: 4,
        ..Measure::default()
    }
}
