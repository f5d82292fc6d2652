//! All calls share one token. The client renews it before it expires, and forgets it when the API refuses it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use cortecs_clock::Moment;
use futures::{
    future::{join, join_all},
    poll,
};
use tokio::sync::Semaphore;

use super::{
    answer, args,
    server::{Reply, Server, TOKEN, credentials, ok, token},
};
use crate::{Call, Client, RetryClass};

const BALANCE: &str = "GET /user/balance";

fn balance() -> Reply {
    ok(r#"{"current_balance":12.5,"currency":"EUR"}"#)
}

/// A server whose token endpoint waits for permits, and whose other calls are answered at once.
async fn gated(reply: impl Fn(usize) -> Reply + Send + Sync + 'static) -> (Server, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let server = Server::start(move |seen, before| match seen.line.as_str() {
        TOKEN => Reply::Gated(Arc::clone(&held), Box::new(reply(before + 1))),
        _ => balance(),
    })
    .await;
    (server, gate)
}

fn used(server: &Server, line: &str) -> Vec<String> {
    let seen = server.seen().into_iter().filter(|seen| seen.line == line);
    seen.map(|seen| seen.authorization.unwrap_or_default())
        .collect()
}

#[tokio::test]
async fn many_callers_share_one_fetch() {
    let (server, gate) = gated(|n| token(n, 3600)).await;
    let client = server.client();
    // All fifty calls wait for the token before the gate opens.
    let callers = join_all((0..50).map(|_| {
        let client = client.clone();
        async move { client.balance().await }
    }));
    let opening = async {
        server.wait_for(TOKEN, 1).await;
        gate.add_permits(50);
    };
    let (results, ()) = join(callers, opening).await;
    for result in results {
        assert_eq!(result.unwrap().current_balance, 12.5);
    }
    client.verify_credentials().await.unwrap();
    assert_eq!(server.count(TOKEN), 1);
    assert_eq!(used(&server, BALANCE), vec!["Bearer token-1"; 50]);
    let body = &server.seen()[0].body;
    assert_eq!(body["grant_type"], "client_credentials");
    assert_eq!(body["client_id"], "the-id");
    assert_eq!(body["client_secret"], crate::tests::server::SECRET);
}

#[tokio::test]
async fn calls_that_wait_share_one_failure_and_the_next_call_tries_again() {
    let (server, gate) = gated(|n| match n {
        1 => Reply::With(503, "Retry-After: 7\r\n", r#"{"message":"later"}"#.into()),
        n => token(n, 3600),
    })
    .await;
    let client = server.client();
    let callers = join_all((0..20).map(|_| client.balance()));
    let opening = async {
        server.wait_for(TOKEN, 1).await;
        gate.add_permits(50);
    };
    let (results, ()) = join(callers, opening).await;
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(error.call(), Call::Balance);
        assert_eq!(error.class(), RetryClass::Transient);
        assert!(error.refused());
        assert_eq!(error.status(), Some(503));
        assert_eq!(error.api_message(), Some("later"));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(
            error.to_string(),
            "get balance failed: no access token: HTTP 503: later"
        );
    }
    assert_eq!((server.count(TOKEN), server.count(BALANCE)), (1, 0));
    client.balance().await.unwrap();
    assert_eq!(server.count(TOKEN), 2);
}

#[tokio::test]
async fn a_call_that_stops_waiting_stops_no_other_call() {
    let (server, gate) = gated(|n| token(n, 3600)).await;
    let client = server.client();
    let mut first = Box::pin(client.balance());
    let mut second = Box::pin(client.balance());
    assert!(poll!(first.as_mut()).is_pending());
    assert!(poll!(second.as_mut()).is_pending());
    server.wait_for(TOKEN, 1).await;
    drop(first);
    gate.add_permits(9);
    second.await.unwrap();
    assert_eq!((server.count(TOKEN), server.count(BALANCE)), (1, 1));
}

#[tokio::test]
async fn a_fetch_that_no_call_waits_for_is_not_lost() {
    let (server, gate) = gated(|n| token(n, 3600)).await;
    let client = server.client();
    let mut only = Box::pin(client.balance());
    assert!(poll!(only.as_mut()).is_pending());
    server.wait_for(TOKEN, 1).await;
    drop(only);
    gate.add_permits(9);
    client.balance().await.unwrap();
    assert_eq!(server.count(TOKEN), 1);
}

