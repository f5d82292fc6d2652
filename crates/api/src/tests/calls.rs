//! The requests of each call, and their reports to the observer.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::poll;

use super::{
    answer, args, instance,
    server::{Reply, Server, TOKEN, config, ok},
};
use crate::{Call, CallObserver, CallOutcome, Client, ConfigError, RetryClass};

#[derive(Default)]
struct Heard(Mutex<Vec<(Call, CallOutcome)>>);

impl CallObserver for Heard {
    fn on_call(&self, call: Call, outcome: CallOutcome, _took: Duration) {
        self.0.lock().unwrap().push((call, outcome));
    }
}

impl Heard {
    fn take(&self) -> Vec<(Call, CallOutcome)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn observed(server: &Server) -> (Client, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    let mut config = server.config();
    config.observer = Some(heard.clone());
    (Client::new(config).unwrap(), heard)
}

async fn everything() -> Server {
    Server::with_tokens(|seen, _| match seen.line.as_str() {
        "GET /instances/" => ok(format!(r#"{{"instances":[{}]}}"#, instance("i-1"))),
        "GET /instances/i-1" => ok(format!(r#"{{"instance":{}}}"#, instance("i-1"))),
        "POST /instances/start" | "POST /instances/restart" => Reply::Json(202, answer("i-1")),
        "POST /instances/stop" => ok(answer("i-1")),
        "POST /instances/stop-all" | "DELETE /instances/delete-all" => {
            ok(r#"{"message":"","instance_ids":["i-1","i-2"]}"#)
        }
        "DELETE /instances/delete-all?force_deletion=true" => ok(r#"{"instance_ids":["i-3"]}"#),
        "DELETE /instances/i-1" => ok(r#"{"message":"gone","instance_id":"i-1"}"#),
        "GET /user/balance" => ok(r#"{"current_balance":12.3,"currency":"EUR"}"#),
        "GET /models/" => ok(r#"{"models":[{"model_name":"n","model_id":"m"},{"model_id":"o"}]}"#),
        "GET /models/org--name" => ok(
            r#"{"model":{"model_id":"org--name","recommended_config":"L4","hardware_configs":{"L4":{"params":{"--max-model-len":16000}}}}}"#,
        ),
        "GET /hardware-types/" => ok(
            r#"{"hardware_types":[{"hardware_type_id":"L4","price_info":{"price_per_hour":1.2}},{"hardware_type_id":"L40"}]}"#,
        ),
        "GET /hardware-types/available" => ok(r#"{"hardware_types":[]}"#),
        _ => Reply::Json(404, String::new()),
    })
    .await
}

#[tokio::test]
async fn each_call_is_made_as_the_api_wants_it() {
    let server = everything().await;
    let (client, heard) = observed(&server);
    assert_eq!(client.list_instances().await.unwrap()[0].instance_id, "i-1");
    assert_eq!(client.get_instance("i-1").await.unwrap().instance_id, "i-1");
    client.start_instance(&args()).await.unwrap();
    client.restart_instance("i-1").await.unwrap();
    client.stop_instance("i-1").await.unwrap();
    assert_eq!(client.stop_all().await.unwrap(), ["i-1", "i-2"]);
    client.delete_instance("i-1").await.unwrap();
    assert_eq!(client.delete_all(false).await.unwrap(), ["i-1", "i-2"]);
    assert_eq!(client.delete_all(true).await.unwrap(), ["i-3"]);
    assert_eq!(client.balance().await.unwrap().currency, "EUR");
    assert_eq!(client.list_models().await.unwrap().len(), 2);
    let model = client.get_model("org--name").await.unwrap();
    let hardware = &model.hardware_configs.unwrap()["L4"];
    assert_eq!(hardware.max_context_length(), Some(16000));
    assert_eq!(client.list_hardware_types().await.unwrap().len(), 2);
    assert!(
        client
            .list_available_hardware_types()
            .await
            .unwrap()
            .is_empty()
    );

    let seen = server.seen();
    assert_eq!(
        seen[3].body,
        serde_json::json!({"model_id": "org--name", "num_workers": 2})
    );
    assert_eq!(seen[4].body, serde_json::json!({"instance_id": "i-1"}));
    assert_eq!(seen[5].body, serde_json::json!({"instance_id": "i-1"}));
    for seen in &seen[1..] {
        let open = seen.line.contains("/models/") || seen.line.contains("/hardware-types/");
        assert_eq!(seen.authorization.is_none(), open, "{}", seen.line);
    }
    let mut told = heard.take();
    told.sort_by_key(|(call, _)| *call);
    told.dedup();
    let calls: Vec<Call> = told.iter().map(|(call, _)| *call).collect();
    assert_eq!(calls, Call::ALL, "each with one outcome");
    for (call, outcome) in told {
        let accepted = matches!(call, Call::StartInstance | Call::RestartInstance);
        let status = if accepted { 202 } else { 200 };
        assert_eq!(outcome, CallOutcome::Status(status));
    }
}

#[tokio::test]
async fn the_observer_is_told_the_end_of_each_request() {
    let server = Server::with_tokens(|seen, before| match (seen.line.as_str(), before) {
        ("GET /user/balance", 0) => Reply::Json(401, String::new()),
        ("GET /user/balance", _) => ok("{}"),
        ("GET /models/", _) => Reply::Reset(Vec::new()),
        ("GET /hardware-types/", _) => Reply::Flood(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
        ("POST /instances/start", _) => Reply::Json(503, String::new()),
        _ => Reply::Hang(Vec::new()),
    })
    .await;
    let (client, heard) = observed(&server);
    client.balance().await.unwrap_err();
    client.list_models().await.unwrap_err();
    client.list_hardware_types().await.unwrap_err();
    client.start_instance(&args()).await.unwrap_err();
    let mut left = Box::pin(client.get_model("m"));
    assert!(poll!(left.as_mut()).is_pending());
    drop(left);
    let expected = [
        (Call::Token, CallOutcome::Status(200)),
        (Call::Balance, CallOutcome::Status(401)),
        (Call::Token, CallOutcome::Status(200)),
        (Call::Balance, CallOutcome::Error("malformed")),
        (Call::ListModels, CallOutcome::Error("network")),
        (Call::ListHardwareTypes, CallOutcome::Error("too_large")),
        (Call::StartInstance, CallOutcome::Status(503)),
        (Call::GetModel, CallOutcome::Error("cancelled")),
    ];
    let told = heard.take();
    assert_eq!(told, expected);
    for (_, outcome) in told {
        if let CallOutcome::Error(kind) = outcome {
            assert!(CallOutcome::ERROR_KINDS.contains(&kind));
        }
    }
}

#[tokio::test]
async fn an_id_cannot_reach_another_endpoint() {
    let server = everything().await;
    let client = server.client();
    for id in [
        "",
        ".",
        "..",
        "../user",
        "delete-all",
        "Delete-All?force_deletion=true",
    ] {
        for error in [
            client.get_instance(id).await.unwrap_err(),
            client.restart_instance(id).await.unwrap_err(),
            client.stop_instance(id).await.unwrap_err(),
            client.delete_instance(id).await.unwrap_err(),
        ] {
            assert_eq!(
                (error.class(), error.refused()),
                (RetryClass::Terminal, true)
            );
        }
    }
    for id in ["", ".", ".."] {
        let error = client.get_model(id).await.unwrap_err();
        assert_eq!(
            (error.class(), error.refused()),
            (RetryClass::Terminal, true)
        );
    }
    assert!(server.seen().is_empty());
    for (id, path) in [
        ("a/b", "a%2Fb"),
        ("a?force_deletion=true", "a%3Fforce_deletion%3Dtrue"),
        ("a#b", "a%23b"),
        ("%2e%2e", "%252e%252e"),
        ("a\0\r\n b", "a%00%0D%0A%20b"),
        ("ü\\", "%C3%BC%5C"),
    ] {
        client.delete_instance(id).await.unwrap_err();
        let line = server.seen().pop().unwrap().line;
        assert_eq!(line, format!("DELETE /instances/{path}"));
    }
    client.get_model("../user/balance").await.unwrap_err();
    let line = server.seen().pop().unwrap().line;
    assert_eq!(line, "GET /models/..%2Fuser%2Fbalance");
}

#[tokio::test]
async fn a_trailing_slash_of_the_url_makes_no_difference() {
    let server = everything().await;
    let client = Client::new(config(&format!("{}//", server.url))).unwrap();
    client.list_instances().await.unwrap();
    assert_eq!(
        (server.count(TOKEN), server.count("GET /instances/")),
        (1, 1)
    );
}

#[test]
fn a_wrong_configuration_is_refused() {
    let with = |change: fn(&mut crate::ClientConfig)| {
        let mut config = config("http://127.0.0.1:1");
        change(&mut config);
        Client::new(config).map(drop)
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert!(matches!(
        with(|c| c.base_url = "cortecs.ai".into()),
        Err(ConfigError::BaseUrl(_))
    ));
    assert_eq!(
        with(|c| c.request_timeout = Duration::ZERO),
        Err(ConfigError::ZeroTimeout)
    );
    assert_eq!(
        with(|c| c.connect_timeout = Duration::ZERO),
        Err(ConfigError::ZeroTimeout)
    );
    assert_eq!(
        with(|c| c.user_agent = "a\nb".into()),
        Err(ConfigError::UserAgent)
    );
}
