//! The HTTP server for probes and metrics.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use cortecs_clock as clock;
use cortecs_clock::Moment;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    metrics::{self, Metrics},
    signals::{Shutdown, ShutdownTrigger},
};
use crate::mutex::lock;

/// How long the main loop may be silent before `/healthz` fails.
pub const MAX_SILENCE: Duration = Duration::from_secs(60);

/// How long open connections may last after the stop of the server.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest reason in characters.
const REASON_LIMIT: usize = 256;

/// The state that `/readyz` shows. Clones share it.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<Mutex<Result<&'static str, String>>>);

impl Readiness {
    /// Not ready, because the process is starting.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Err("starting".to_owned()))))
    }

    /// Sets ready: the stores have synced.
    pub fn ready(&self) {
        self.set(Ok("ok"));
    }

    /// Sets standby: another process is the leader. A standby counts as ready, so that a rolling update proceeds.
    pub fn standby(&self) {
        self.set(Ok("standby"));
    }

    /// Sets not ready, with a reason.
    pub fn not_ready(&self, reason: &str) {
        let line = reason.chars().map(|c| if c.is_control() { ' ' } else { c });
        self.set(Err(line.take(REASON_LIMIT).collect()));
    }

    fn set(&self, state: Result<&'static str, String>) {
        *lock(&self.0) = state;
    }

    fn get(&self) -> Result<&'static str, String> {
        lock(&self.0).clone()
    }
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

/// The state that `/healthz` shows: whether the main loop is alive. Clones share it.
#[derive(Clone, Debug)]
pub struct Liveness(Arc<Mutex<Moment>>);

impl Liveness {
    /// Alive as of now.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(clock::moment())))
    }

    /// The main loop calls this far more often than every [`MAX_SILENCE`].
    pub fn beat(&self) {
        self.beat_at(clock::moment());
    }

    fn beat_at(&self, moment: Moment) {
        *lock(&self.0) = moment;
    }

    fn silence(&self) -> Duration {
        clock::moment().since(*lock(&self.0))
    }
}

impl Default for Liveness {
    fn default() -> Self {
        Self::new()
    }
}

/// The data that the server shows. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    pub readiness: Readiness,
    pub liveness: Liveness,
    pub metrics: Metrics,
}

/// A running server.
#[derive(Debug)]
pub struct HealthServer {
    address: SocketAddr,
    trigger: ShutdownTrigger,
    task: JoinHandle<()>,
}

impl HealthServer {
    /// Serves `/healthz`, `/readyz` and `/metrics` on `listen` in the background.
    ///
    /// # Errors
    /// If the address is not available: a sentence that says what to do.
    pub async fn start(listen: SocketAddr, health: Health) -> Result<Self, String> {
        let cannot = |error| {
            format!("cannot listen on {listen}: {error}; choose another address with --listen")
        };
        let listener = TcpListener::bind(listen).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let (trigger, shutdown) = Shutdown::new();
        tracing::info!(%address, "serving /healthz, /readyz and /metrics");
        let task = tokio::spawn(async move {
            let server = axum::serve(listener, router(health))
                .with_graceful_shutdown(async move { shutdown.requested().await });
            if let Err(error) = server.await {
                tracing::error!(%error, "the server for probes and metrics failed");
            }
        });
        Ok(Self {
            address,
            trigger,
            task,
        })
    }

    /// The address that the server listens on, with the real port if port 0 was requested.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server. Requests have a short time to end; after that their connections are closed.
    pub async fn stop(self) {
        self.trigger.shut_down();
        let mut task = self.task;
        if tokio::time::timeout(STOP_TIMEOUT, &mut task).await.is_err() {
            task.abort();
        }
    }
}

fn router(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn healthz(State(health): State<Health>) -> (StatusCode, String) {
    match health.liveness.silence() {
        silence if silence <= MAX_SILENCE => (StatusCode::OK, "ok\n".to_owned()),
        silence => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!(
                "the main loop has been silent for {} s\n",
                silence.as_secs()
            ),
        ),
    }
}

