//! Successes other than the usual one, and successes without a usable body.

use super::{
    answer, args, instance,
    server::{Reply, Server, TOKEN, ok},
};
use crate::{Call, Client, Error, RetryClass};

/// A server that gives every call but the token call the same reply.
async fn always(status: u16, body: impl Into<String>) -> (Server, Client) {
    let body = body.into();
    let server = Server::with_tokens(move |_, _| Reply::Json(status, body.clone())).await;
    let client = server.client();
    (server, client)
}

/// The error of each stop and delete.
async fn removals(client: &Client) -> Vec<Error> {
    vec![
        client.stop_instance("i-1").await.unwrap_err(),
        client.delete_instance("i-1").await.unwrap_err(),
        client.stop_all().await.unwrap_err(),
        client.delete_all(true).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn a_success_of_a_stop_or_a_delete_that_says_nothing_is_accepted_and_no_failure() {
    for (status, body) in [
        (202, r#"{"message":"Instance stopped successfully."}"#),
        (204, ""),
        (200, ""),
        (200, " \r\n"),
        (200, "{}"),
        (200, "null"),
        (200, "OK"),
        (201, r#"{"message":"ok","instance":null,"instance_ids":7}"#),
        (207, r#"{"instance": {"instance_id"#),
    ] {
        let (server, client) = always(status, body).await;
        for error in removals(&client).await {
            assert!(error.is_accepted(), "{status} {body}: {error}");
            assert_eq!(
                (error.class(), error.refused()),
                (RetryClass::Transient, false)
            );
            assert_eq!(error.status(), Some(status));
            let shown = error.to_string();
            assert!(
                shown.contains("took the call")
                    && !shown.contains("failed")
                    && !shown.contains("success"),
                "{shown}"
            );
        }
        // The token and four calls, each made once.
        assert_eq!(server.seen().len(), 5, "{status} {body}");
    }
}

#[tokio::test]
async fn a_stop_counts_with_any_success_that_has_the_instance() {
    for status in [200, 201, 202, 207] {
        let (_server, client) = always(status, answer("i-1")).await;
        assert_eq!(
            client.stop_instance("i-1").await.unwrap().instance_id,
            "i-1"
        );
        let (_server, client) = always(status, r#"{"instance_ids":["i-1"]}"#).await;
        assert_eq!(client.stop_all().await.unwrap(), ["i-1"]);
    }
}

#[tokio::test]
async fn only_a_200_proves_that_something_is_deleted() {
    let named = r#"{"message":"Deletion has begun.","instance_id":"i-1","instance_ids":["i-1"]}"#;
    for status in [201, 202, 203, 206] {
        let (_server, client) = always(status, named).await;
        for error in [
            client.delete_instance("i-1").await.unwrap_err(),
            client.delete_all(false).await.unwrap_err(),
        ] {
            assert!(error.is_accepted(), "{status}: {error}");
            assert!(error.to_string().contains("HTTP 200"), "{error}");
        }
    }
    let (_server, client) = always(200, named).await;
    client.delete_instance("i-1").await.unwrap();
}

#[tokio::test]
async fn what_the_api_has_not_said_is_not_accepted() {
    let page = "\n<html><body>Checking your browser</body></html>";
    let other = format!(r#"{{"instance":{},"instance_id":"i-2"}}"#, instance("i-2"));
    for (status, body) in [(200, page), (202, page), (200, &other), (202, &other)] {
        let (_server, client) = always(status, body).await;
        for error in [
            client.stop_instance("i-1").await.unwrap_err(),
            client.delete_instance("i-1").await.unwrap_err(),
        ] {
            assert!(!error.is_accepted(), "{status} {body}: {error}");
            assert_eq!(error.class(), RetryClass::Transient);
            assert!(error.to_string().contains("failed"), "{error}");
        }
    }
    for status in [100, 301, 400, 404, 500] {
        assert!(
            !Error::answered(Call::StopInstance, status).is_accepted(),
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_start_stays_open_whatever_success_it_is_answered_with() {
    for (status, body) in [
        (204, ""),
        (200, ""),
        (202, "{}"),
        (202, r#"{"message":"ok"}"#),
    ] {
        let (server, client) = always(status, body).await;
        for error in [
            client.start_instance(&args()).await.unwrap_err(),
            client.restart_instance("i-1").await.unwrap_err(),
        ] {
            assert_eq!(
                (error.class(), error.refused()),
                (RetryClass::Ambiguous, false)
            );
            assert!(!error.is_accepted(), "{error}");
        }
        assert_eq!(server.seen().len(), 3);
    }
}

#[tokio::test]
async fn a_list_or_an_instance_counts_with_200_only_and_the_error_says_so() {
    let list = format!(
        r#"{{"instances":[{}],"instance":{}}}"#,
        instance("i-1"),
        instance("i-1")
    );
    for (status, body, says) in [
        (
            203,
            list.as_str(),
            "HTTP 203, but the answer is not usable: it does not come with HTTP 200",
        ),
        (
            206,
            &list,
            "HTTP 206, but the answer is not usable: it does not come with HTTP 200",
        ),
        (
            202,
            "",
            "HTTP 202, but the answer is not usable: it is empty",
        ),
        (
            204,
            "",
            "HTTP 204, but the answer is not usable: it is empty",
        ),
        (
            200,
            "",
            "HTTP 200, but the answer is not usable: it is empty",
        ),
        (
            200,
            " <html>",
            "HTTP 200, but the answer is not usable: it is a page, as a proxy sends it",
        ),
    ] {
        let (_server, client) = always(status, body).await;
        for error in [
            client.list_instances().await.unwrap_err(),
            client.get_instance("i-1").await.unwrap_err(),
        ] {
            assert_eq!(error.class(), RetryClass::Transient, "{status}");
            assert!(error.to_string().ends_with(says), "{error}");
        }
    }
}

#[tokio::test]
async fn a_token_counts_with_any_success() {
    for status in [200, 201, 203] {
        let server = Server::start(move |seen, _| match seen.line.as_str() {
            TOKEN => Reply::Json(status, r#"{"access_token":"t","expires_in":"3600"}"#.into()),
            _ => ok(r#"{"instances":[]}"#),
        })
        .await;
        let client = server.client();
        client.list_instances().await.unwrap();
        client.list_instances().await.unwrap();
        assert_eq!(server.count(TOKEN), 1, "{status}");
    }
}
