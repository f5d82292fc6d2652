//! One bounded HTTP exchange: send, read, parse. Nothing is followed and nothing is repeated here.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use reqwest::{
    Method, Response, Url,
    header::{ACCEPT, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER},
    redirect, retry,
};
use secrecy::{ExposeSecret, SecretString};

use crate::{
    call::{Call, CallObserver, CallOutcome},
    config::{ClientConfig, ConfigError, base_url, is_loopback, proxy_place},
    error::Cause,
    outcome::{self, Flaw},
    text,
};

const MIB: usize = 1 << 20;
/// The largest body that is read, in bytes: of the instance list (some 25,000 instances; parsed, it takes up to five times
/// as much memory), of other answers, of errors.
pub(super) const MAX_LIST: usize = 16 * MIB;
pub(super) const MAX_ANSWER: usize = MIB;
pub(super) const MAX_ERROR: usize = 64 * 1024;
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
const POOL_IDLE: Duration = Duration::from_secs(30);
const POOL_SIZE: usize = 8;

/// One request. The path starts with a slash and is encoded already.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) call: Call,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Vec<u8>>,
}

/// Sends requests to one API.
pub(super) struct Transport {
    /// For calls that may safely meet a connection that the other side has just closed.
    pooled: reqwest::Client,
    /// For starts and restarts: each on a connection of its own, since a request lost on an idle connection would
    /// either be repeated by the HTTP library or have an unknown outcome.
    single: reqwest::Client,
    base_url: Url,
    /// Host and port of the proxy, for errors.
    proxy: Option<String>,
    observer: Option<Arc<dyn CallObserver>>,
}

impl Transport {
    pub(super) fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        let base_url = base_url(&config.base_url)?;
        if config.request_timeout.is_zero() || config.connect_timeout.is_zero() {
            return Err(ConfigError::ZeroTimeout);
        }
        let user_agent =
            HeaderValue::from_str(&config.user_agent).map_err(|_| ConfigError::UserAgent)?;
        // The HTTP library would panic.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(ConfigError::NoTlsProvider);
        }
        let proxy = config.proxy.as_ref().map(proxy_place).transpose()?;
        let build = |pool_size| {
            let mut builder = reqwest::Client::builder()
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .referer(false)
                .http1_only()
                .timeout(config.request_timeout)
                .connect_timeout(config.connect_timeout)
                .pool_idle_timeout(POOL_IDLE)
                .pool_max_idle_per_host(pool_size)
                .user_agent(user_agent.clone())
                .no_proxy();
            if let Some(url) = &config.proxy {
                let proxy = reqwest::Proxy::all(url.expose_secret());
                builder = builder.proxy(proxy.map_err(|_| ConfigError::Proxy)?);
            } else if is_loopback(&base_url) && base_url.scheme() == "http" {
                // No request can need a certificate, so a machine without any is no obstacle.
                builder = builder.tls_certs_only([]);
            }
            builder
                .build()
                .map_err(|error| ConfigError::Tls(text::root_cause(&error.without_url(), &[])))
        };
        Ok(Self {
            pooled: build(POOL_SIZE)?,
            single: build(0)?,
            base_url,
            proxy,
            observer: config.observer.clone(),
        })
    }

    /// Sends `request` once. `parse` gets the body of a successful answer. `secrets` (and the token) are kept out of errors.
    pub(super) async fn exchange<T, E: Into<Flaw>>(
        &self,
        request: Request,
        token: Option<&SecretString>,
        secrets: &[SecretString],
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<T, Cause> {
        let mut watch = Watch::new(request.call, self.observer.clone());
        let secrets: Vec<&str> = secrets
            .iter()
            .chain(token)
            .map(|secret| secret.expose_secret())
            .collect();
        let result = self.send_and_parse(request, token, &secrets, parse).await;
        watch.outcome = match &result {
            Ok((status, _)) => CallOutcome::Status(*status),
            Err(cause) => cause.outcome(),
        };
        result.map(|(_, value)| value)
    }

    async fn send_and_parse<T, E: Into<Flaw>>(
        &self,
        request: Request,
        token: Option<&SecretString>,
        secrets: &[&str],
        parse: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<(u16, T), Cause> {
        let call = request.call;
        let response = self.send(request, token, secrets).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(refusal(response, secrets).await);
        }
        let status = status.as_u16();
        let limit = match call {
            Call::ListInstances => MAX_LIST,
            _ => MAX_ANSWER,
        };
        let body = match read(response, limit).await {
            Ok(Some(body)) => body,
            Ok(None) => return Err(Cause::TooLarge { status, limit }),
            Err(error) if error.is_timeout() => return Err(Cause::Timeout),
            Err(error) => {
                let root = text::root_cause(&error.without_url(), secrets);
                return Err(Cause::Network(root));
            }
        };
        let value = outcome::of_success(call, status, &body, parse)?;
        Ok((status, value))
    }

    async fn send(
        &self,
        request: Request,
        token: Option<&SecretString>,
        secrets: &[&str],
    ) -> Result<Response, Cause> {
        let client = if request.call.starts_billing() {
            &self.single
        } else {
            &self.pooled
        };
        let base = self.base_url.as_str().trim_end_matches('/');
        let mut builder = client
            .request(request.method, format!("{base}{}", request.path))
            .header(ACCEPT, "application/json");
        if let Some(token) = token {
            builder = builder.bearer_auth(token.expose_secret());
        }
        if let Some(body) = request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body);
        }
        builder.send().await.map_err(|error| {
            if error.is_builder() {
                return Cause::Invalid("the request cannot be built from its arguments");
            }
            let (connect, timeout) = (error.is_connect(), error.is_timeout());
            let root = text::root_cause(&error.without_url(), secrets);
            match (connect, timeout) {
                (true, _) => Cause::Connect(match &self.proxy {
                    Some(proxy) => format!("{root}, through the proxy {proxy}"),
                    None => root,
                }),
                (false, true) => Cause::Timeout,
                (false, false) => Cause::Network(root),
            }
        })
    }
}

