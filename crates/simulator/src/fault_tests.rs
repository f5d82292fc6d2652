//! Which faults a request meets.

use serde_json::json;

use super::*;

fn book() -> FaultBook {
    FaultBook::new(fastrand::Rng::with_seed(7))
}

#[test]
fn a_fault_meets_its_endpoint_the_given_number_of_times() {
    let mut book = book();
    book.add(Fault::new(Endpoint::Start, Effect::MalformedBody).times(2));
    assert_eq!(book.draw(Endpoint::Stop, None), None);
    assert!(book.draw(Endpoint::Start, None).is_some());
    assert!(book.draw(Endpoint::Start, Some("m")).is_some());
    assert_eq!(book.draw(Endpoint::Start, None), None);
}

#[test]
fn a_fault_for_a_model_meets_no_other_model() {
    let mut book = book();
    book.add(Fault::new(Target::Any, Effect::MalformedBody).matching("m"));
    assert_eq!(book.draw(Endpoint::Start, Some("other")), None);
    assert_eq!(book.draw(Endpoint::ListInstances, None), None);
    assert!(book.draw(Endpoint::Start, Some("m")).is_some());
}

#[test]
fn a_fault_meets_its_share_of_requests_and_the_same_ones_with_the_same_seed() {
    let hits = || {
        let mut book = book();
        book.add(Fault::new(Target::Any, Effect::MalformedBody).probability(0.3));
        (0..1_000)
            .filter(|_| book.draw(Endpoint::Stop, None).is_some())
            .collect::<Vec<_>>()
    };
    assert!((200..400).contains(&hits().len()), "{}", hits().len());
    assert_eq!(hits(), hits());
}

#[test]
fn faults_read_well_as_json() {
    let fault: Fault = serde_json::from_value(json!({
        "endpoint": "start",
        "effect": {"kind": "answer", "when": "after", "status": 502, "body": {"html": "<p>"}},
        "times": 1,
    }))
    .unwrap();
    let effect = Effect::answer(When::After, 502, FaultBody::Html("<p>".into()));
    assert_eq!(fault, Fault::once(Endpoint::Start, effect));
    let fault: Fault = serde_json::from_value(json!({
        "endpoint": "any",
        "effect": {"kind": "delay", "when": "before", "milliseconds": 1500},
        "probability": 0.5,
    }))
    .unwrap();
    let duration = Duration::from_millis(1500);
    let delay = Effect::delay(When::Before, duration);
    assert_eq!(fault, Fault::new(Target::Any, delay).probability(0.5));
}