#[test]
fn a_fetch_whose_runtime_ended_is_started_anew() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let servers = tokio::runtime::Runtime::new().unwrap();
    let (server, gate) = servers.block_on(gated(|n| token(n, 3600)));
    let client = server.client();
    let first = runtime();
    first.block_on(async {
        let mut caller = Box::pin(client.balance());
        assert!(poll!(caller.as_mut()).is_pending());
        server.wait_for(TOKEN, 1).await;
    });
    drop(first);
    gate.add_permits(9);
    let second = runtime();
    let error = second.block_on(client.balance()).unwrap_err();
    assert_eq!(error.class(), RetryClass::Transient);
    assert!(error.refused());
    second.block_on(client.balance()).unwrap();
}

/// A client whose clock shows these seconds since the boot.
fn client_at(server: &Server, seconds: &Arc<AtomicU64>) -> Client {
    let seconds = Arc::clone(seconds);
    let clock = move || Moment::from_boot(Duration::from_secs(seconds.load(Ordering::SeqCst)));
    Client::with_clock(server.config(), Arc::new(clock)).unwrap()
}

#[tokio::test]
async fn a_token_is_renewed_before_it_expires_and_no_call_waits() {
    let gate = Arc::new(Semaphore::new(1));
    let held = Arc::clone(&gate);
    let server = Server::start(move |seen, before| match seen.line.as_str() {
        TOKEN => Reply::Gated(Arc::clone(&held), Box::new(token(before + 1, 3600))),
        _ => balance(),
    })
    .await;
    let seconds = Arc::new(AtomicU64::new(1000));
    let client = client_at(&server, &seconds);
    client.balance().await.unwrap();
    seconds.store(1000 + 3239, Ordering::SeqCst);
    client.balance().await.unwrap();
    assert_eq!(server.count(TOKEN), 1);

    // A tenth of the lifetime is left: the client begins a renewal, and uses the old token until it has the new one.
    seconds.store(1000 + 3241, Ordering::SeqCst);
    client.balance().await.unwrap();
    client.balance().await.unwrap();
    server.wait_for(TOKEN, 2).await;
    assert_eq!(used(&server, BALANCE), vec!["Bearer token-1"; 4]);

    // The old token has expired, so the client waits for the new one.
    seconds.store(1000 + 3600, Ordering::SeqCst);
    gate.add_permits(1);
    client.balance().await.unwrap();
    assert_eq!(used(&server, BALANCE)[4], "Bearer token-2");
    assert_eq!(server.count(TOKEN), 2);
}

#[tokio::test]
async fn a_renewal_that_fails_costs_nothing_while_the_token_lives() {
    let server = Server::start(|seen, before| match (seen.line.as_str(), before) {
        (TOKEN, 0) => token(1, 3600),
        (TOKEN, _) => Reply::Json(500, "{}".into()),
        _ => balance(),
    })
    .await;
    let seconds = Arc::new(AtomicU64::new(0));
    let client = client_at(&server, &seconds);
    client.balance().await.unwrap();
    seconds.store(3300, Ordering::SeqCst);
    for _ in 0..5 {
        client.balance().await.unwrap();
    }
    server.wait_for(TOKEN, 2).await;
    client.balance().await.unwrap();
    seconds.store(3600, Ordering::SeqCst);
    let error = client.balance().await.unwrap_err();
    assert_eq!(error.class(), RetryClass::Transient);
    assert_eq!(server.count(BALANCE), 7);
}

#[tokio::test]
async fn a_token_that_expires_at_once_serves_one_call() {
    let server = Server::start(|seen, before| match seen.line.as_str() {
        TOKEN => token(before + 1, 0),
        _ => balance(),
    })
    .await;
    let client = server.client();
    client.balance().await.unwrap();
    client.balance().await.unwrap();
    assert_eq!(used(&server, BALANCE), ["Bearer token-1", "Bearer token-2"]);
}

