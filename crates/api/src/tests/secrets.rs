//! No error or `Debug` shows the client secret or a token.

use secrecy::ExposeSecret;

use super::{
    args,
    server::{Reply, SECRET, Seen, Server, TOKEN, credentials},
};
use crate::Error;

fn clean(error: &Error) {
    let mut shown = format!("{error} {error:?} {error:#?}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        shown = format!("{shown} {cause} {cause:?}");
        source = cause.source();
    }
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(!shown.contains("token-"), "{shown}");
}

#[tokio::test]
async fn an_api_that_repeats_secrets_is_not_quoted() {
    let echo = |seen: &Seen| {
        let sent = seen.authorization.clone().unwrap_or_default();
        let token = sent.trim_start_matches("Bearer ");
        format!(r#"{{"message":"bad {SECRET}, {token}!","x":"{SECRET} {token}"}}"#)
    };
    for status in [200, 400, 401, 429, 500] {
        let server = Server::with_tokens(move |seen, _| Reply::Json(status, echo(seen))).await;
        let client = server.client();
        clean(&client.start_instance(&args()).await.unwrap_err());
        clean(&client.get_instance("i-1").await.unwrap_err());
        clean(&client.list_models().await.unwrap_err());
        if status == 400 {
            let error = client.start_instance(&args()).await.unwrap_err();
            assert_eq!(error.api_message(), Some("bad ***, ***!"));
        }
    }
    for status in [200, 401, 500] {
        let server = Server::start(move |seen, _| Reply::Json(status, echo(seen))).await;
        let client = server.client();
        let error = client.verify_credentials().await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET));
        let error = client.start_instance(&args()).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(SECRET));
    }
}

#[tokio::test]
async fn broken_answers_are_not_quoted() {
    let quoting =
        format!(r#"{{"instance":"{SECRET}","message":"token-1","instances":"{SECRET}"}}"#);
    let server = Server::with_tokens(move |_, _| Reply::Json(200, quoting.clone())).await;
    let client = server.client();
    clean(&client.start_instance(&args()).await.unwrap_err());
    clean(&client.list_instances().await.unwrap_err());
    let raw = format!("HTTP/1.1 2{SECRET} token-1\r\n{SECRET}\r\n\r\n");
    let server = Server::with_tokens(move |_, _| Reply::Raw(raw.clone().into_bytes())).await;
    clean(&server.client().start_instance(&args()).await.unwrap_err());
}

#[tokio::test]
async fn debug_shows_no_secret() {
    let server = Server::with_tokens(|_, _| Reply::Json(500, String::new())).await;
    let client = server.client();
    client.verify_credentials().await.unwrap();
    let credentials = credentials(SECRET);
    let shown = format!("{client:?} {:?} {credentials:?}", server.config());
    assert!(
        !shown.contains(SECRET) && !shown.contains("token-1"),
        "{shown}"
    );
    // The token call has the secret.
    assert_eq!(server.count(TOKEN), 1);
    assert_eq!(server.seen()[0].body["client_secret"], SECRET);
    assert_eq!(credentials.client_secret.expose_secret(), SECRET);
}
