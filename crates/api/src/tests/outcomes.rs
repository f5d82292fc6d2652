//! The class of each outcome of a call, above all of those that do not say whether an instance was started.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use tokio::{io::AsyncWriteExt, net::TcpListener};

use super::{
    answer, args, instance,
    server::{Reply, Server, TOKEN, config, ok, whole},
};
use crate::{Call, Client, Error, RetryClass};

const START: &str = "POST /instances/start";
const RESTART: &str = "POST /instances/restart";
const LIST: &str = "GET /instances/";
const STOP: &str = "POST /instances/stop";

/// The class of the error, and whether it proves that the call had no effect.
fn verdict(error: &Error) -> (RetryClass, bool) {
    (error.class(), error.refused())
}

const AMBIGUOUS: (RetryClass, bool) = (RetryClass::Ambiguous, false);
const TRANSIENT: (RetryClass, bool) = (RetryClass::Transient, false);

async fn start(client: &Client) -> Error {
    client.start_instance(&args()).await.unwrap_err()
}

async fn restart(client: &Client) -> Error {
    client.restart_instance("i-1").await.unwrap_err()
}

async fn list(client: &Client) -> Error {
    client.list_instances().await.unwrap_err()
}

async fn stop(client: &Client) -> Error {
    client.stop_instance("i-1").await.unwrap_err()
}

/// A server that gives every call but the token call the same reply.
async fn always(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    Server::with_tokens(move |_, _| reply()).await
}

#[tokio::test]
async fn each_status_has_its_class_and_no_redirect_is_followed() {
    let current = Arc::new(AtomicU16::new(0));
    let server = {
        let current = Arc::clone(&current);
        always(move || {
            let status = current.load(Ordering::SeqCst);
            let body = match status {
                204 | 304 => "",
                _ => r#"{"message":"why"}"#,
            };
            let headers = "Location: /api/v1/elsewhere\r\nRetry-After: 3\r\n";
            Reply::With(status, headers, body.to_owned())
        })
        .await
    };
    let client = server.client();
    let statuses: Vec<u16> = (200..=599).filter(|status| *status != 401).collect();
    for status in statuses.iter().copied() {
        current.store(status, Ordering::SeqCst);
        let expected = match status {
            400 | 403 | 404 | 422 => (RetryClass::Terminal, true),
            429 => (RetryClass::Transient, true),
            _ => AMBIGUOUS,
        };
        for error in [start(&client).await, restart(&client).await] {
            assert_eq!(verdict(&error), expected, "{status}");
            assert_eq!(error.status(), Some(status));
            if expected.1 {
                assert_eq!(error.api_message(), Some("why"), "{status}");
                assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));
            }
        }
        let expected = match status {
            400 | 403 | 404 | 422 => (RetryClass::Terminal, true),
            429 => (RetryClass::Transient, true),
            _ => TRANSIENT,
        };
        for error in [list(&client).await, stop(&client).await] {
            assert_eq!(verdict(&error), expected, "{status}");
            assert_eq!(error.status(), Some(status));
        }
    }
    for line in [START, RESTART, LIST, STOP] {
        assert_eq!(server.count(line), statuses.len(), "{line}");
    }
    assert_eq!(server.seen().len(), 4 * statuses.len() + 1);
}

#[tokio::test]
async fn a_success_without_a_usable_instance_leaves_a_start_open() {
    let control = answer("i\\u0007");
    let long = answer(&"x".repeat(300));
    let (empty, dots) = (answer(""), answer(".."));
    let deep = format!("{{\"instance\":{}", "[".repeat(100_000));
    let unknown_deep = format!("{{\"novelty\":{}{}}}", "[".repeat(9_000), "]".repeat(9_000));
    for body in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"message":"ok"}"#,
        r#"{"message":"ok","instance":null}"#,
        r#"{"message":"ok","instance":{"instance_id":null}}"#,
        "<html><body>Welcome</body></html>",
        &empty,
        &dots,
        &control,
        &long,
        &deep,
        &unknown_deep,
    ] {
        let owned = body.to_owned();
        let server = always(move || Reply::Json(202, owned.clone())).await;
        let client = server.client();
        let shown: String = body.chars().take(80).collect();
        for error in [start(&client).await, restart(&client).await] {
            assert_eq!(verdict(&error), AMBIGUOUS, "{shown}");
            assert_eq!(error.status(), Some(202));
            assert!(error.to_string().ends_with("is not known"), "{error}");
        }
        assert_eq!((server.count(START), server.count(RESTART)), (1, 1));
    }
    // The answer to a restart about another instance is no answer.
    let server = always(|| Reply::Json(202, answer("i-2"))).await;
    assert_eq!(verdict(&restart(&server.client()).await), AMBIGUOUS);
}