async fn readyz(State(health): State<Health>) -> (StatusCode, String) {
    match health.readiness.get() {
        Ok(state) => (StatusCode::OK, format!("{state}\n")),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn metrics(State(health): State<Health>) -> Response {
    match health.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn serve(health: &Health) -> (HealthServer, String) {
        cortecs_api::install_crypto_provider();
        let server = HealthServer::start(([127, 0, 0, 1], 0).into(), health.clone())
            .await
            .unwrap();
        let base = format!("http://{}", server.address());
        (server, base)
    }

    async fn fetch(url: &str) -> (u16, String, String) {
        let answer = reqwest::get(url).await.unwrap();
        let content_type = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        (
            answer.status().as_u16(),
            content_type,
            answer.text().await.unwrap(),
        )
    }

    #[tokio::test]
    async fn readiness_is_shown_with_its_reason() {
        let health = Health::default();
        let (server, base) = serve(&health).await;
        let readyz = async || {
            let (status, _, body) = fetch(&format!("{base}/readyz")).await;
            (status, body)
        };
        assert_eq!(readyz().await, (503, "starting\n".to_owned()));
        health.readiness.standby();
        assert_eq!(readyz().await, (200, "standby\n".to_owned()));
        health.readiness.ready();
        assert_eq!(readyz().await, (200, "ok\n".to_owned()));
        health.readiness.not_ready("cannot read\nthe Lease");
        assert_eq!(readyz().await, (503, "cannot read the Lease\n".to_owned()));
        health.readiness.not_ready(&"x".repeat(10_000));
        assert_eq!(readyz().await.1.len(), 257);
        server.stop().await;
    }

    #[tokio::test]
    async fn liveness_ends_when_the_main_loop_falls_silent() {
        let health = Health::default();
        let (server, base) = serve(&health).await;
        let healthz = async || fetch(&format!("{base}/healthz")).await.0;
        assert_eq!(healthz().await, 200);
        let silent = MAX_SILENCE + Duration::from_secs(1);
        let now = clock::moment().since_boot();
        if let Some(then) = now.checked_sub(silent) {
            health.liveness.beat_at(Moment::from_boot(then));
            assert_eq!(healthz().await, 503);
        }
        health.liveness.beat();
        assert_eq!(healthz().await, 200);
        server.stop().await;
    }

    #[tokio::test]
    async fn metrics_are_served_as_openmetrics() {
        let health = Health::default();
        health.metrics.set_leader("cortecs-operator", true);
        let (server, base) = serve(&health).await;
        let (status, content_type, body) = fetch(&format!("{base}/metrics")).await;
        assert_eq!(
            (status, content_type.as_str()),
            (200, metrics::CONTENT_TYPE)
        );
        assert!(body.contains("leader_election_master_status{name=\"cortecs-operator\"} 1\n"));
        assert!(body.ends_with("# EOF\n"));
        server.stop().await;
    }

    #[tokio::test]
    async fn a_taken_address_is_an_error_that_names_the_flag() {
        let (server, _) = serve(&Health::default()).await;
        let error = HealthServer::start(server.address(), Health::default())
            .await
            .unwrap_err();
        assert!(
            error.contains(&server.address().to_string()) && error.contains("--listen"),
            "{error}"
        );
        server.stop().await;
    }

    #[tokio::test]
    async fn the_server_stops_although_a_client_keeps_its_connection() {
        let (server, base) = serve(&Health::default()).await;
        let address = server.address();
        let idle = tokio::net::TcpStream::connect(address).await.unwrap();
        assert_eq!(fetch(&format!("{base}/healthz")).await.0, 200);
        tokio::time::timeout(Duration::from_secs(30), server.stop())
            .await
            .unwrap();
        drop(idle);
        // The port is free again.
        TcpListener::bind(address).await.unwrap();
    }
}
