//! A proxy in front of the API server that lets single requests hang, and changes or refuses requests as webhooks do.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
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

/// Passes requests to the API server with the rights of one kubeconfig.
pub(crate) struct HangingProxy {
    /// The kubeconfig with the address of the proxy.
    pub(crate) kubeconfig: NamedTempFile,
    shared: Shared,
    server: JoinHandle<()>,
}

/// The part of a call that hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hangs {
    /// The request: the API server does not get it.
    Request,
    /// The answer: the API server has carried the request out.
    Answer,
}

/// A request.
pub(crate) struct Asked {
    pub(crate) method: String,
    /// The path with the query.
    pub(crate) path: String,
    pub(crate) body: String,
}

/// What a webhook does with a request.
pub(crate) enum Meddling {
    /// The API server gets this body instead.
    Changes(String),
    /// The API server does not get the request, and the answer is 403.
    Refuses,
}

type Webhook = fn(&Asked) -> Option<Meddling>;

struct Trap {
    takes: fn(&Asked) -> bool,
    hangs: Hangs,
}

#[derive(Clone)]
struct Shared {
    trap: Arc<Mutex<Option<Trap>>>,
    webhook: Arc<Mutex<Option<Webhook>>>,
    meddled: Arc<AtomicUsize>,
    hanging: Arc<watch::Sender<usize>>,
    ended: Arc<watch::Sender<bool>>,
    upstream: Client,
}

impl HangingProxy {
    pub(crate) async fn new(kubeconfig: &Path) -> Self {
        let shared = Shared {
            trap: Arc::default(),
            webhook: Arc::default(),
            meddled: Arc::default(),
            hanging: Arc::new(watch::Sender::new(0)),
            ended: Arc::new(watch::Sender::new(false)),
            upstream: client(kubeconfig).await,
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(pass).with_state(shared.clone());
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
            "clusters": [{"name": "proxy", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "proxy", "user": {}}],
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
        });
        let file = NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), config.to_string()).expect("a written file");
        Self {
            kubeconfig: file,
            shared,
            server,
        }
    }

    /// Lets the next request hang that `takes` accepts, and no later one.
    pub(crate) fn hang_next(&self, hangs: Hangs, takes: fn(&Asked) -> bool) {
        *self.shared.trap() = Some(Trap { takes, hangs });
    }

    /// From here on each request goes through the webhook, or through none.
    pub(crate) fn set_webhook(&self, webhook: Option<Webhook>) {
        *lock(&self.shared.webhook) = webhook;
    }

    /// How many requests a webhook has changed or refused.
    pub(crate) fn meddled(&self) -> usize {
        self.shared.meddled.load(Ordering::SeqCst)
    }

    /// Ends all hanging requests with an error.
    pub(crate) fn end_hanging(&self) {
        self.shared.ended.send_replace(true);
    }

    /// Waits until this many requests hang.
    pub(crate) async fn wait_hanging(&self, wanted: usize) {
        let mut hanging = self.shared.hanging.subscribe();
        let waiting = hanging.wait_for(|hanging| *hanging >= wanted);
        let waited = tokio::time::timeout(SOON, waiting).await;
        waited.expect("a request hangs").expect("a sender");
    }
}

impl Drop for HangingProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn trap(&self) -> MutexGuard<'_, Option<Trap>> {
        lock(&self.trap)
    }

    /// What the webhook does with this request.
    fn meddling(&self, asked: &Asked) -> Option<Meddling> {
        let webhook = *lock(&self.webhook);
        let meddling = webhook?(asked)?;
        self.meddled.fetch_add(1, Ordering::SeqCst);
        Some(meddling)
    }

    /// Which part of this request hangs, if any.
    fn take(&self, asked: &Asked) -> Option<Hangs> {
        let trap = self.trap().take_if(|trap| (trap.takes)(asked))?;
        Some(trap.hangs)
    }

    async fn hang(&self) -> Response {
        self.hanging.send_modify(|hanging| *hanging += 1);
        let mut ended = self.ended.subscribe();
        ended.wait_for(|ended| *ended).await.expect("a sender");
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::GATEWAY_TIMEOUT;
        response
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refusal() -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403,
        "message": "admission webhook \"policy.example\" denied the request: not in this namespace",
    });
    let mut response = Response::new(Body::from(status.to_string()));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response
}

async fn pass(State(shared): State<Shared>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a whole request");
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let hangs = shared.take(&asked);
    if hangs == Some(Hangs::Request) {
        return shared.hang().await;
    }
    let body = match shared.meddling(&asked) {
        Some(Meddling::Refuses) => return refusal(),
        Some(Meddling::Changes(body)) => body.into(),
        None => body,
    };
    parts.headers.remove("host");
    parts.headers.remove("content-length");
    let request = axum::http::Request::from_parts(parts, kube::client::Body::from(body));
    let answer = shared.upstream.send(request).await.expect("an answer");
    if hangs == Some(Hangs::Answer) {
        // After the whole answer, the API server has carried the request out.
        let whole = to_bytes(Body::new(answer.into_body()), usize::MAX).await;
        whole.expect("a whole answer");
        return shared.hang().await;
    }
    answer.map(Body::new)
}
