//! The Kubernetes client: where it is found, and how its calls are bounded.
//!
//! Two bounds work together. [`bounded`] limits every ordinary call, from the first byte to the last, to [`KUBE_CALL_TIMEOUT`].
//! Watches are not bounded so: the server ends each after 290 s, the watcher gives up 5 s later, and below both the
//! connection's own read timeout ends what hangs in between, for instance while the answer's head is awaited.

use std::{fmt, time::Duration};

use kube::{Client, Config};

pub use cortecs_rules::lease::KUBE_CALL_TIMEOUT;

/// Longer than any watch: see above.
const READ_TIMEOUT: Duration = Duration::from_secs(330);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest error message in characters.
const MESSAGE_LIMIT: usize = 256;

/// A client and the namespace that this process lives in.
#[derive(Clone)]
pub struct Connection {
    pub client: Client,
    /// `POD_NAMESPACE`, or else the service account's, or else the kubeconfig context's.
    pub namespace: String,
}

/// Finds the cluster as kubectl does and makes a client of it.
///
/// # Errors
/// A sentence that says why there is none and what to do.
pub async fn connect() -> Result<Connection, String> {
    let mut config = Config::infer().await.map_err(|error| {
        format!(
            "found no Kubernetes cluster: set KUBECONFIG, or run in a pod with a service account ({})",
            cut(&error.to_string())
        )
    })?;
    bound(&mut config);
    let namespace = own_namespace(
        std::env::var("POD_NAMESPACE").ok(),
        &config.default_namespace,
    );
    let client = Client::try_from(config).map_err(|error| {
        format!(
            "cannot use the cluster's configuration, check the kubeconfig ({})",
            cut(&error.to_string())
        )
    })?;
    Ok(Connection { client, namespace })
}

/// Sets the bounds that hold for every connection, and leaves repeating to the callers, who know what may be repeated.
pub fn bound(config: &mut Config) {
    config.connect_timeout = Some(KUBE_CALL_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    config.write_timeout = Some(WRITE_TIMEOUT);
    config.reset_reader_on_write = true;
    config.default_retry = false;
}

fn own_namespace(pod_namespace: Option<String>, default: &str) -> String {
    pod_namespace
        .map(|namespace| namespace.trim().to_owned())
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or_else(|| default.to_owned())
}

/// Awaits a Kubernetes call, at most [`KUBE_CALL_TIMEOUT`] long. `what` says in a few words what is tried: "read the Lease".
///
/// # Errors
/// Its class and a short message. After a timeout or an unclassified error a write may have happened or not.
pub async fn bounded<T>(
    what: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, KubeError> {
    match tokio::time::timeout(KUBE_CALL_TIMEOUT, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(KubeError::new(what, &error)),
        Err(_) => Err(KubeError {
            what,
            kind: KubeErrorKind::Timeout,
            message: format!("no answer within {} s", KUBE_CALL_TIMEOUT.as_secs()),
        }),
    }
}

/// Why a Kubernetes call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeError {
    what: &'static str,
    kind: KubeErrorKind,
    message: String,
}

/// What a caller can make of a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KubeErrorKind {
    /// The resourceVersion is no longer current: nothing was written; look again.
    Conflict,
    /// Something of this name exists: nothing was created.
    AlreadyExists,
    /// Kubernetes itself says that there is no such object. (A kind that is not installed, or a proxy, answers 404 as well: that is [`Self::Other`].)
    NotFound,
    /// Not logged in, or not permitted.
    Forbidden,
    /// The object was refused by the schema or a rule: repeating does not help.
    Invalid,
    /// No answer in time: a write may have happened.
    Timeout,
    /// Everything else: a write may have happened.
    Other,
}

impl KubeError {
    /// The class of `error`, met while `what` was tried.
    pub fn new(what: &'static str, error: &kube::Error) -> Self {
        let (kind, message) = match error {
            kube::Error::Api(status) => {
                let message = match status.message.as_str() {
                    "" => format!("{} {}", status.code, status.reason),
                    message => message.to_owned(),
                };
                (KubeErrorKind::of(status), message)
            }
            other => (KubeErrorKind::Other, with_causes(other)),
        };
        Self {
            what,
            kind,
            message: cut(&message),
        }
    }

    pub fn kind(&self) -> KubeErrorKind {
        self.kind
    }

    pub fn is_conflict(&self) -> bool {
        self.kind == KubeErrorKind::Conflict
    }