/// The failure of a call that was answered with anything but a success.
async fn refusal(response: Response, secrets: &[&str]) -> Cause {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), Timestamp::now());
    let location = response.headers().get(LOCATION);
    let location = location.and_then(|location| location.to_str().ok().map(str::to_owned));
    let body = read(response, MAX_ERROR).await.ok().flatten();
    let location = location.as_deref();
    outcome::of_refusal(status, body.as_deref(), retry_after, location, secrets)
}

/// The whole body, or nothing if it is longer than `limit` bytes. Only what arrives counts, not what the headers claim.
async fn read(mut response: Response, limit: usize) -> reqwest::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if chunk.len() > limit - body.len() {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// The wait that `Retry-After` asks for, given in seconds or as a date; at most an hour.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time.
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let until = http_date(text)?;
        // The sender's own clock, if it tells: the two may differ.
        let date = headers.get(DATE).and_then(|date| date.to_str().ok());
        let from = date.and_then(http_date).unwrap_or(now);
        Duration::try_from(until.duration_since(from)).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// The three forms of a date in HTTP.
fn http_date(text: &str) -> Option<Timestamp> {
    let date = [
        "%a, %d %b %Y %H:%M:%S GMT",
        "%A, %d-%b-%y %H:%M:%S GMT",
        "%a %b %e %H:%M:%S %Y",
    ]
    .iter()
    .find_map(|format| DateTime::strptime(format, text).ok())?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Tells the observer how the exchange ended, also when the caller drops it.
struct Watch {
    call: Call,
    observer: Option<Arc<dyn CallObserver>>,
    since: Instant,
    outcome: CallOutcome,
}

impl Watch {
    fn new(call: Call, observer: Option<Arc<dyn CallObserver>>) -> Self {
        Self {
            call,
            observer,
            since: Instant::now(),
            outcome: CallOutcome::Error("cancelled"),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(observer) = &self.observer {
            observer.on_call(self.call, self.outcome, self.since.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_each_form_and_bounded() {
        let now: Timestamp = "2024-06-03T10:00:00Z".parse().unwrap();
        let wait = |after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, after.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("0", None), Some(0));
        assert_eq!(wait("17", None), Some(17));
        assert_eq!(wait("3601", None), Some(3600));
        assert_eq!(wait("99999999999999999999999", None), Some(3600));
        assert_eq!(wait("Mon, 03 Jun 2024 10:00:42 GMT", None), Some(42));
        assert_eq!(wait("Monday, 03-Jun-24 10:00:42 GMT", None), Some(42));
        assert_eq!(wait("Mon Jun  3 10:00:42 2024", None), Some(42));
        assert_eq!(wait("Mon, 03 Jun 2024 09:00:00 GMT", None), Some(0));
        assert_eq!(wait("Tue, 03 Jun 2025 09:00:00 GMT", None), Some(3600));
        let skewed = Some("Mon, 03 Jun 2024 12:00:00 GMT");
        assert_eq!(wait("Mon, 03 Jun 2024 12:00:09 GMT", skewed), Some(9));
        for nonsense in ["", "soon", "-5", "1.5", "Mon, 99 Jun 2024 10:00:42 GMT"] {
            assert_eq!(wait(nonsense, None), None, "{nonsense}");
        }
    }
}
