//! Stands before the API server: what gets stuck in it hangs, and nobody is told.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use kube::Client;
use serde_json::json;
use tempfile::NamedTempFile;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

use super::{SOON, operator::client};

/// A way to the API server with the rights of one kubeconfig.
pub(crate) struct Swamp {
    /// Leads through the swamp.
    pub(crate) kubeconfig: NamedTempFile,
    holes: Holes,
    server: JoinHandle<()>,
}

/// What hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hangs {
    /// The request: the server never sees it.
    Request,
    /// The answer: the server has done what it was asked for.
    Answer,
}

/// A request as it came.
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) body: String,
}

struct Hole {
    takes: fn(&Asked) -> bool,
    hangs: Hangs,
}

#[derive(Clone)]
struct Holes {
    open: Arc<Mutex<Option<Hole>>>,
    stuck: Arc<watch::Sender<usize>>,
    drained: Arc<watch::Sender<bool>>,
    upstream: Client,
}

impl Swamp {
    pub(crate) async fn new(kubeconfig: &Path) -> Self {
        let holes = Holes {
            open: Arc::default(),
            stuck: Arc::new(watch::Sender::new(0)),
            drained: Arc::new(watch::Sender::new(false)),
            upstream: client(kubeconfig).await,
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(pass).with_state(holes.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "swamp",
            "clusters": [{"name": "swamp", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "swamp", "user": {}}],
            "contexts": [{"name": "swamp", "context": {"cluster": "swamp", "user": "swamp"}}],
        });
        let file = NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), config.to_string()).expect("a written file");
        Self {
            kubeconfig: file,
            holes,
            server,
        }
    }

    /// The next request that `takes` says gets stuck: one, and no other.
    pub(crate) fn swallow(&self, hangs: Hangs, takes: fn(&Asked) -> bool) {
        *self.holes.open() = Some(Hole { takes, hangs });
    }

    /// What is stuck ends with an error, as it does when a connection is given up.
    pub(crate) fn drain(&self) {
        self.holes.drained.send_replace(true);
    }

    /// Waits until so many are stuck.
    pub(crate) async fn stuck(&self, wanted: usize) {
        let mut stuck = self.holes.stuck.subscribe();
        let waiting = stuck.wait_for(|stuck| *stuck >= wanted);
        let waited = tokio::time::timeout(SOON, waiting).await;
        waited.expect("something gets stuck").expect("a sender");
    }
}

impl Drop for Swamp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Holes {
    fn open(&self) -> MutexGuard<'_, Option<Hole>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether, and how, this one gets stuck.
    fn take(&self, asked: &Asked) -> Option<Hangs> {
        let hole = self.open().take_if(|hole| (hole.takes)(asked))?;
        Some(hole.hangs)
    }

    async fn hang(&self) -> Response {
        self.stuck.send_modify(|stuck| *stuck += 1);
        let mut drained = self.drained.subscribe();
        drained
            .wait_for(|drained| *drained)
            .await
            .expect("a sender");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
        response
    }
}

async fn pass(State(holes): State<Holes>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a whole request");
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let hangs = holes.take(&asked);
    if hangs == Some(Hangs::Request) {
        return holes.hang().await;
    }
    parts.headers.remove("host");
    let request = axum::http::Request::from_parts(parts, kube::client::Body::from(body));
    let answer = holes.upstream.send(request).await.expect("an answer");
    if hangs == Some(Hangs::Answer) {
        // Read to the end: it has happened.
        let whole = to_bytes(Body::new(answer.into_body()), usize::MAX).await;
        whole.expect("a whole answer");
        return holes.hang().await;
    }
    answer.map(Body::new)
}
