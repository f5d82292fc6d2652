use std::{io::Read, time::Duration};

use reqwest::{Method, header};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{DEADLINE, MODEL, OTHER, Scenario, read};
use crate::{Effect, Endpoint, Fault, FaultBody, Target, View, When};

fn add(scenario: &Scenario, endpoint: impl Into<Target>, effect: Effect) {
    scenario
        .simulator
        .handle()
        .add_fault(Fault::once(endpoint, effect));
}

fn last_fault(scenario: &Scenario) -> String {
    let records = scenario.simulator.handle().requests();
    records.last().unwrap().fault.clone().unwrap()
}

#[tokio::test]
async fn a_failure_before_the_effect_creates_nothing_and_one_after_it_does() {
    let scenario = Scenario::slow().await;
    for status in [400, 402, 403, 408, 409, 422, 500, 502, 503, 504] {
        add(&scenario, Endpoint::Start, Effect::fail(status, "not now"));
        let answer = read(scenario.starting(MODEL).send().await.unwrap()).await;
        assert_eq!(answer, (status, json!({"message": "not now"})));
        assert_eq!(
            last_fault(&scenario).split_once(' ').unwrap().1,
            format!("answer {status} before the effect")
        );
    }
    assert_eq!(scenario.created(), 0);
    add(
        &scenario,
        Endpoint::Start,
        Effect::fail_after(504, "too late"),
    );
    let answer = read(scenario.starting(MODEL).send().await.unwrap()).await;
    assert_eq!(answer, (504, json!({"message": "too late"})));
    assert_eq!(scenario.created(), 1);
    scenario.start(MODEL).await;
}

#[tokio::test]
async fn delays_end_when_they_are_released() {
    let scenario = Scenario::slow().await;
    let handle = scenario.simulator.handle();
    for when in [When::Before, When::After] {
        let duration = Duration::from_secs(3600);
        let delay = Effect::delay(when, duration);
        add(&scenario, Endpoint::ListInstances, delay.clone());
        add(&scenario, Endpoint::Balance, delay);
        let request = scenario.request(Method::GET, "/instances/");
        let answer = tokio::spawn(async move { read(request.send().await.unwrap()).await });
        let begun = |view: &View| view.requests.last().is_some_and(|r| r.fault.is_some());
        handle.wait_for(begun, DEADLINE).await.unwrap();
        // The release also removes the delay that no request has met yet.
        handle.release_delays();
        assert_eq!(handle.faults(), []);
        let answer = tokio::time::timeout(DEADLINE, answer).await.unwrap();
        assert_eq!(answer.unwrap().0, 200);
    }
}