#[tokio::test]
async fn a_start_accepts_any_success_with_an_instance() {
    for status in [200, 201, 202, 207] {
        let server = always(move || Reply::Json(status, answer("i-1"))).await;
        let started = server.client().start_instance(&args()).await.unwrap();
        assert_eq!(started.instance_id, "i-1");
        assert_eq!(
            server.seen()[1].body,
            serde_json::json!({"model_id": "org--name", "num_workers": 2})
        );
    }
}

#[tokio::test]
async fn an_answer_cut_at_any_byte_is_no_answer() {
    let start_answer = whole(202, "", &answer("i-1"));
    let list_answer = whole(
        200,
        "",
        &format!(r#"{{"instances":[{}]}}"#, instance("i-1")),
    );
    let (starts, lists) = (start_answer.clone(), list_answer.clone());
    let server = Server::with_tokens(move |seen, cut| {
        let whole = if seen.line == START { &starts } else { &lists };
        Reply::Raw(whole[..cut].to_vec())
    })
    .await;
    let client = server.client();
    for cut in 0..start_answer.len() {
        assert_eq!(verdict(&start(&client).await), AMBIGUOUS, "{cut}");
    }
    client.start_instance(&args()).await.unwrap();
    assert_eq!(server.count(START), start_answer.len() + 1);
    for cut in 0..list_answer.len() {
        assert_eq!(verdict(&list(&client).await), TRANSIENT, "{cut}");
    }
    client.list_instances().await.unwrap();
    assert_eq!(server.count(LIST), list_answer.len() + 1);
}

#[tokio::test]
async fn an_answer_that_only_the_end_of_the_stream_ends_may_be_cut_as_well() {
    let head: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let body = format!(r#"{{"instances":[{}]}}"#, instance("i-1")).into_bytes();
    let length = body.len();
    let server = Server::with_tokens(move |_, cut| Reply::Raw([head, &body[..cut]].concat())).await;
    let client = server.client();
    for cut in 0..=length {
        let result = client.list_instances().await;
        assert_eq!(result.is_ok(), cut == length, "{cut}");
    }
}

#[tokio::test]
async fn a_reset_leaves_a_start_open_before_and_after_the_headers() {
    let answer = whole(202, "", &answer("i-1"));
    let head = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    for cut in [0, 10, head, head + 20] {
        let bytes = answer[..cut].to_vec();
        let server = always(move || Reply::Reset(bytes.clone())).await;
        let client = server.client();
        assert_eq!(verdict(&start(&client).await), AMBIGUOUS, "{cut}");
        assert_eq!(verdict(&restart(&client).await), AMBIGUOUS, "{cut}");
        assert_eq!(verdict(&list(&client).await), TRANSIENT, "{cut}");
        assert_eq!((server.count(START), server.count(RESTART)), (1, 1));
    }
}

#[tokio::test]
async fn a_time_out_leaves_a_start_open() {
    let answer = whole(200, "", &answer("i-1"));
    for cut in [0, 10, answer.len() - 1] {
        let bytes = answer[..cut].to_vec();
        let server = always(move || Reply::Hang(bytes.clone())).await;
        let client = server.hasty_client();
        client.verify_credentials().await.unwrap();
        let (started, restarted, listed, stopped) = futures::join!(
            start(&client),
            restart(&client),
            list(&client),
            stop(&client)
        );
        for (error, expected) in [
            (started, AMBIGUOUS),
            (restarted, AMBIGUOUS),
            (listed, TRANSIENT),
            (stopped, TRANSIENT),
        ] {
            assert_eq!(verdict(&error), expected, "{cut}");
            assert!(error.to_string().contains("within the time-out"), "{error}");
        }
        assert_eq!(server.seen().len(), 5);
    }
}

#[tokio::test]
async fn a_refusal_whose_body_never_ends_is_still_a_refusal() {
    let head = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 500\r\n\r\n{";
    let server = always(|| Reply::Hang(head.to_vec())).await;
    let error = start(&server.hasty_client()).await;
    assert_eq!(verdict(&error), (RetryClass::Terminal, true));
    assert_eq!(error.api_message(), None);
}

#[tokio::test]
async fn without_a_connection_nothing_was_started() {
    let server = always(|| ok("{}")).await;
    let client = server.client();
    client.verify_credentials().await.unwrap();
    server.stop().await;
    let error = start(&client).await;
    assert_eq!(verdict(&error), (RetryClass::Transient, true));
    assert_eq!(error.call(), Call::StartInstance);
    assert!(error.to_string().contains("no connection"), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(verdict(&list(&client).await), (RetryClass::Transient, true));
}

#[tokio::test]
async fn a_tls_handshake_that_fails_or_hangs_sends_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config(&format!("https://{}", silent.local_addr().unwrap()));
    config.connect_timeout = Duration::from_millis(300);
    let client = Client::new(config.clone()).unwrap();
    // The list of models needs no token.
    let error = client.list_models().await.unwrap_err();
    assert_eq!(verdict(&error), (RetryClass::Transient, true));
    assert!(error.to_string().contains("no connection"), "{error}");

    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    config.base_url = format!("https://{}", plain.local_addr().unwrap());
    config.connect_timeout = Duration::from_secs(10);
    let client = Client::new(config).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = client.list_models().await.unwrap_err();
    assert_eq!(verdict(&error), (RetryClass::Transient, true));
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    for (status, class) in [
        (400, RetryClass::Auth),
        (401, RetryClass::Auth),
        (403, RetryClass::Auth),
        (301, RetryClass::Transient),
        (404, RetryClass::Transient),
        (422, RetryClass::Transient),
        (429, RetryClass::Transient),
        (500, RetryClass::Transient),
        (200, RetryClass::Transient),
    ] {
        let server =
            Server::start(move |_, _| Reply::Json(status, r#"{"message":"no"}"#.into())).await;
        let client = server.client();
        for error in [
            start(&client).await,
            restart(&client).await,
            list(&client).await,
        ] {
            assert_eq!(verdict(&error), (class, true), "{status}");
            assert_eq!(error.status(), Some(status));
        }
        let error = client.verify_credentials().await.unwrap_err();
        assert_eq!(error.class(), class, "{status}");
        assert_eq!(server.count(TOKEN), 4);
        assert_eq!(server.seen().len(), 4, "only tokens were asked for");
    }
}

#[tokio::test]
async fn each_start_has_a_connection_of_its_own() {
    let server = Server::with_tokens(|seen, _| match seen.line.as_str() {
        LIST => ok(r#"{"instances":[]}"#),
        _ => Reply::Json(202, answer("i-1")),
    })
    .await;
    let client = server.client();
    for _ in 0..3 {
        client.list_instances().await.unwrap();
        client.start_instance(&args()).await.unwrap();
        client.restart_instance("i-1").await.unwrap();
    }
    let seen = server.seen();
    let on = |line: &str| -> Vec<usize> {
        let seen = seen.iter().filter(|seen| seen.line == line);
        seen.map(|seen| seen.connection).collect()
    };
    let mut single = [on(START), on(RESTART)].concat();
    single.sort_unstable();
    single.dedup();
    assert_eq!(single.len(), 6);
    assert!(
        single
            .iter()
            .all(|connection| !on(LIST).contains(connection))
    );
    assert!(on(LIST).iter().all(|connection| *connection == on(LIST)[0]));
}
