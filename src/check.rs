//! The command `check`: what `helm test` runs, in an image that has no other HTTP client.

use std::time::Duration;

use cortecs_clock as clock;
use reqwest::{Client, Response, StatusCode, Url, redirect, retry};

use crate::cli::CheckArgs;

/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(5);
/// How long after an answer that is not the right one.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest answer that is shown, in bytes.
const SHOWN: usize = 256;

/// Asks until the answer is 200, and gives it back.
///
/// # Errors
/// When it never was: what it was instead the last time.
pub async fn run(args: &CheckArgs) -> Result<String, String> {
    let patience = Duration::from_secs(args.timeout_seconds.into());
    // What is asked is near, and it alone is meant: no proxy, no redirect.
    let client = Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .timeout(QUESTION.min(patience))
        .build()
        .map_err(|error| format!("cannot ask: {error}"))?;
    let began = clock::moment();
    loop {
        let failure = match ask(&client, &args.url).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        if clock::moment().since(began) + PAUSE >= patience {
            return Err(format!(
                "{} is not well after {} s: {failure}",
                args.url, args.timeout_seconds
            ));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ask(client: &Client, url: &Url) -> Result<String, String> {
    let answer = client.get(url.clone()).send().await.map_err(cause)?;
    let status = answer.status();
    let text = text(answer).await.map_err(cause)?;
    match status {
        StatusCode::OK => Ok(text),
        status => Err(format!("{status}: {text}")),
    }
}

/// The beginning of an answer as one line.
async fn text(mut answer: Response) -> reqwest::Result<String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() >= SHOWN {
            body.truncate(SHOWN);
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
    async fn it_goes_on_asking_until_the_answer_is_200() {
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
    async fn an_operator_that_is_not_ready_fails_with_its_own_reason() {
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
