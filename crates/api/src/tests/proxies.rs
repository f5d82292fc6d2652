//! Requests through a proxy: what it is told, and what an error says about it.

use secrecy::SecretString;

use super::{
    args,
    server::{Reply, SECRET, Server, config},
};
use crate::{Client, ConfigError, Error, RetryClass};

const PASSWORD: &str = "hunter2";

/// A client of an API that only the proxy could find.
fn client(scheme: &str, place: &str) -> Client {
    let mut config = config("https://api.invalid/api/v1");
    let url = format!("{scheme}://anna:{PASSWORD}@{place}");
    config.proxy = Some(SecretString::from(url));
    assert!(!format!("{config:?}").contains(PASSWORD));
    Client::new(config).unwrap()
}

/// The request was not sent, and the error names the proxy and shows no secret.
fn no_connection(error: &Error, place: &str) {
    let shown = format!("{error} {error:?}");
    assert!(
        shown.contains(&format!("through the proxy {place}")),
        "{shown}"
    );
    assert!(
        !shown.contains(PASSWORD) && !shown.contains(SECRET),
        "{shown}"
    );
    assert_eq!(error.class(), RetryClass::Transient, "{shown}");
    assert!(error.refused(), "{shown}");
}

#[tokio::test]
async fn a_proxy_that_cannot_be_reached_is_named() {
    for scheme in ["http", "https", "socks5h"] {
        let server = Server::start(|_, _| Reply::Json(500, String::new())).await;
        let place = server.url["http://".len()..]
            .trim_end_matches("/api/v1")
            .to_owned();
        server.stop().await;
        let client = client(scheme, &place);
        no_connection(&client.list_instances().await.unwrap_err(), &place);
        no_connection(&client.start_instance(&args()).await.unwrap_err(), &place);
    }
}

#[tokio::test]
async fn a_proxy_that_makes_no_tunnel_is_named_and_told_nothing() {
    for status in [403, 407, 502] {
        let refuse = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n").into_bytes();
        let server = Server::start(move |_, _| Reply::Raw(refuse.clone())).await;
        let place = server.url["http://".len()..].trim_end_matches("/api/v1");
        let client = client("http", place);
        no_connection(&client.start_instance(&args()).await.unwrap_err(), place);
        let seen = server.seen();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].line, "CONNECT api.invalid:443");
        // What it is told about the proxy's own user is in another header.
        assert_eq!(seen[0].authorization, None);
        assert!(seen[0].body.is_null(), "{}", seen[0].body);
    }
}

#[tokio::test]
async fn a_loopback_api_is_reached_through_no_proxy_unless_one_is_named() {
    let server = Server::with_tokens(|_, _| Reply::Json(500, String::new())).await;
    server.client().verify_credentials().await.unwrap();
    let mut config = server.config();
    config.proxy = Some(SecretString::from("http://127.0.0.1:1"));
    let error = Client::new(config).unwrap().verify_credentials().await;
    no_connection(&error.unwrap_err(), "127.0.0.1:1");
}

#[test]
fn a_wrong_proxy_is_refused_without_being_shown() {
    for url in [
        "",
        "hunter2",
        "ftp://u:hunter2@proxy:1",
        "http://u:hunter2@",
        "http://proxy:hunter2",
        "socks5h://proxy",
    ] {
        let mut config = config("https://api.invalid/api/v1");
        config.proxy = Some(SecretString::from(url));
        let error = Client::new(config).unwrap_err();
        assert_eq!(error, ConfigError::Proxy, "{url}");
        assert!(!format!("{error} {error:?}").contains(PASSWORD), "{url}");
    }
}
