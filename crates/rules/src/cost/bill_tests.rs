use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;
use crate::cost::{labels::MAX_SERIES, meter::Meter};

const NOW: &str = "2026-01-01T00:00:00Z";

fn resource(uid: &str, status: &Value) -> CortecsInstance {
    serde_json::from_value(json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": { "name": uid, "namespace": "team", "uid": uid },
        "spec": { "modelId": "org/Model" },
        "status": status,
    }))
    .unwrap()
}

fn bill_at(status: &Value, listed: Option<&Instance>, at: &str) -> Option<Bill> {
    let resource = resource("u", status);
    let at = at.parse().unwrap();
    Bill::of(&resource, resource.status.as_ref().unwrap(), listed, at)
}

fn listed(state: &str, stopped_at: Option<&str>) -> Instance {
    serde_json::from_value(json!({
        "instance_id": "i-1", "instance_args": { "model_id": "org--Model" },
        "instance_status": { "status": state, "started_at": null, "stopped_at": stopped_at },
    }))
    .unwrap()
}

fn bill(uid: &str, namespace: &str, parts: &[(&str, f64)]) -> Bill {
    Bill {
        uid: uid.to_owned(),
        resource: ObjectKey::new(namespace, uid),
        currency: "EUR".to_owned(),
        parts: parts.iter().map(|(m, a)| ((*m).to_owned(), *a)).collect(),
    }
}

fn settlement(bills: Vec<Bill>) -> Settlement {
    Settlement {
        bills,
        gone: Vec::new(),
    }
}

fn shown(spent: &[Spent]) -> Vec<(&str, &str, &str)> {
    let shown = spent
        .iter()
        .map(|s| (s.namespace.as_str(), s.model_id.as_str(), s.amount.as_str()));
    shown.collect()
}

#[test]
fn a_bill_has_the_runs_that_ended_and_the_present_one() {
    let running = json!({
        "instanceArgs": { "modelId": "org--Model", "billingInterval": "per_minute" },
        "cost": { "pricePerHour": "6.00", "currency": "EUR", "accrued": "1.00", "since": "2026-01-01T00:00:00Z",
            "modelId": "org--Model", "earlier": [{ "modelId": "old", "amount": "0.25" }] },
    });
    let stopped = |at| Some(listed("stopped", at));
    for (listed, at, own) in [
        (None, "2026-01-01T00:00:00Z", 0.85),
        (None, "2026-01-01T00:00:30Z", 0.85),
        (None, "2026-01-01T00:01:30Z", 0.95),
        (Some(listed("running", None)), "2026-01-01T00:01:30Z", 0.95),
        (
            stopped(Some("2026-01-01T00:00:59Z")),
            "2026-01-01T00:01:30Z",
            0.85,
        ),
        // Not the end of this run.
        (
            stopped(Some("2025-12-31T23:59:59Z")),
            "2026-01-01T00:01:30Z",
            0.95,
        ),
        (stopped(None), "2026-01-01T00:01:30Z", 0.95),
    ] {
        let bill = bill_at(&running, listed.as_ref(), at).unwrap();
        let models: Vec<_> = bill.parts.iter().map(|(m, _)| m.as_str()).collect();
        assert_eq!(models, ["old", "org--Model"]);
        assert!((bill.parts[1].1 - own).abs() < 1e-9, "{at:?} {bill:?}");
        assert_eq!((bill.uid.as_str(), bill.currency.as_str()), ("u", "EUR"));
    }
    // What was stored before models were told apart is of the spec's model.
    let earlier_shape = json!({ "cost": { "currency": "EUR", "accrued": "1.00" } });
    let bill = bill_at(&earlier_shape, None, NOW).unwrap();
    assert_eq!(bill.parts, [("org--Model".to_owned(), 1.0)]);
}

#[test]
fn nobody_makes_another_account_pay() {
    let home = json!({ "namespace": "shared", "name": "home", "apiUrl": "https://api.example", "clientId": "c" });
    let cost = |account: Value| json!({ "currency": "EUR", "accrued": "1.00", "account": account });
    let victim = json!({ "namespace": "victim", "name": "main" });
    let own = json!({ "name": "own" });
    for (status, named, pays) in [
        // Where its instance is, and then where it was.
        (
            json!({ "account": home, "cost": cost(json!("team/own")) }),
            &victim,
            Some("shared/home"),
        ),
        (
            json!({ "cost": cost(json!("shared/home")) }),
            &victim,
            Some("shared/home"),
        ),
        (
            json!({ "cost": cost(json!("team/own")) }),
            &Value::Null,
            Some("team/own"),
        ),
        (json!({ "cost": cost(json!("no key")) }), &own, None),
        // From before accounts were recorded.
        (json!({ "cost": cost(Value::Null) }), &victim, None),
        (json!({ "cost": cost(Value::Null) }), &Value::Null, None),
        (json!({ "cost": cost(Value::Null) }), &own, Some("team/own")),
    ] {
        let mut resource = resource("u", &status);
        resource.spec.account_ref = serde_json::from_value(named.clone()).unwrap();
        let default = ObjectKey::new("cortecs-system", "default");
        let payer = payer(&resource, Some(&default)).map(|payer| payer.to_string());
        assert_eq!(payer.as_deref(), pays, "{status} {named}");
    }
}

