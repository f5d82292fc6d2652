use serde_json::{Value, json};

use super::*;

fn resource(uid: &str, status: &Value) -> CortecsInstance {
    serde_json::from_value(json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": { "name": uid, "namespace": "team", "uid": uid },
        "spec": { "modelId": "org/Model" },
        "status": status,
    }))
    .unwrap()
}

fn bill_at(status: &Value, at: Option<&str>) -> Option<Bill> {
    let resource = resource("u", status);
    let at = at.map(|at| at.parse().unwrap());
    Bill::of(&resource, resource.status.as_ref().unwrap(), at)
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
    for (at, own) in [
        (None, 0.85),
        (Some("2026-01-01T00:00:30Z"), 0.85),
        (Some("2026-01-01T00:01:30Z"), 0.95),
    ] {
        let bill = bill_at(&running, at).unwrap();
        let models: Vec<_> = bill.parts.iter().map(|(m, _)| m.as_str()).collect();
        assert_eq!(models, ["old", "org--Model"]);
        assert!((bill.parts[1].1 - own).abs() < 1e-9, "{at:?} {bill:?}");
        assert_eq!((bill.uid.as_str(), bill.currency.as_str()), ("u", "EUR"));
    }
    // What was stored before models were told apart is of the spec's model.
    let earlier_shape = json!({ "cost": { "currency": "EUR", "accrued": "1.00" } });
    let bill = bill_at(&earlier_shape, None).unwrap();
    assert_eq!(bill.parts, [("org--Model".to_owned(), 1.0)]);
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
        assert_eq!(bill_at(&json!({ "cost": cost }), None), None, "{cost}");
    }
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
    assert!(spent.len() <= MAX_SPENT);
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