/// A server that answers 401 to `token-1`, and the usual answers to any other token.
async fn server_that_withdraws_the_first_token() -> Server {
    Server::with_tokens(|seen, _| {
        if seen.authorization.as_deref() == Some("Bearer token-1") {
            return Reply::Json(
                401,
                r#"{"message":"Bearer token missing or invalid"}"#.into(),
            );
        }
        match seen.line.as_str() {
            "GET /instances/" => ok(r#"{"instances":[]}"#),
            "POST /instances/stop" | "POST /instances/start" | "POST /instances/restart" => {
                ok(answer("i-1"))
            }
            "POST /instances/stop-all" => ok(r#"{"message":"","instance_ids":["i-1"]}"#),
            "DELETE /instances/i-1" => ok(r#"{"message":"","instance_id":"i-1"}"#),
            _ => Reply::Json(500, String::new()),
        }
    })
    .await
}

#[tokio::test]
async fn after_a_401_an_idempotent_call_is_repeated_once_with_a_new_token() {
    for line in [
        "GET /instances/",
        "POST /instances/stop",
        "POST /instances/stop-all",
        "DELETE /instances/i-1",
    ] {
        let server = server_that_withdraws_the_first_token().await;
        let client = server.client();
        match line {
            "GET /instances/" => assert!(client.list_instances().await.unwrap().is_empty()),
            "POST /instances/stop" => drop(client.stop_instance("i-1").await.unwrap()),
            "POST /instances/stop-all" => assert_eq!(client.stop_all().await.unwrap(), ["i-1"]),
            _ => client.delete_instance("i-1").await.unwrap(),
        }
        assert_eq!(used(&server, line), ["Bearer token-1", "Bearer token-2"]);
        assert_eq!(server.count(TOKEN), 2, "{line}");
    }
}

#[tokio::test]
async fn after_a_401_a_start_is_not_repeated_but_the_token_is_forgotten() {
    let server = server_that_withdraws_the_first_token().await;
    let client = server.client();
    let error = client.start_instance(&args()).await.unwrap_err();
    assert_eq!((error.class(), error.refused()), (RetryClass::Auth, true));
    assert_eq!(error.status(), Some(401));
    assert_eq!(server.count("POST /instances/start"), 1);
    assert_eq!(server.count(TOKEN), 1);
    client.restart_instance("i-1").await.unwrap();
    assert_eq!(used(&server, "POST /instances/restart"), ["Bearer token-2"]);

    let server = server_that_withdraws_the_first_token().await;
    let error = server.client().restart_instance("i-1").await.unwrap_err();
    assert_eq!((error.class(), error.refused()), (RetryClass::Auth, true));
    assert_eq!(server.count("POST /instances/restart"), 1);
}

#[tokio::test]
async fn a_second_401_is_final() {
    let server = Server::with_tokens(|_, _| Reply::Json(401, "{}".into())).await;
    let client = server.client();
    let error = client.list_instances().await.unwrap_err();
    assert_eq!((error.class(), error.refused()), (RetryClass::Auth, true));
    assert_eq!(server.count("GET /instances/"), 2);
    assert_eq!(server.count(TOKEN), 2);
}

#[tokio::test]
async fn a_401_of_an_older_token_does_not_forget_the_newer_one() {
    let slow = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&slow);
    let server = Server::with_tokens(move |seen, _| {
        let withdrawn = seen.authorization.as_deref() == Some("Bearer token-1");
        match (seen.line.as_str(), withdrawn) {
            (BALANCE, true) => {
                Reply::Gated(Arc::clone(&held), Box::new(Reply::Json(401, String::new())))
            }
            (BALANCE, false) => balance(),
            (_, true) => Reply::Json(401, String::new()),
            (_, false) => ok(r#"{"instances":[]}"#),
        }
    })
    .await;
    let client = server.client();
    let early = async {
        client.balance().await.unwrap();
    };
    let late = async {
        server.wait_for(BALANCE, 1).await;
        // This call gets its 401 first, so it fetches the second token.
        client.list_instances().await.unwrap();
        slow.add_permits(1);
    };
    join(early, late).await;
    assert_eq!(server.count(TOKEN), 2);
    assert_eq!(used(&server, BALANCE), ["Bearer token-1", "Bearer token-2"]);
}

#[tokio::test]
async fn new_credentials_replace_the_token_for_all_clones_even_while_one_is_fetched() {
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let server = Server::start(move |seen, before| match seen.line.as_str() {
        TOKEN if seen.body["client_secret"] == "new" => token(before + 1, 3600),
        TOKEN => Reply::Gated(
            Arc::clone(&held),
            Box::new(Reply::Json(401, r#"{"message":"wrong"}"#.into())),
        ),
        _ => balance(),
    })
    .await;
    let client = server.client();
    let clone = client.clone();
    let change = async {
        server.wait_for(TOKEN, 1).await;
        clone.set_credentials(credentials("new"));
        gate.add_permits(9);
    };
    let (result, ()) = join(client.balance(), change).await;
    result.unwrap();
    assert!(client.uses(&credentials("new")));
    assert_eq!(used(&server, BALANCE), ["Bearer token-2"]);

    clone.set_credentials(credentials("old"));
    let error = client.verify_credentials().await.unwrap_err();
    assert_eq!(
        (error.call(), error.class(), error.api_message()),
        (Call::Token, RetryClass::Auth, Some("wrong"))
    );
}
