//! Answers that are invalid HTTP: without an end, with a wrong length, compressed, or larger than memory.

use super::{
    args, instance,
    server::{Reply, Server, ok},
};
use crate::{
    RetryClass,
    http::{MAX_ANSWER, MAX_ERROR, MAX_LIST},
};

/// The most bytes that the buffers of both ends of a connection hold.
const IN_FLIGHT: usize = 24 << 20;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

fn flood(head: impl Into<Vec<u8>>) -> Reply {
    Reply::Flood(head.into())
}

fn list(ids: &[&str]) -> String {
    let instances: Vec<String> = ids.iter().map(|id| instance(id)).collect();
    format!(r#"{{"instances":[{}]}}"#, instances.join(","))
}

#[tokio::test]
async fn no_more_of_a_flood_is_read_than_the_bound() {
    // Whether the body has a hundred megabytes or no end, the client closes the connection at the bound.
    for head in [
        format!("{OK}\r\n"),
        format!("{OK}Content-Length: 104857600\r\n\r\n"),
        format!("{OK}Transfer-Encoding: chunked\r\n\r\n6400000\r\n"),
    ] {
        let server = Server::with_tokens(move |_, _| flood(head.clone())).await;
        let client = server.client();
        let error = client.list_instances().await.unwrap_err();
        assert!(error.to_string().contains("larger than"), "{error}");
        let flooded = server.flooded().await;
        assert!(flooded < MAX_LIST + IN_FLIGHT, "{flooded}");
        for error in [
            client.get_instance("i-1").await.unwrap_err(),
            client.get_model("m").await.unwrap_err(),
            client.start_instance(&args()).await.unwrap_err(),
        ] {
            assert!(error.to_string().contains("larger than"), "{error}");
            let flooded = server.flooded().await;
            assert!(flooded < MAX_ANSWER + IN_FLIGHT, "{flooded}");
        }
    }
    let server =
        Server::with_tokens(|_, _| flood("HTTP/1.1 400 No\r\n\r\n{\"message\":\"no\"}")).await;
    let error = server.client().list_instances().await.unwrap_err();
    assert_eq!((error.status(), error.api_message()), (Some(400), None));
    let flooded = server.flooded().await;
    assert!(flooded < MAX_ERROR + IN_FLIGHT, "{flooded}");
}

#[tokio::test]
async fn headers_and_tokens_without_end_are_given_up() {
    for head in ["HTTP/1.1 200 OK\r\nX-Long: ", "HTTP/1.1 ", "HTTP/1.1 200 "] {
        let server = Server::with_tokens(move |_, _| flood(head)).await;
        let error = server.client().list_instances().await.unwrap_err();
        assert_eq!(error.class(), RetryClass::Transient, "{error}");
        let flooded = server.flooded().await;
        assert!(flooded < MAX_ANSWER + IN_FLIGHT, "{flooded}");
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n{{}}", "X: y\r\n".repeat(100_000));
    let server = Server::with_tokens(move |_, _| Reply::Raw(many.clone().into())).await;
    let error = server.client().list_instances().await.unwrap_err();
    assert_eq!(error.class(), RetryClass::Transient, "{error}");

    let server = Server::start(|_, _| flood(format!("{OK}\r\n{{\"access_token\":\""))).await;
    let error = server.client().list_instances().await.unwrap_err();
    assert_eq!(error.class(), RetryClass::Transient, "{error}");
    let flooded = server.flooded().await;
    assert!(flooded < MAX_ANSWER + IN_FLIGHT, "{flooded}");
}

#[tokio::test]
async fn a_body_that_trickles_or_stops_ends_with_the_time_out() {
    for head in [
        format!("{OK}Transfer-Encoding: chunked\r\n\r\n5\r\n{{\"ins"),
        format!("{OK}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n"),
        format!("{OK}Content-Length: 50\r\n\r\n{{\"instances\":[]}}"),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000),
    ] {
        let server = Server::with_tokens(move |_, _| Reply::Hang(head.clone().into_bytes())).await;
        let error = server.hasty_client().list_instances().await.unwrap_err();
        assert_eq!(error.class(), RetryClass::Transient, "{error}");
        assert!(error.to_string().contains("time-out"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_longer_than_its_length_answers_no_other_call() {
    // The bytes after the first answer look like the answer to the next call. The client must not read them as that.
    let first = list(&["i-1"]);
    let smuggled = r#"{"instances":[]}"#;
    let bytes = format!(
        "{OK}Content-Length: {}\r\n\r\n{first}{OK}Content-Length: {}\r\n\r\n{smuggled}",
        first.len(),
        smuggled.len()
    );
    let server = Server::with_tokens(move |_, before| match before {
        0 => Reply::Hang(bytes.clone().into_bytes()),
        _ => ok(list(&["i-1", "i-2"])),
    })
    .await;
    let client = server.client();
    assert_eq!(client.list_instances().await.unwrap().len(), 1);
    assert_eq!(client.list_instances().await.unwrap().len(), 2);
    let connections: Vec<usize> = server.seen().iter().map(|s| s.connection).collect();
    assert_eq!(connections.len(), 3, "{connections:?}");
    assert_ne!(connections[1], connections[2], "{connections:?}");
    // The header's length ends in the middle of the list.
    let short = format!("{OK}Content-Length: 40\r\n\r\n{}", list(&["i-1"]));
    let server = Server::with_tokens(move |_, _| Reply::Raw(short.clone().into())).await;
    let error = server.client().list_instances().await.unwrap_err();
    assert!(error.to_string().contains("ends early"), "{error}");
}

#[tokio::test]
async fn nothing_is_inflated() {
    // The body is ten bytes of a gzip header. The client does not ask for compression, and treats a compressed body as invalid
    // JSON.
    let bomb = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff".to_vec();
    let mut bytes =
        format!("{OK}Content-Encoding: gzip\r\nContent-Length: 10\r\n\r\n").into_bytes();
    bytes.extend(bomb);
    let server = Server::with_tokens(move |_, _| Reply::Raw(bytes.clone())).await;
    let error = server.client().list_instances().await.unwrap_err();
    assert!(error.to_string().contains("no JSON object"), "{error}");
    assert!(server.seen().iter().all(|s| s.accept_encoding.is_none()));
}
