use reqwest::Method;
use serde_json::{Value, json};

use super::{MODEL, Scenario, read};

async fn control(scenario: &Scenario, method: Method, path: &str, body: Value) -> (u16, Value) {
    let url = format!("http://{}/_control{path}", scenario.simulator.address());
    let mut request = scenario.client.request(method, url);
    if !body.is_null() {
        request = request.json(&body);
    }
    read(request.send().await.unwrap()).await
}

async fn post(scenario: &Scenario, path: &str, body: Value) -> Value {
    let (status, answer) = control(scenario, Method::POST, path, body).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

async fn get(scenario: &Scenario, path: &str) -> Value {
    let (status, answer) = control(scenario, Method::GET, path, Value::Null).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

#[tokio::test]
async fn help_names_every_call() {
    let scenario = Scenario::slow().await;
    for path in ["/_control", "/_control/"] {
        let url = format!("http://{}{path}", scenario.simulator.address());
        let help = scenario.client.get(url).send().await.unwrap();
        assert_eq!(help.status().as_u16(), 200, "{path}");
        let help = help.text().await.unwrap();
        for call in [
            "/instances",
            "/faults",
            "/outsider/start",
            "/list-lag",
            "/omit",
            "/rewrite",
            "/step-duration",
        ] {
            assert!(help.contains(&format!("/_control{call}")), "{call}");
        }
    }
}

#[tokio::test]
async fn faults_come_and_go() {
    let scenario = Scenario::slow().await;
    let fault = json!({"endpoint": "start", "times": 1,
        "effect": {"kind": "answer", "when": "after", "status": 502, "body": {"message": "gone"}}});
    post(&scenario, "/faults", fault).await;
    assert_eq!(get(&scenario, "/faults").await.as_array().unwrap().len(), 1);
    assert_eq!(scenario.start_status(MODEL).await, 502);
    assert_eq!(scenario.created(), 1);
    scenario.start(MODEL).await;
    post(
        &scenario,
        "/faults",
        json!({"effect": {"kind": "malformed_body"}}),
    )
    .await;
    let (status, _) = control(&scenario, Method::DELETE, "/faults", Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!(scenario.get("/instances/").await.0, 200);
    let url = format!("http://{}/_control/faults", scenario.simulator.address());
    let bad = scenario
        .client
        .post(url)
        .json(&json!({"effect": {"kind": "unheard_of"}}));
    assert!(bad.send().await.unwrap().status().is_client_error());
}

#[tokio::test]
async fn everything_a_handle_does_can_be_done_over_http() {
    let scenario = Scenario::slow().await;
    let args = json!({"client_id": "demo", "args": {"model_id": MODEL}});
    let id = post(&scenario, "/outsider/start", args).await["instance_id"].clone();
    assert_eq!(
        get(&scenario, "/instances?client_id=demo").await[0]["instance_id"],
        id
    );
    post(&scenario, "/outsider/stop", json!({"instance_id": id})).await;
    let (status, refusal) = control(
        &scenario,
        Method::POST,
        "/outsider/stop",
        json!({"instance_id": id}),
    )
    .await;
    assert_eq!(status, 400);
    assert!(refusal["message"].as_str().unwrap().contains("not active"));
    post(&scenario, "/outsider/delete", json!({"instance_id": id})).await;
    assert_eq!(get(&scenario, "/instances?client_id=demo").await, json!([]));
    let history = get(&scenario, "/instances").await;
    assert_eq!(
        (
            &history[0]["billed_starts"],
            history[0]["deleted_at"].is_string()
        ),
        (&json!(1), true)
    );

    let id = scenario.start(MODEL).await;
    assert_eq!(
        post(&scenario, "/stop-everything", json!({"client_id": "demo"})).await["instance_ids"],
        json!([id])
    );
    assert_eq!(
        get(&scenario, "/counts").await,
        json!({"token": 1, "start": 1})
    );
    assert_eq!(
        get(&scenario, "/requests").await[1]["endpoint"],
        json!("start")
    );
    post(&scenario, "/counts/reset", Value::Null).await;
    assert_eq!(get(&scenario, "/counts").await, json!({}));

    post(&scenario, "/down", json!({"down": true})).await;
    assert_eq!(scenario.get("/instances/").await.0, 503);
    post(&scenario, "/down", json!({"down": false})).await;
    post(&scenario, "/list-lag", json!({"lists": 1})).await;
    scenario.start(MODEL).await;
    assert_eq!(scenario.listed().await.len(), 1);
    post(&scenario, "/list-lag", json!("none")).await;
    assert_eq!(scenario.listed().await.len(), 2);
    let fields = ["num_workers", "context_length", "worker_statuses"];
    post(&scenario, "/omit", json!({"fields": fields})).await;
    let (_, list) = scenario.get("/instances/").await;
    assert!(
        list["instances"][0]["instance_args"]
            .get("num_workers")
            .is_none()
    );
    assert_eq!(list["instances"][0]["worker_statuses"], json!([]));
    let rewrites = json!([{"name": "status", "to": {"value": "failed"}}]);
    post(&scenario, "/rewrite", json!({"rewrites": rewrites})).await;
    let (_, list) = scenario.get("/instances/").await;
    assert_eq!(list["instances"][0]["instance_status"]["status"], "failed");
    post(&scenario, "/rewrite", json!({"rewrites": []})).await;
    post(
        &scenario,
        "/capacity",
        json!({"hardware_type_id": "NVIDIA_L4_1", "workers": 1}),
    )
    .await;
    assert_eq!(scenario.start_status(MODEL).await, 400);
    post(
        &scenario,
        "/capacity",
        json!({"hardware_type_id": "NVIDIA_L4_1", "workers": null}),
    )
    .await;
    post(&scenario, "/step-duration", json!({"milliseconds": 0})).await;
    scenario.start(MODEL).await;
    let (_, list) = scenario.get("/instances/").await;
    assert_eq!(
        list["instances"][2]["instance_status"]["status"],
        json!("running")
    );
    post(
        &scenario,
        "/secret",
        json!({"client_id": "demo", "client_secret": "new"}),
    )
    .await;
    post(&scenario, "/expire-tokens", Value::Null).await;
    assert_eq!(scenario.get("/instances/").await.0, 401);
    scenario.log_in("demo", "new").await;
}
