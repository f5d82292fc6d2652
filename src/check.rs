//! The command `check`, for `helm test`: the image has no other HTTP client.

use std::time::Duration;

use cortecs_clock as clock;
use reqwest::{Client, Response, StatusCode, Url, redirect, retry};

use crate::cli::CheckArgs;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause between a failed request and the next one.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// The part of a response body that is printed, in bytes.
const MAX_BODY: usize = 256;

/// Requests the URL until the status is 200, and returns the body.
///
/// # Errors
/// The last response, or the last error, if no status was 200 in time.
pub async fn run(args: &CheckArgs) -> Result<String, String> {
    let timeout = Duration::from_secs(args.timeout_seconds.into());
    // A proxy or a redirect would answer for another server than the URL names.
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .timeout(REQUEST_TIMEOUT.min(timeout))
        .build()
        .map_err(|error| format!("cannot make an HTTP client: {error}"))?;
    let began = clock::moment();
    loop {
        let failure = match request(&client, &args.url).await {
            Ok(body) => return Ok(body),
            Err(failure) => failure,
        };
        if clock::moment().since(began) + RETRY_PAUSE >= timeout {
            return Err(format!(
                "{} has not answered 200 within {} s: {failure}",
                args.url, args.timeout_seconds
            ));
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

async fn request(client: &Client, url: &Url) -> Result<String, String> {
    let response = client.get(url.clone()).send().await.map_err(cause)?;
    let status = response.status();
    let text = text(response).await.map_err(cause)?;
    match status {
        StatusCode::OK => Ok(text),
        status => Err(format!("{status}: {text}")),
    }
}

/// The beginning of a response body as one line.
async fn text(mut response: Response) -> reqwest::Result<String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() >= MAX_BODY {
            body.truncate(MAX_BODY);
            break;
        }
    }
    let line: String = String::from_utf8_lossy(&body)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    Ok(line.trim().to_owned())
}

/// The innermost error: the outer ones only name the URL.
fn cause(error: reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use axum::{Router, routing::get};
    use tokio::net::TcpListener;

    use super::*;
    use crate::serve::health::{Health, HealthServer};

    fn args(url: &str, timeout_seconds: u32) -> CheckArgs {
        CheckArgs {
            url: url.parse().unwrap(),
            timeout_seconds,
        }
    }

    #[tokio::test]
    async fn the_request_is_repeated_until_the_status_is_200() {
        cortecs_api::install_crypto_provider();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let readyz = get(async move || match count.fetch_add(1, Ordering::SeqCst) {
            0 => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            _ => (StatusCode::OK, "standby\n"),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/readyz", listener.local_addr().unwrap());
        let router = Router::new().route("/readyz", readyz);
        let server = tokio::spawn(async { axum::serve(listener, router).await });
        assert_eq!(run(&args(&url, 60)).await, Ok("standby".to_owned()));
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        server.abort();
    }

    #[tokio::test]
    async fn the_error_has_the_reason_why_the_operator_is_not_ready() {
        let health = Health::default();
        health.readiness.not_ready("cannot read the Lease");
        cortecs_api::install_crypto_provider();
        let server = HealthServer::start(([127, 0, 0, 1], 0).into(), health)
            .await
            .unwrap();
        let url = format!("http://{}/readyz", server.address());
        let error = run(&args(&url, 1)).await.unwrap_err();
        assert!(error.contains("503"), "{error}");
        assert!(error.ends_with("cannot read the Lease"), "{error}");
        server.stop().await;
        let error = run(&args(&url, 1)).await.unwrap_err();
        assert!(error.contains("refused"), "{error}");
    }
}
