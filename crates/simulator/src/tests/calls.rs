use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use super::{MODEL, Scenario, read};
use crate::{Endpoint, SimulatedAccount, SimulatorConfig};

#[tokio::test]
async fn tokens_are_given_for_good_credentials_only() {
    let scenario = Scenario::slow().await;
    let good = json!({"grant_type": "client_credentials", "client_id": "demo", "client_secret": "demo-secret"});
    let (status, body) = read(scenario.token(good).await).await;
    assert_eq!(
        (status, &body["token_type"], &body["expires_in"]),
        (200, &json!("Bearer"), &json!(3600))
    );

    let cases = [
        (
            json!({"grant_type": "password", "client_id": "demo", "client_secret": "demo-secret"}),
            400,
        ),
        (
            json!({"grant_type": "client_credentials", "client_id": "demo"}),
            400,
        ),
        (json!([]), 400),
        (
            json!({"grant_type": "client_credentials", "client_id": "demo", "client_secret": "x"}),
            401,
        ),
        (
            json!({"grant_type": "client_credentials", "client_id": "x", "client_secret": "demo-secret"}),
            401,
        ),
    ];
    for (request, expected) in cases {
        let (status, body) = read(scenario.token(request.clone()).await).await;
        assert_eq!(status, expected, "{request}");
        assert!(body["message"].is_string(), "{body}");
    }
}

#[tokio::test]
async fn calls_on_instances_need_a_token_and_the_catalog_does_not() {
    let mut scenario = Scenario::slow().await;
    scenario.token = "wrong".into();
    for (method, path, expected) in [
        (Method::GET, "/instances/", 401),
        (Method::GET, "/instances/x", 401),
        (Method::POST, "/instances/start", 401),
        (Method::POST, "/instances/restart", 401),
        (Method::POST, "/instances/stop", 401),
        (Method::POST, "/instances/stop-all", 401),
        (Method::DELETE, "/instances/x", 401),
        (Method::DELETE, "/instances/delete-all", 401),
        (Method::GET, "/user/balance", 401),
        (Method::GET, "/models/", 200),
        (Method::GET, "/models/microsoft--phi-4", 200),
        (Method::GET, "/hardware-types/", 200),
        (Method::GET, "/hardware-types/available", 200),
    ] {
        let response = scenario.request(method, path).send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{path}");
    }
    let bare = scenario
        .client
        .get(format!("{}/instances/", scenario.simulator.api_url()));
    let (status, body) = read(bare.send().await.unwrap()).await;
    assert_eq!(
        (status, body),
        (401, json!({"message": "Bearer token missing or invalid"}))
    );
}

#[tokio::test]
async fn a_path_that_is_not_documented_is_404_in_json_and_never_a_redirect() {
    let scenario = Scenario::slow().await;
    for path in [
        "/instances",
        "/models",
        "/hardware-types/available/",
        "/user/balance/",
        "/nothing",
        "",
    ] {
        let (status, body) = scenario.get(path).await;
        assert_eq!(
            (status, body),
            (404, json!({"message": "Not found"})),
            "{path}"
        );
    }
    let outside = format!("http://{}/instances/", scenario.simulator.address());
    let response = scenario
        .client
        .get(outside)
        .bearer_auth(&scenario.token)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 404);
}

#[tokio::test]
async fn bad_requests_are_400_with_a_message_and_start_nothing() {
    let scenario = Scenario::slow().await;
    for body in [
        "",
        "{",
        "[]",
        "null",
        r#"{"model_id": 7}"#,
        r#"{"model_id": "x", "num_workers": "two"}"#,
    ] {
        let request = scenario
            .request(Method::POST, "/instances/start")
            .body(body);
        let (status, answer) = read(request.send().await.unwrap()).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert!(answer["message"].is_string());
    }
    for call in ["/instances/stop", "/instances/restart"] {
        assert_eq!(
            scenario.post(call, json!({"instance_id": "none"})).await.0,
            400
        );
        assert_eq!(scenario.post(call, json!({})).await.0, 400);
    }
    assert_eq!(scenario.get("/instances/none").await.0, 400);
    assert_eq!(scenario.delete("/instances/none").await.0, 400);
    assert_eq!(scenario.get("/models/none").await.0, 400);
    let large = scenario
        .request(Method::POST, "/instances/start")
        .body(vec![b' '; 100_000]);
    assert_eq!(large.send().await.unwrap().status().as_u16(), 413);
    assert_eq!(scenario.created(), 0);
}

