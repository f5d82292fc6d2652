//! The Kubernetes client, and the timeouts of its calls.
//!
//! [`bounded`] limits every call except watches to [`KUBE_CALL_TIMEOUT`]. The server ends each watch after 290 s, and the
//! watcher gives up 5 s later. The read timeout of the connection ends a watch that hangs before the watcher has the head of
//! the response.

use std::{fmt, time::Duration};

use cortecs_rules::proxy::Proxies;
use kube::{Client, Config};

use super::{
    config,
    proxy::client_through,
    text::{cut, with_causes},
};

pub use cortecs_rules::lease::KUBE_CALL_TIMEOUT;

/// Longer than any watch (see above).
const READ_TIMEOUT: Duration = Duration::from_secs(330);
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// A client, and the namespace of this process.
#[derive(Clone)]
pub struct Connection {
    pub client: Client,
    /// `POD_NAMESPACE`, or else the service account's, or else the kubeconfig context's.
    pub namespace: String,
}

/// Makes a client for the cluster that the kubeconfig or the pod's service account names.
///
/// # Errors
/// A sentence that says why there is no client and what to do.
pub async fn connect(proxies: &Proxies) -> Result<Connection, String> {
    let (mut config, proxy) = config::find(proxies).await?;
    set_timeouts(&mut config);
    let namespace = own_namespace(
        std::env::var("POD_NAMESPACE").ok(),
        &config.default_namespace,
    );
    let client = match proxy {
        Some(proxy) => {
            tracing::info!("the API server is reached through {proxy}");
            client_through(config, proxy)?
        }
        None => Client::try_from(config).map_err(|error| {
            format!(
                "cannot use the cluster's configuration, check the kubeconfig ({})",
                cut(&error.to_string())
            )
        })?,
    };
    Ok(Connection { client, namespace })
}

/// Sets the timeouts of every connection. The client repeats no call: only its callers know which calls may be repeated.
pub fn set_timeouts(config: &mut Config) {
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

/// Awaits a Kubernetes call for at most [`KUBE_CALL_TIMEOUT`]. `what` names the call in errors: "read the Lease".
///
/// # Errors
/// The class of the failure and a short message. After a timeout or an unclassified error the outcome of a write is unknown.
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
            is_write: false,
        }),
    }
}

/// The same for a write, which Kubernetes may refuse: see [`KubeError::is_refused`].
///
/// # Errors
/// As [`bounded`].
pub async fn bounded_write<T>(
    what: &'static str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, KubeError> {
    bounded(what, call).await.map_err(|error| KubeError {
        is_write: true,
        ..error
    })
}

/// Why a Kubernetes call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeError {
    what: &'static str,
    kind: KubeErrorKind,
    message: String,
    is_write: bool,
}

/// The class of a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KubeErrorKind {
    /// The resourceVersion is no longer current: nothing was written. Read the object again.
    Conflict,
    /// An object of this name exists: nothing was created.
    AlreadyExists,
    /// Kubernetes itself says that there is no such object. A 404 of a proxy, or of a kind that is not installed, is [`Self::Other`].
    NotFound,
    /// The credentials were refused, or lack a permission.
    Forbidden,
    /// The schema or an admission rule refused the object: the same call fails again.
    Invalid,
    /// The write succeeded, and the object that it returned lacks what was written.
    NoEffect,
    /// No response in time: a write may have happened.
    Timeout,
    /// Any other failure: a write may have happened.
    Other,
}

impl KubeError {
    /// Classifies `error` of the call `what`.
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
            is_write: false,
        }
    }

    /// The write `what` succeeded, and the object that it returned lacks `field`.
    pub fn no_effect(what: &'static str, field: &str) -> Self {
        let message = format!(
            "the API server took it, and {field} is not as it was written: look for a webhook that changes it, or \
             for definitions that are older than the operator"
        );
        Self {
            what,
            kind: KubeErrorKind::NoEffect,
            message: cut(&message),
            is_write: true,
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

    /// Whether Kubernetes refused a write, so that the same write fails again until a person changes something.
    pub fn is_refused(&self) -> bool {
        use KubeErrorKind::{Forbidden, Invalid, NoEffect};
        let says_so = REFUSALS.iter().any(|words| self.message.contains(words));
        self.is_write && (says_so || matches!(self.kind, Forbidden | Invalid | NoEffect))
    }

    /// Whether a write may have happened although the call failed.
    pub fn outcome_unknown(&self) -> bool {
        matches!(self.kind, KubeErrorKind::Timeout | KubeErrorKind::Other)
    }
}

/// What the API server says where it cannot ask a webhook that has to permit the write, and where the store does not take an object of
/// that size. The codes are those of other failures, too.
const REFUSALS: [&str; 3] = [
    "failed calling webhook",
    "request is too large",
    "Request entity too large",
];

impl KubeErrorKind {
    fn of(status: &kube::core::Status) -> Self {
        match status {
            // A webhook chooses the code of its refusal, also one with another meaning.
            status if is_denied(&status.message) => Self::Invalid,
            status if status.is_already_exists() => Self::AlreadyExists,
            status if status.is_conflict() => Self::Conflict,
            status if status.is_not_found() => Self::NotFound,
            status if status.is_forbidden() || status.code == 401 => Self::Forbidden,
            status if status.is_invalid() || status.reason == "BadRequest" => Self::Invalid,
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

/// Whether the message is that of an admission webhook that denied the request.
fn is_denied(message: &str) -> bool {
    message.starts_with("admission webhook ") && message.contains(" denied the request")
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
            // Such an answer may come from a proxy.
            (409, "Failed to parse error data", Other),
            (404, "Failed to parse error data", Other),
            (404, "NotFound", NotFound),
            (403, "Forbidden", Forbidden),
            (401, "Unauthorized", Forbidden),
            (422, "Invalid", Invalid),
            (400, "BadRequest", Invalid),
            (400, "Failed to parse error data", Other),
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
    fn a_webhook_that_denies_is_a_refusal_whatever_its_code() {
        let said = "admission webhook \"policy.example\" denied the request: no";
        let of = |code, reason| {
            let status = Status::failure(said, reason).with_code(code);
            KubeError::new("write the status", &kube::Error::Api(status.boxed()))
        };
        for (code, reason) in [
            (400, ""),
            (404, "NotFound"),
            (409, "Conflict"),
            (500, "InternalError"),
        ] {
            let error = of(code, reason);
            assert_eq!(error.kind(), KubeErrorKind::Invalid, "{code}");
            assert!(!error.is_refused(), "a read is not refused for good");
            let write = KubeError {
                is_write: true,
                ..error
            };
            assert!(write.is_refused() && !write.outcome_unknown());
        }
    }

    #[test]
    fn a_write_that_a_webhook_had_to_permit_is_refused_while_the_webhook_is_down() {
        for (code, reason, said) in [
            (
                500,
                "InternalError",
                "Internal error occurred: failed calling webhook \"p.example\": no route",
            ),
            (500, "InternalError", "etcdserver: request is too large"),
            (
                413,
                "RequestEntityTooLarge",
                "Request entity too large: limit is 3145728",
            ),
        ] {
            let error = KubeError {
                is_write: true,
                ..api(code, reason, said)
            };
            assert!(error.is_refused(), "{said}");
        }
        let other = KubeError {
            is_write: true,
            ..api(500, "InternalError", "no")
        };
        assert!(!other.is_refused());
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
    async fn a_failed_call_is_not_repeated() {
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
        set_timeouts(&mut config);
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
