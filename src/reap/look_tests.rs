//! The look at an API server that cannot be read, in virtual time.

use std::time::Duration;

use axum::{Json, Router, http::StatusCode, response::IntoResponse};
use serde_json::json;

use super::*;

/// What the API server answers to each read; `None`: nothing, ever.
fn looker(answer: Option<(StatusCode, &'static str)>) -> Looker {
    let router = Router::new().fallback(async move || match answer {
        None => std::future::pending().await,
        Some((code, reason)) => {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code.as_u16(),
                "reason": reason, "message": format!("it says {reason}"),
            });
            (code, Json(status)).into_response()
        }
    });
    Looker {
        client: Client::new(router, "system"),
        namespace: "system".to_owned(),
        watched: WatchedNamespaces::default(),
        limit: SignedDuration::from_mins(10),
    }
}

/// Looks for five minutes at most; how long that took, and why it ended.
async fn looked(looker: &Looker, shutdown: &Shutdown) -> (Duration, String) {
    let began = Instant::now();
    let until = Until {
        deadline: began + Duration::from_secs(300),
        shutdown,
    };
    let found = looker.look_until_known(until).await;
    (began.elapsed(), found.expect_err("nothing can be read"))
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_missing_is_told_at_once() {
    let (_trigger, shutdown) = Shutdown::new();
    let looker = looker(Some((StatusCode::FORBIDDEN, "Forbidden")));
    let (took, why) = looked(&looker, &shutdown).await;
    assert!(took < RETRY, "{took:?}");
    let said = "nothing was stopped: cannot read all resources: it says Forbidden";
    assert_eq!(why, said);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_last_failure_is_told() {
    let (_trigger, shutdown) = Shutdown::new();
    let looker = looker(Some((StatusCode::INTERNAL_SERVER_ERROR, "InternalError")));
    let (took, why) = looked(&looker, &shutdown).await;
    assert_eq!(took.as_secs(), 300);
    let said =
        "the resources could not be read in time: cannot read all resources: it says InternalError";
    assert_eq!(why, said);
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_the_look() {
    let (trigger, shutdown) = Shutdown::new();
    let looker = looker(None);
    let signal = async {
        sleep(Duration::from_secs(30)).await;
        trigger.shut_down();
    };
    let ((took, why), ()) = tokio::join!(looked(&looker, &shutdown), signal);
    assert_eq!(took.as_secs(), 30);
    assert!(why.starts_with("ended by a signal before the resources were read: "));
    assert!(why.contains("no answer within"), "{why}");
}
