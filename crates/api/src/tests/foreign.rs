//! Answers of what stands in front of the API: a proxy, a load balancer, a firewall.

use super::{
    args,
    server::{Reply, Server, TOKEN, ok, token},
};
use crate::{Error, RetryClass};

/// Bodies of others: the API answers in JSON.
const FOREIGN: [&str; 5] = [
    "<html><head><title>403 Forbidden</title></head></html>",
    "\r\n  <!DOCTYPE html>\n<body>Attention required</body>",
    "RBAC: access denied",
    "error code: 1020",
    "{\"message\": \"cut off",
];
/// Bodies that are the API's, or may be.
const OWN: [&str; 4] = [
    r#"{"message":"no"}"#,
    r#"{"error":"invalid_client"}"#,
    "\"no\"",
    "",
];

fn says_so(error: &Error) {
    let shown = format!("{error}");
    assert!(
        error.is_foreign() && shown.contains("something in front of the API"),
        "{shown}"
    );
    for quoted in ["<", "title", "RBAC", "1020", "cut off"] {
        assert!(!shown.contains(quoted), "{shown}");
    }
}

#[tokio::test]
async fn a_token_that_a_proxy_refuses_says_nothing_of_the_credentials() {
    for status in [400, 401, 403, 404, 407] {
        for body in FOREIGN {
            let server = Server::start(move |_, _| Reply::Json(status, body.to_owned())).await;
            let client = server.client();
            for error in [
                client.verify_credentials().await.unwrap_err(),
                client.list_instances().await.unwrap_err(),
                client.start_instance(&args()).await.unwrap_err(),
            ] {
                assert_eq!(error.class(), RetryClass::Transient, "{status} {body}");
                assert_eq!(error.status(), Some(status));
                says_so(&error);
            }
        }
    }
    for status in [400, 401, 403] {
        for body in OWN {
            let server = Server::start(move |_, _| Reply::Json(status, body.to_owned())).await;
            let error = server.client().verify_credentials().await.unwrap_err();
            assert_eq!(error.class(), RetryClass::Auth, "{status} {body}");
            assert!(!error.is_foreign());
        }
    }
}

#[tokio::test]
async fn no_other_call_takes_a_proxys_refusal_for_the_apis() {
    for status in [400, 401, 403, 404, 407, 422] {
        for body in FOREIGN {
            let server =
                Server::with_tokens(move |_, _| Reply::Json(status, body.to_owned())).await;
            let client = server.client();
            for error in [
                client.list_instances().await.unwrap_err(),
                client.get_instance("i-1").await.unwrap_err(),
                client.stop_instance("i-1").await.unwrap_err(),
                client.delete_instance("i-1").await.unwrap_err(),
                client.balance().await.unwrap_err(),
                client.get_model("m").await.unwrap_err(),
            ] {
                assert_eq!(
                    error.class(),
                    RetryClass::Transient,
                    "{status} {body} {error}"
                );
                says_so(&error);
            }
        }
    }
}

/// Whoever refuses a start, nothing was started. What a proxy refuses as forbidden it will refuse again.
#[tokio::test]
async fn a_start_that_a_proxy_refuses_is_refused() {
    for (status, class, refused) in [
        (400, RetryClass::Terminal, true),
        (401, RetryClass::Transient, true),
        (403, RetryClass::Terminal, true),
        (404, RetryClass::Terminal, true),
        (422, RetryClass::Terminal, true),
        (429, RetryClass::Transient, true),
        (407, RetryClass::Ambiguous, false),
        (409, RetryClass::Ambiguous, false),
    ] {
        let server =
            Server::with_tokens(move |_, _| Reply::Json(status, FOREIGN[0].to_owned())).await;
        let client = server.client();
        for error in [
            client.start_instance(&args()).await.unwrap_err(),
            client.restart_instance("i-1").await.unwrap_err(),
        ] {
            assert_eq!(
                (error.class(), error.refused()),
                (class, refused),
                "{status}"
            );
            says_so(&error);
        }
    }
}

/// It may be a gateway that looks at the tokens.
#[tokio::test]
async fn a_401_of_a_proxy_costs_one_token_and_one_repetition() {
    let server = Server::start(|seen, before| match (seen.line.as_str(), before) {
        (TOKEN, n) => token(n + 1, 3600),
        (_, 0) => Reply::Json(401, "Jwt is expired".to_owned()),
        _ => ok(r#"{"instances":[]}"#),
    })
    .await;
    server.client().list_instances().await.unwrap();
    assert_eq!(
        (server.count(TOKEN), server.count("GET /instances/")),
        (2, 2)
    );
}

#[tokio::test]
async fn the_words_of_an_oauth_error_are_shown() {
    let refusal =
        r#"{"error":"invalid_client","error_description":"client authentication failed"}"#;
    let server = Server::start(move |_, _| Reply::Json(401, refusal.to_owned())).await;
    let error = server.client().verify_credentials().await.unwrap_err();
    assert_eq!(error.api_message(), Some("client authentication failed"));
    assert!(
        error
            .to_string()
            .ends_with("HTTP 401: client authentication failed"),
        "{error}"
    );
}