#[test]
fn what_costs_nothing_has_no_bill() {
    for cost in [
        json!(null),
        json!({ "currency": "EUR", "accrued": "0.00" }),
        json!({ "accrued": "1.00" }),
        json!({ "currency": "euros", "accrued": "1.00" }),
        json!({ "currency": "EUR", "accrued": "NaN" }),
    ] {
        assert_eq!(bill_at(&json!({ "cost": cost }), None, NOW), None, "{cost}");
    }
}

#[test]
fn what_the_api_server_drops_is_named() {
    let (spent, settled) = settle(
        &[],
        &[],
        &settlement(vec![bill("a", "team", &[("m", 0.5)])]),
    );
    let sent = Recorded { spent, settled };
    let status = |spent: bool, settled: bool| CortecsAccountStatus {
        spent: sent.spent.iter().filter(|_| spent).cloned().collect(),
        settled: sent.settled.iter().filter(|_| settled).cloned().collect(),
        ..CortecsAccountStatus::default()
    };
    for (spent, settled, missing) in [
        (true, true, None),
        (true, false, Some("status.settled")),
        (false, true, Some("status.spent")),
        (false, false, Some("status.spent and status.settled")),
    ] {
        assert_eq!(sent.missing(Some(&status(spent, settled))), missing);
    }
    assert_eq!(Recorded::default().missing(None), None);
}

#[test]
fn a_bill_is_added_once() {
    let first = settlement(vec![
        bill("a", "team", &[("m", 0.5), ("n", 0.25)]),
        bill("b", "team", &[("m", 0.125)]),
        bill("b", "team", &[("m", 0.125)]),
    ]);
    let (spent, settled) = settle(&[], &[], &first);
    let expected = [("team", "m", "0.625"), ("team", "n", "0.25")];
    assert_eq!(shown(&spent), expected);
    assert_eq!(settled, ["a", "b"]);
    assert_eq!(settle(&spent, &settled, &first), (spent, settled));
}

#[test]
fn uids_of_resources_that_are_gone_leave_with_the_next_bill_or_when_they_are_many() {
    let uids = |n: usize| -> Vec<String> { (0..n).map(|n| n.to_string()).collect() };
    let gone = |gone: Vec<String>, bills: Vec<Bill>| Settlement { bills, gone };
    assert_eq!(settle(&[], &uids(3), &gone(uids(2), vec![])).1, uids(3));
    let next = vec![bill("x", "team", &[("m", 1.0)])];
    assert_eq!(settle(&[], &uids(3), &gone(uids(2), next)).1, ["2", "x"]);
    assert_eq!(settle(&[], &uids(65), &gone(uids(64), vec![])).1, ["64"]);
    // Not one that is to be billed.
    let again = vec![bill("0", "team", &[("m", 1.0)]), bill("x", "t", &[])];
    let (spent, settled) = settle(&[], &uids(2), &gone(uids(2), again));
    assert_eq!((spent.len(), settled), (0, vec!["0".into(), "x".into()]));
}

#[test]
fn the_lists_are_bounded_and_lose_no_money() {
    let bills = |namespaces: usize| {
        let bill = |n: usize| bill(&format!("u{n}"), &format!("ns{n}"), &[("m", 0.5)]);
        settlement((0..namespaces).map(bill).collect())
    };
    let (spent, settled) = settle(&[], &[], &bills(600));
    assert_eq!(settled.len(), MAX_SETTLED);
    let sum: f64 = spent.iter().map(|s| amount(&s.amount)).sum();
    assert!((sum - 250.0).abs() < 1e-9, "{sum}");
    assert_eq!(spent.len(), MAX_SERIES - 10 + 1);
    // The counters that begin with it tell the same apart.
    let mut meter = Meter::default();
    meter.begin("team/main", &spent, &settled);
    let counters = meter.counters("team/main").unwrap();
    let amounts = |labels: &Labels| (labels.namespace.clone(), labels.model.clone());
    let counted: BTreeSet<_> = counters.keys().map(amounts).collect();
    let shown = spent
        .iter()
        .map(|s| (s.namespace.clone(), s.model_id.clone()));
    assert_eq!(counted, shown.collect());
    assert_eq!(spent[0].model_id, "m");
    let last = spent.last().unwrap();
    assert_eq!(
        (last.namespace.as_str(), last.model_id.as_str()),
        ("other", "other")
    );
    // The rest has room once uids are gone.
    let rest = Settlement {
        gone: settled.clone(),
        ..bills(600)
    };
    let (again, uids) = settle(&spent, &[], &rest);
    assert_eq!((again.len(), uids.len()), (spent.len(), MAX_SETTLED));
}
