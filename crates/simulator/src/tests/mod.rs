//! The simulator over real HTTP and through its handle.

mod calls;
mod control;
mod faults;
mod handle;
mod successes;
mod world;

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, redirect::Policy};
use serde_json::{Value, json};

use crate::{Simulator, SimulatorConfig};

const MODEL: &str = "mistralai--Mistral-7B-Instruct-v0.3";
const OTHER: &str = "microsoft--phi-4";
/// The deadline for everything that should happen at once.
const DEADLINE: Duration = Duration::from_secs(20);

/// A simulator, and a client with a token for it.
struct Scenario {
    simulator: Simulator,
    client: Client,
    token: String,
}

impl Scenario {
    /// A simulator whose workers take no step unless a test sets the step duration.
    async fn slow() -> Self {
        Self::with(SimulatorConfig {
            step_duration: Duration::from_secs(3600),
            ..SimulatorConfig::default()
        })
        .await
    }

    async fn with(config: SimulatorConfig) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .timeout(DEADLINE)
            .build()
            .unwrap();
        let account = config.accounts.first().unwrap().clone();
        let simulator = Simulator::start(config).await.unwrap();
        let mut scenario = Self {
            simulator,
            client,
            token: String::new(),
        };
        scenario.token = scenario
            .log_in(&account.client_id, &account.client_secret)
            .await;
        scenario
    }

    async fn log_in(&self, id: &str, secret: &str) -> String {
        let answer = self.token(json!({
            "grant_type": "client_credentials", "client_id": id, "client_secret": secret,
        }));
        let (status, body) = read(answer.await).await;
        assert_eq!(status, 200, "{body}");
        body["access_token"].as_str().unwrap().to_owned()
    }

    async fn token(&self, body: Value) -> Response {
        let url = format!("{}/oauth2/token", self.simulator.api_url());
        self.client.post(url).json(&body).send().await.unwrap()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.simulator.api_url());
        self.client.request(method, url).bearer_auth(&self.token)
    }

    fn starting(&self, model: &str) -> RequestBuilder {
        self.request(Method::POST, "/instances/start")
            .json(&json!({ "model_id": model }))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        read(
            self.request(Method::POST, path)
                .json(&body)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    async fn delete(&self, path: &str) -> (u16, Value) {
        read(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    /// The status that a start is answered with.
    async fn start_status(&self, model: &str) -> u16 {
        let response = self.starting(model).send().await.unwrap();
        response.status().as_u16()
    }

    /// The id of a new instance.
    async fn start(&self, model: &str) -> String {
        let (status, body) = read(self.starting(model).send().await.unwrap()).await;
        assert_eq!(status, 202, "{body}");
        body["instance"]["instance_id"].as_str().unwrap().to_owned()
    }

    async fn listed(&self) -> Vec<String> {
        let (status, body) = self.get("/instances/").await;
        assert_eq!(status, 200, "{body}");
        let instances = body["instances"].as_array().unwrap().iter();
        instances
            .map(|one| one["instance_id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The number of instances that were ever created.
    fn created(&self) -> usize {
        self.simulator.handle().all_started().len()
    }
}

async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.json().await.unwrap();
    (status, body)
}