#[tokio::test]
async fn bodies_can_be_html_invalid_json_or_empty() {
    let scenario = Scenario::slow().await;
    add(
        &scenario,
        Endpoint::ListInstances,
        Effect::html(When::Before, 502),
    );
    let page = scenario
        .request(Method::GET, "/instances/")
        .send()
        .await
        .unwrap();
    assert_eq!(page.status().as_u16(), 502);
    assert!(
        page.headers()[header::CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    assert!(page.text().await.unwrap().starts_with("<html>"));
    for (body, text) in [(FaultBody::Empty, ""), (FaultBody::Raw("[1".into()), "[1")] {
        let effect = Effect::Answer {
            when: When::Before,
            status: 200,
            body,
            retry_after: None,
            location: None,
        };
        add(&scenario, Endpoint::ListInstances, effect);
        let answer = scenario
            .request(Method::GET, "/instances/")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.text().await.unwrap(), text);
    }
}

#[tokio::test]
async fn rate_limits_say_when_to_come_back_and_redirects_say_where() {
    let scenario = Scenario::slow().await;
    add(
        &scenario,
        Endpoint::Start,
        Effect::rate_limit(Duration::from_secs(7)),
    );
    let limited = scenario.starting(MODEL).send().await.unwrap();
    assert_eq!(
        (
            limited.status().as_u16(),
            &limited.headers()[header::RETRY_AFTER]
        ),
        (429, &"7".parse().unwrap())
    );
    for status in [301, 302, 303, 307, 308] {
        add(
            &scenario,
            Endpoint::Start,
            Effect::redirect(status, "/elsewhere"),
        );
        let moved = scenario.starting(MODEL).send().await.unwrap();
        assert_eq!(
            (moved.status().as_u16(), &moved.headers()[header::LOCATION]),
            (status, &"/elsewhere".parse().unwrap())
        );
    }
    assert_eq!(scenario.created(), 0);
}

/// Sends a start over a raw connection, and reads until the connection ends.
async fn raw_start(scenario: &Scenario) -> std::io::Result<Vec<u8>> {
    let body = json!({ "model_id": MODEL }).to_string();
    let request = format!(
        "POST /api/v1/instances/start HTTP/1.1\r\nhost: simulator\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        scenario.token,
        body.len(),
    );
    let mut stream = TcpStream::connect(scenario.simulator.address()).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    tokio::time::timeout(DEADLINE, reading)
        .await
        .unwrap()
        .map(|_| answer)
}

#[tokio::test]
async fn dropped_connections_end_without_a_byte_before_or_after_the_effect() {
    let scenario = Scenario::slow().await;
    for (when, reset, created) in [
        (When::Before, false, 0),
        (When::Before, true, 0),
        (When::After, false, 1),
        (When::After, true, 2),
    ] {
        add(&scenario, Endpoint::Start, Effect::Drop { when, reset });
        let end = raw_start(&scenario).await;
        match (reset, end) {
            (false, Ok(bytes)) => assert_eq!(bytes, b""),
            (true, Err(error)) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
            (_, end) => panic!("reset {reset}: {end:?}"),
        }
        assert_eq!(scenario.created(), created);
        let record = scenario.simulator.handle().requests().pop().unwrap();
        assert_eq!((record.endpoint, record.status), (Endpoint::Start, None));
    }
    add(&scenario, Endpoint::Start, Effect::close(When::After));
    let error = scenario.starting(MODEL).send().await.unwrap_err();
    assert!(error.is_request() && error.status().is_none(), "{error:?}");
    assert_eq!(scenario.created(), 3);
}

#[tokio::test]
async fn a_delayed_start_lands_though_its_client_has_gone() {
    let scenario = Scenario::slow().await;
    let handle = scenario.simulator.handle();
    let hasty = || {
        scenario
            .starting(MODEL)
            .timeout(Duration::from_millis(100))
            .send()
    };
    let duration = Duration::from_secs(2);

    add(
        &scenario,
        Endpoint::Start,
        Effect::delay(When::After, duration),
    );
    assert!(hasty().await.unwrap_err().is_timeout());
    handle
        .wait_for(|view| view.instances.len() == 1, DEADLINE)
        .await
        .unwrap();

    add(
        &scenario,
        Endpoint::Start,
        Effect::delay(When::Before, duration),
    );
    assert!(hasty().await.unwrap_err().is_timeout());
    assert_eq!(scenario.created(), 1);
    handle
        .wait_for(|view| view.instances.len() == 2, DEADLINE)
        .await
        .unwrap();
}

#[tokio::test]
async fn delays_end_when_the_simulator_stops() {
    let scenario = Scenario::slow().await;
    let duration = Duration::from_secs(3600);
    add(
        &scenario,
        Endpoint::Start,
        Effect::delay(When::Before, duration),
    );
    let starting = tokio::spawn(scenario.starting(MODEL).send());
    let handle = scenario.simulator.handle();
    handle
        .wait_for(|view| view.count(Endpoint::Start) == 1, DEADLINE)
        .await
        .unwrap();
    scenario.simulator.stop().await;
    // The call is not cut off: it goes on as if its delay were over.
    assert_eq!(starting.await.unwrap().unwrap().status().as_u16(), 202);
}

#[tokio::test]
async fn faults_that_change_the_answer_keep_the_effect() {
    let scenario = Scenario::slow().await;
    add(&scenario, Endpoint::Start, Effect::MalformedBody);
    let malformed = scenario.starting(MODEL).send().await.unwrap();
    assert_eq!(malformed.status().as_u16(), 202);
    assert!(serde_json::from_str::<serde_json::Value>(&malformed.text().await.unwrap()).is_err());

    add(&scenario, Endpoint::Start, Effect::TruncatedBody);
    let truncated = scenario.starting(MODEL).send().await.unwrap();
    assert_eq!(truncated.status().as_u16(), 202);
    let length = truncated.content_length().unwrap();
    assert!(length > 100);
    assert!(truncated.bytes().await.is_err());

    add(&scenario, Endpoint::Start, Effect::WithoutInstance);
    let (status, body) = read(scenario.starting(MODEL).send().await.unwrap()).await;
    assert_eq!(status, 202);
    assert!(
        body["message"].is_string() && body.get("instance").is_none(),
        "{body}"
    );

    let bytes = 3_000_001;
    add(&scenario, Endpoint::Start, Effect::HugeBody { bytes });
    let huge = scenario.starting(MODEL).send().await.unwrap();
    assert_eq!(huge.status().as_u16(), 202);
    let received = huge.bytes().await.unwrap();
    assert_eq!(u64::try_from(received.len()).unwrap(), bytes);
    assert_eq!(
        received
            .bytes()
            .filter(|byte| byte.as_ref().unwrap() == &b'"')
            .count(),
        2
    );
    assert_eq!(scenario.created(), 4);
}

#[tokio::test]
async fn an_expired_token_is_refused_until_there_is_a_new_one() {
    let mut scenario = Scenario::slow().await;
    add(&scenario, Endpoint::Start, Effect::ExpireToken);
    assert_eq!(scenario.start_status(MODEL).await, 401);
    assert_eq!(scenario.get("/instances/").await.0, 401);
    assert_eq!(scenario.created(), 0);
    scenario.token = scenario.log_in("demo", "demo-secret").await;
    scenario.start(MODEL).await;
}

#[tokio::test]
async fn faults_find_the_model_of_the_instance_that_a_call_names() {
    let scenario = Scenario::slow().await;
    let (ours, theirs) = (scenario.start(MODEL).await, scenario.start(OTHER).await);
    let handle = scenario.simulator.handle();
    handle.add_fault(Fault::new(Target::Any, Effect::fail(500, "x")).matching(MODEL));
    assert_eq!(scenario.get(&format!("/instances/{ours}")).await.0, 500);
    assert_eq!(scenario.get(&format!("/instances/{theirs}")).await.0, 200);
    assert_eq!(
        scenario
            .post("/instances/stop", json!({"instance_id": ours}))
            .await
            .0,
        500
    );
    assert_eq!(
        scenario
            .post("/instances/stop", json!({"instance_id": theirs}))
            .await
            .0,
        200
    );
    assert_eq!(scenario.get("/instances/").await.0, 200);
    handle.clear_faults();
    assert_eq!(
        scenario
            .post("/instances/stop", json!({"instance_id": ours}))
            .await
            .0,
        200
    );
}
