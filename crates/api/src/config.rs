//! The configuration of a client.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::call::CallObserver;

/// The client credentials of one owner at the API. `Debug` leaves the secret out.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub client_id: String,
    pub client_secret: SecretString,
}

impl Credentials {
    /// Whether id and secret are both the same.
    pub fn same_as(&self, other: &Self) -> bool {
        self.client_id == other.client_id
            && self.client_secret.expose_secret() == other.client_secret.expose_secret()
    }
}

impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.same_as(other)
    }
}

impl Eq for Credentials {}

/// The configuration of a [`Client`](super::Client).
#[derive(Clone)]
pub struct ClientConfig {
    /// Absolute http or https URL without user, query or fragment, e.g. `https://cortecs.ai/api/v1`.
    pub base_url: String,
    pub credentials: Credentials,
    /// Bounds each HTTP request from the connection to the last byte of the answer.
    pub request_timeout: Duration,
    /// Bounds the connection, TLS included. Keep it well below `request_timeout`: only a failed connection proves
    /// that nothing was sent.
    pub connect_timeout: Duration,
    pub user_agent: String,
    /// The URL of the proxy that every request goes through, e.g. `http://user:password@proxy.example:3128`, with http, https or
    /// socks5h. Nothing else decides: the variables of the environment are not read.
    pub proxy: Option<SecretString>,
    pub observer: Option<Arc<dyn CallObserver>>,
}

impl ClientConfig {
    /// A configuration with this package's defaults: 30 s per request, 10 s of them to connect, no proxy, no observer.
    pub fn new(base_url: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            base_url: base_url.into(),
            credentials,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
            proxy: None,
            observer: None,
        }
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URLs are left out: that of a proxy may hold a password, and the API's has not been checked yet.
        f.debug_struct("ClientConfig")
            .field("credentials", &self.credentials)
            .field("request_timeout", &self.request_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("user_agent", &self.user_agent)
            .finish_non_exhaustive()
    }
}

/// Why no client can be made; says what to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    #[error("the API URL {0}: give an absolute URL such as https://cortecs.ai/api/v1")]
    BaseUrl(&'static str),
    #[error("a time-out is zero: set the request and the connect time-out to more than zero")]
    ZeroTimeout,
    #[error("the user agent cannot be sent as a header: use visible ASCII characters only")]
    UserAgent,
    #[error("the proxy has no URL with http, https or socks5h, a host and a port: give it one")]
    Proxy,
    #[error("no TLS provider is installed: install one before the first client is made")]
    NoTlsProvider,
    #[error(
        "TLS cannot be set up ({0}): provide CA certificates where the system keeps them, or name a bundle in SSL_CERT_FILE"
    )]
    Tls(String),
}

/// Checks a base URL and brings it into the form to which paths are appended: no trailing slash.
pub(super) fn base_url(text: &str) -> Result<Url, ConfigError> {
    let mut url = Url::parse(text).map_err(|_| ConfigError::BaseUrl("cannot be parsed"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(ConfigError::BaseUrl("is neither http nor https"));
    }
    if !url.has_host() {
        return Err(ConfigError::BaseUrl("names no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ConfigError::BaseUrl("holds a user or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(ConfigError::BaseUrl("has a query or a fragment"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Host and port of a proxy, which may be shown: the URL may not.
pub(super) fn proxy_place(url: &SecretString) -> Result<String, ConfigError> {
    let url = Url::parse(url.expose_secret()).map_err(|_| ConfigError::Proxy)?;
    let known = ["http", "https", "socks5", "socks5h"].contains(&url.scheme());
    match (known, url.host_str(), url.port_or_known_default()) {
        (true, Some(host), Some(port)) if !host.is_empty() => Ok(format!("{host}:{port}")),
        _ => Err(ConfigError::Proxy),
    }
}

/// Whether the host of `url` is this machine itself.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_normalised() {
        for text in [
            "https://api.example/v1",
            "https://api.example/v1/",
            "https://api.example/v1///",
        ] {
            let url = base_url(text).unwrap();
            assert_eq!(url.as_str(), "https://api.example/v1");
        }
        for text in ["http://localhost:8080", "http://localhost:8080/"] {
            let url = base_url(text).unwrap();
            assert_eq!(url.as_str().trim_end_matches('/'), "http://localhost:8080");
        }
    }

    #[test]
    fn a_wrong_base_url_is_refused_without_being_shown() {
        for text in [
            "",
            "api.example/v1",
            "/api/v1",
            "ftp://api.example",
            "file:///etc/hosts",
            "unix:/run/sock",
            "data:text/plain,hi",
            "https://",
            "https://user@api.example",
            "https://user:hunter2@api.example",
            "https://:hunter2@api.example",
            "https://api.example/v1?key=hunter2",
            "https://api.example/v1#hunter2",
        ] {
            let error = base_url(text).unwrap_err();
            assert!(error.to_string().contains("give an absolute URL"), "{text}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn loopback_hosts_are_known() {
        for (text, expected) in [
            ("http://127.0.0.1:80", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:80", true),
            ("http://localhost", true),
            ("http://localhost.example", false),
            ("http://10.0.0.1", false),
            ("https://cortecs.ai", false),
        ] {
            assert_eq!(is_loopback(&base_url(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn credentials_compare_by_id_and_secret_and_hide_the_secret() {
        let of = |id: &str, secret: &str| Credentials {
            client_id: id.to_owned(),
            client_secret: SecretString::from(secret),
        };
        assert!(of("a", "x").same_as(&of("a", "x")));
        assert!(!of("a", "x").same_as(&of("a", "y")));
        assert!(!of("a", "x").same_as(&of("b", "x")));
        let config = ClientConfig::new("https://u:hunter2@api.example", of("a", "hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
