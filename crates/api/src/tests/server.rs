//! A server on the loopback that gives each request the reply that a test chooses, also invalid HTTP.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::{Client, ClientConfig, Credentials};

/// The deadline for everything that must happen.
const DEADLINE: Duration = Duration::from_secs(20);

pub(super) const SECRET: &str = "s3cr3t-of-the-client";

/// A request that arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) connection: usize,
    /// `METHOD path`, the path below the API's base and with its query.
    pub(super) line: String,
    pub(super) authorization: Option<String>,
    pub(super) accept_encoding: Option<String>,
    pub(super) body: serde_json::Value,
}

/// The reply of the server to a request.
pub(super) enum Reply {
    /// A whole answer. The connection stays open.
    Json(u16, String),
    /// A whole answer with further header lines. The connection stays open.
    With(u16, &'static str, String),
    /// The bytes, then the end of the stream.
    Raw(Vec<u8>),
    /// The bytes, then a reset.
    Reset(Vec<u8>),
    /// The bytes, then nothing.
    Hang(Vec<u8>),
    /// The bytes, then spaces without end.
    Flood(Vec<u8>),
    /// The reply after the gate has a permit.
    Gated(Arc<Semaphore>, Box<Reply>),
}

pub(super) fn ok(body: impl Into<String>) -> Reply {
    Reply::Json(200, body.into())
}

/// The answer of the token endpoint with the `n`-th token.
pub(super) fn token(n: usize, seconds: u64) -> Reply {
    ok(format!(
        r#"{{"access_token":"token-{n}","token_type":"Bearer","expires_in":{seconds}}}"#
    ))
}

pub(super) fn whole(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} S\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

type Handler = dyn Fn(&Seen, usize) -> Reply + Send + Sync;

struct Shared {
    handler: Box<Handler>,
    seen: Mutex<Vec<Seen>>,
    arrived: Notify,
    connections: AtomicUsize,
    flooded: AtomicUsize,
    floods_ended: Semaphore,
}

/// A running server. Dropping it stops it.
pub(super) struct Server {
    pub(super) url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// The handler gets each request, and the number of earlier requests with the same line.
    pub(super) async fn start(
        handler: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v1", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            seen: Mutex::default(),
            arrived: Notify::new(),
            connections: AtomicUsize::new(0),
            flooded: AtomicUsize::new(0),
            floods_ended: Semaphore::new(0),
        });
        let task = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                let mut open = JoinSet::new();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    open.spawn(serve(stream, Arc::clone(&shared)));
                }
            }
        });
        Self { url, shared, task }
    }

    /// As [`Server::start`], with tokens `token-1`, `token-2`, … that live for an hour.
    pub(super) async fn with_tokens(
        handler: impl Fn(&Seen, usize) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |seen, before| match seen.line.as_str() {
            TOKEN => token(before + 1, 3600),
            _ => handler(seen, before),
        })
        .await
    }

    /// Ends the server and closes its port.
    pub(super) async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// The number of requests with this line.
    pub(super) fn count(&self, line: &str) -> usize {
        self.seen().iter().filter(|seen| seen.line == line).count()
    }

    /// Waits until `n` requests with this line have arrived.
    pub(super) async fn wait_for(&self, line: &str, n: usize) {
        let reached = async {
            loop {
                let arrived = self.shared.arrived.notified();
                if self.count(line) >= n {
                    return;
                }
                arrived.await;
            }
        };
        timeout(DEADLINE, reached).await.expect(line);
    }

    /// The number of bytes that a flood could send before the client closed the connection.
    pub(super) async fn flooded(&self) -> usize {
        let ended = timeout(DEADLINE, self.shared.floods_ended.acquire()).await;
        ended.expect("the end of a flood").unwrap().forget();
        self.shared.flooded.swap(0, Ordering::SeqCst)
    }

    pub(super) fn config(&self) -> ClientConfig {
        config(&self.url)
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }

    /// A client whose requests time out soon, for servers that never answer.
    pub(super) fn hasty_client(&self) -> Client {
        let mut config = self.config();
        config.request_timeout = Duration::from_millis(1500);
        Client::new(config).unwrap()
    }
}

pub(super) const TOKEN: &str = "POST /oauth2/token";

pub(super) fn credentials(secret: &str) -> Credentials {
    Credentials {
        client_id: "the-id".to_owned(),
        client_secret: SecretString::from(secret),
    }
}

pub(super) fn config(url: &str) -> ClientConfig {
    // This fails if another test has installed the provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    ClientConfig::new(url, credentials(SECRET))
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let connection = shared.connections.fetch_add(1, Ordering::SeqCst);
    let mut input = Vec::new();
    while let Some(seen) = request(&mut stream, &mut input, connection).await {
        let before = {
            let mut all = shared.seen.lock().unwrap();
            all.push(seen.clone());
            all.iter().filter(|other| other.line == seen.line).count() - 1
        };
        shared.arrived.notify_waiters();
        let mut reply = (shared.handler)(&seen, before);
        while let Reply::Gated(gate, inner) = reply {
            gate.acquire().await.unwrap().forget();
            reply = *inner;
        }
        // Writing fails if the client has closed the connection.
        let written = match reply {
            Reply::Json(status, body) => stream.write_all(&whole(status, "", &body)).await,
            Reply::With(status, headers, body) => {
                stream.write_all(&whole(status, headers, &body)).await
            }
            Reply::Raw(bytes) => {
                let _ = stream.write_all(&bytes).await;
                return;
            }
            Reply::Reset(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.set_zero_linger();
                return;
            }
            Reply::Hang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                std::future::pending().await
            }
            Reply::Flood(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let spaces = [b' '; 1 << 16];
                while stream.write_all(&spaces).await.is_ok() {
                    shared.flooded.fetch_add(spaces.len(), Ordering::SeqCst);
                }
                shared.floods_ended.add_permits(1);
                return;
            }
            Reply::Gated(..) => unreachable!(),
        };
        if written.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream, input: &mut Vec<u8>, connection: usize) -> Option<Seen> {
    let end = loop {
        if let Some(at) = input.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(input).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(input[..end].to_vec()).unwrap();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
    while input.len() < end + length {
        if stream.read_buf(input).await.ok()? == 0 {
            return None;
        }
    }
    let rest = input.split_off(end + length);
    let body = std::mem::replace(input, rest).split_off(end);
    let line = head.lines().next().unwrap();
    Some(Seen {
        connection,
        line: line
            .trim_end_matches(" HTTP/1.1")
            .replacen("/api/v1", "", 1),
        authorization: header("authorization"),
        accept_encoding: header("accept-encoding"),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}