#[tokio::test]
async fn an_instance_is_started_stopped_restarted_and_deleted() {
    let scenario = Scenario::slow().await;
    let (status, body) = scenario
        .post(
            "/instances/start",
            json!({"model_id": MODEL, "num_workers": 2}),
        )
        .await;
    assert_eq!(status, 202);
    let instance = &body["instance"];
    assert_eq!(instance["base_url"], json!(null));
    assert_eq!(
        instance["instance_status"],
        json!({"status": "pending", "started_at": null, "stopped_at": null})
    );
    assert_eq!(instance["worker_statuses"].as_array().unwrap().len(), 2);
    let id = instance["instance_id"].as_str().unwrap();
    let one = json!({ "instance_id": id });

    assert_eq!(
        scenario.get(&format!("/instances/{id}")).await.1["instance"]["instance_id"],
        json!(id)
    );
    assert_eq!(scenario.listed().await, [id]);
    assert_eq!(
        scenario.post("/instances/restart", one.clone()).await.0,
        400
    );
    assert_eq!(scenario.delete(&format!("/instances/{id}")).await.0, 400);
    let (status, body) = scenario.post("/instances/stop", one.clone()).await;
    assert_eq!(
        (status, &body["instance"]["instance_status"]["status"]),
        (200, &json!("stopped"))
    );
    assert_eq!(scenario.post("/instances/stop", one.clone()).await.0, 400);
    let (status, body) = scenario.post("/instances/restart", one).await;
    assert_eq!(
        (status, &body["instance"]["instance_id"]),
        (202, &json!(id))
    );
    let (status, body) = scenario.post("/instances/stop-all", json!(null)).await;
    assert_eq!((status, &body["instance_ids"]), (200, &json!([id])));
    let (status, body) = scenario.delete(&format!("/instances/{id}")).await;
    assert_eq!((status, &body["instance_id"]), (200, &json!(id)));
    assert!(scenario.listed().await.is_empty());
}

#[tokio::test]
async fn delete_all_understands_the_published_clients_way_to_write_true() {
    let scenario = Scenario::slow().await;
    for (query, gone) in [
        ("", 0),
        ("?force_deletion=False", 0),
        ("?force_deletion=True", 1),
        ("?force_deletion=true", 1),
    ] {
        if scenario.listed().await.is_empty() {
            scenario.start(MODEL).await;
        }
        let (status, body) = scenario
            .delete(&format!("/instances/delete-all{query}"))
            .await;
        assert_eq!(
            (status, body["instance_ids"].as_array().unwrap().len()),
            (200, gone),
            "{query}"
        );
    }
}

#[tokio::test]
async fn tokens_expire() {
    let scenario = Scenario::with(SimulatorConfig {
        token_lifetime: Duration::ZERO,
        ..SimulatorConfig::default()
    });
    assert_eq!(scenario.await.get("/instances/").await.0, 401);
}

#[tokio::test]
async fn requests_are_recorded_without_secrets() {
    let scenario = Scenario::with(SimulatorConfig {
        accounts: vec![SimulatedAccount::new("client", "hidden-word")],
        ..SimulatorConfig::default()
    })
    .await;
    scenario.start(MODEL).await;
    scenario.listed().await;
    let records = scenario.simulator.handle().requests();
    let brief: Vec<_> = records
        .iter()
        .map(|r| (r.sequence, r.endpoint, r.status))
        .collect();
    assert_eq!(
        brief,
        [
            (1, Endpoint::Token, Some(200)),
            (2, Endpoint::Start, Some(202)),
            (3, Endpoint::ListInstances, Some(200)),
        ]
    );
    assert!(
        records
            .iter()
            .all(|record| record.account.as_deref() == Some("client"))
    );
    let tokens: Vec<_> = records.iter().map(|record| record.token).collect();
    assert_eq!(tokens, [None, Some(1), Some(1)]);
    assert_eq!(records[1].body, Some(json!({"model_id": MODEL})));
    let all = serde_json::to_string(&records).unwrap();
    assert!(
        !all.contains("hidden-word") && !all.contains(&scenario.token),
        "{all}"
    );
    let config = format!("{:?}", SimulatedAccount::new("client", "hidden-word"));
    assert!(!config.contains("hidden-word"), "{config}");
}
