use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{DEADLINE, MODEL, Scenario, read};
use crate::{Effect, Endpoint, Fault, FaultBody};

fn add(scenario: &Scenario, endpoint: Endpoint, effect: Effect) {
    let handle = scenario.simulator.handle();
    handle.add_fault(Fault::once(endpoint, effect));
}

fn stop(scenario: &Scenario, id: &str) -> reqwest::RequestBuilder {
    let stop = scenario.request(Method::POST, "/instances/stop");
    stop.json(&json!({ "instance_id": id }))
}

fn is_stopped(scenario: &Scenario) -> bool {
    let handle = scenario.simulator.handle();
    handle.instances("demo").iter().all(|i| i.is_stopped())
}

#[tokio::test]
async fn a_call_is_carried_out_and_answered_with_another_success() {
    let scenario = Scenario::slow().await;
    let id = scenario.start(MODEL).await;
    add(&scenario, Endpoint::Stop, Effect::success(202));
    let (status, body) = read(stop(&scenario, &id).send().await.unwrap()).await;
    assert_eq!(
        (status, &body["instance"]["instance_id"]),
        (202, &json!(id))
    );
    assert!(is_stopped(&scenario));
    // What is refused stays refused.
    add(&scenario, Endpoint::Stop, Effect::success(202));
    assert_eq!(stop(&scenario, &id).send().await.unwrap().status(), 400);
    add(
        &scenario,
        Endpoint::Delete,
        Effect::success_with(204, FaultBody::Empty),
    );
    let delete = scenario.request(Method::DELETE, &format!("/instances/{id}"));
    let answer = delete.send().await.unwrap();
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.bytes().await.unwrap().len(), 0);
    assert!(scenario.simulator.handle().instances("demo").is_empty());
    let records = scenario.simulator.handle().requests();
    let fault = records.last().unwrap().fault.clone().unwrap();
    assert!(fault.ends_with("success 204 with another body"), "{fault}");
}

#[tokio::test]
async fn a_call_that_is_accepted_has_its_effect_later() {
    let scenario = Scenario::slow().await;
    let handle = scenario.simulator.handle();
    let id = scenario.start(MODEL).await;
    let hour = Duration::from_secs(3600);
    add(&scenario, Endpoint::Stop, Effect::accept(hour));
    let answer = read(stop(&scenario, &id).send().await.unwrap()).await;
    assert_eq!(answer, (202, json!({"message": "Accepted"})));
    assert!(!is_stopped(&scenario));
    handle.release_delays();
    handle
        .wait_for(
            |view| view.instances.iter().all(|i| i.instance.is_stopped()),
            DEADLINE,
        )
        .await
        .unwrap();
    // Without a token nothing is accepted.
    add(&scenario, Endpoint::Stop, Effect::accept(hour));
    handle.expire_tokens();
    assert_eq!(stop(&scenario, &id).send().await.unwrap().status(), 401);
}

#[test]
fn a_success_reads_well_as_json() {
    for (effect, written) in [
        (
            json!({"kind": "success", "status": 202}),
            Effect::success(202),
        ),
        (
            json!({"kind": "success", "status": 204, "body": "empty"}),
            Effect::success_with(204, FaultBody::Empty),
        ),
        (
            json!({"kind": "success", "status": 202, "body": {"message": "Accepted"}, "milliseconds": 1500}),
            Effect::accept(Duration::from_millis(1500)),
        ),
    ] {
        assert_eq!(serde_json::from_value::<Effect>(effect).unwrap(), written);
    }
}