    pub fn is_not_found(&self) -> bool {
        self.kind == KubeErrorKind::NotFound
    }

    pub fn is_forbidden(&self) -> bool {
        self.kind == KubeErrorKind::Forbidden
    }

    /// Whether a write that failed so may have happened all the same.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self.kind, KubeErrorKind::Timeout | KubeErrorKind::Other)
    }
}

impl KubeErrorKind {
    fn of(status: &kube::core::Status) -> Self {
        match status {
            status if status.is_already_exists() => Self::AlreadyExists,
            status if status.is_conflict() => Self::Conflict,
            status if status.is_not_found() => Self::NotFound,
            status if status.is_forbidden() || status.code == 401 => Self::Forbidden,
            status if status.is_invalid() => Self::Invalid,
            status if status.code == 504 => Self::Timeout,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for KubeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: {}", self.what, self.message)
    }
}

impl std::error::Error for KubeError {}

/// The message followed by those of its causes that say something new.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// One line of at most [`MESSAGE_LIMIT`] characters.
fn cut(message: &str) -> String {
    let line = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    match message.char_indices().nth(MESSAGE_LIMIT) {
        None => line.collect(),
        Some(_) => line.take(MESSAGE_LIMIT - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn api(code: u16, reason: &str, message: &str) -> KubeError {
        let status = Status::failure(message, reason).with_code(code);
        KubeError::new("read the Lease", &kube::Error::Api(status.boxed()))
    }

    #[test]
    fn api_errors_are_classified() {
        use KubeErrorKind::*;
        for (code, reason, kind) in [
            (409, "Conflict", Conflict),
            (409, "AlreadyExists", AlreadyExists),
            // A proxy's word is no proof of anything.
            (409, "Failed to parse error data", Other),
            (404, "Failed to parse error data", Other),
            (404, "NotFound", NotFound),
            (403, "Forbidden", Forbidden),
            (401, "Unauthorized", Forbidden),
            (422, "Invalid", Invalid),
            (504, "Timeout", Timeout),
            (500, "InternalError", Other),
            (429, "TooManyRequests", Other),
        ] {
            assert_eq!(api(code, reason, "m").kind(), kind, "{code} {reason}");
        }
        assert!(api(504, "Timeout", "").outcome_unknown() && api(500, "", "").outcome_unknown());
        assert!(
            !api(409, "Conflict", "").outcome_unknown()
                && !api(403, "Forbidden", "").outcome_unknown()
        );
    }

    #[test]
    fn messages_name_the_attempt_and_stay_one_short_line() {
        let error = api(403, "Forbidden", "leases is\nforbidden");
        assert_eq!(
            error.to_string(),
            "cannot read the Lease: leases is forbidden"
        );
        let error = api(500, "InternalError", &"ä".repeat(1000));
        assert_eq!(error.message.chars().count(), 256);
        assert!(error.message.ends_with('…'));
        assert_eq!(api(500, "InternalError", "").message, "500 InternalError");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_answer_ends_in_time() {
        let start = tokio::time::Instant::now();
        let error = bounded("read the Lease", std::future::pending::<Result<(), _>>())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), KubeErrorKind::Timeout);
        assert!(error.outcome_unknown());
        assert_eq!(start.elapsed().as_secs(), KUBE_CALL_TIMEOUT.as_secs());
    }

    #[tokio::test]
    async fn a_server_in_trouble_is_asked_once() {
        use std::sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        };

        use k8s_openapi::api::coordination::v1::Lease;

        cortecs_api::install_crypto_provider();
        let asked = Arc::new(AtomicUsize::new(0));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback({
            let asked = Arc::clone(&asked);
            async move || {
                asked.fetch_add(1, Ordering::SeqCst);
                axum::http::StatusCode::SERVICE_UNAVAILABLE
            }
        });
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let mut config = Config::new(url.parse().unwrap());
        bound(&mut config);
        let leases: kube::Api<Lease> =
            kube::Api::namespaced(Client::try_from(config).unwrap(), "system");
        let error = bounded("read the Lease", leases.get("cortecs-operator"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), KubeErrorKind::Other);
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        server.abort();
    }

    #[test]
    fn the_pods_namespace_comes_first() {
        assert_eq!(own_namespace(Some("pods".to_owned()), "default"), "pods");
        assert_eq!(own_namespace(Some(" ".to_owned()), "default"), "default");
        assert_eq!(own_namespace(None, "default"), "default");
    }
}
