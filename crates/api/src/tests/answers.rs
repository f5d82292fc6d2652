//! Bodies of answers: too large, of the wrong content type, or good.

use super::{
    answer, args, instance,
    server::{Reply, Server, ok},
};
use crate::{
    RetryClass,
    http::{MAX_ANSWER, MAX_ERROR, MAX_LIST},
    types::InstanceState,
};

const UNBOUNDED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";

async fn always(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    Server::with_tokens(move |_, _| reply()).await
}

#[tokio::test]
async fn a_body_without_end_is_given_up() {
    let server = always(|| Reply::Flood(UNBOUNDED.to_vec())).await;
    let client = server.client();
    let error = client.list_instances().await.unwrap_err();
    assert_eq!(error.class(), RetryClass::Transient);
    assert!(error.to_string().contains(&MAX_LIST.to_string()), "{error}");
    let error = client.balance().await.unwrap_err();
    assert_eq!(error.class(), RetryClass::Transient);
    assert!(
        error.to_string().contains(&MAX_ANSWER.to_string()),
        "{error}"
    );
    let error = client.start_instance(&args()).await.unwrap_err();
    assert_eq!(
        (error.class(), error.refused()),
        (RetryClass::Ambiguous, false)
    );
    assert_eq!(error.status(), Some(200));
}

#[tokio::test]
async fn an_error_without_end_keeps_its_status() {
    let head = b"HTTP/1.1 422 No\r\n\r\n{\"message\":\"";
    let server = always(|| Reply::Flood(head.to_vec())).await;
    let error = server.client().start_instance(&args()).await.unwrap_err();
    assert_eq!(
        (error.class(), error.refused()),
        (RetryClass::Terminal, true)
    );
    assert_eq!(error.api_message(), None);
}

#[tokio::test]
async fn the_length_that_a_header_claims_is_not_trusted() {
    // The header claims a huge length, and the body is small. The client neither waits for the rest nor reserves memory for it.
    let claim = b"HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n{}";
    let server = always(|| Reply::Raw(claim.to_vec())).await;
    let error = server.client().list_instances().await.unwrap_err();
    assert_eq!(error.class(), RetryClass::Transient);
}

#[tokio::test]
async fn the_limits_are_exact() {
    for (room, fits) in [(MAX_ANSWER, true), (MAX_ANSWER + 1, false)] {
        let mut body = r#"{"current_balance":1,"currency":"EUR"}"#.to_owned();
        body.push_str(&" ".repeat(room - body.len()));
        let server = always(move || ok(body.clone())).await;
        assert_eq!(server.client().balance().await.is_ok(), fits);
    }
    for (room, shown) in [(MAX_ERROR, Some("no")), (MAX_ERROR + 1, None)] {
        let mut body = r#"{"message":"no"}"#.to_owned();
        body.push_str(&" ".repeat(room - body.len()));
        let server = always(move || Reply::Json(400, body.clone())).await;
        let error = server.client().balance().await.unwrap_err();
        assert_eq!(error.api_message(), shown);
    }
}

#[tokio::test]
async fn a_page_instead_of_an_answer_is_an_error_and_is_not_shown() {
    let page = "<html><head><title>Bad gateway</title></head></html>";
    for status in [200, 400, 502] {
        let server = always(move || Reply::Json(status, page.to_owned())).await;
        let error = server.client().list_instances().await.unwrap_err();
        assert_eq!(error.class(), RetryClass::Transient);
        assert_eq!(error.status(), Some(status));
        assert!(!format!("{error} {error:?}").contains("gateway"), "{error}");
    }
}

#[tokio::test]
async fn a_list_is_good_only_if_every_entry_is() {
    let good = [instance("i-1"), instance("i-2")].join(",");
    let server = {
        let good = good.clone();
        always(move || ok(format!(r#"{{"instances":[{good}],"page":1}}"#))).await
    };
    let list = server.client().list_instances().await.unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(
        list[0].instance_status.status,
        InstanceState::Unknown("hibernating".to_owned())
    );
    // Its one worker tells the number.
    assert_eq!(list[1].instance_args.num_workers, Some(1));

    for bad in [
        "null".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        "[[]]".to_owned(),
        r#"{"instances":null}"#.to_owned(),
        r#"{"instances":{}}"#.to_owned(),
        format!(r#"{{"instances":[{good},{{}}]}}"#),
        format!(r#"{{"instances":[{good},null]}}"#),
        format!(r#"{{"instances":[{good},{}]}}"#, instance("")),
        format!(r#"{{"instances":[{good},{}]}}"#, instance("i-1")),
        format!(r#"{{"instances":[{good}],"instances":[]}}"#),
        format!(r#"{{"instances":[{good}]}} {{"instances":[]}}"#),
        format!(r#"{{"instances":[{good}"#),
        format!(r#"{{"instances":[{good}],"has_more":true}}"#),
        format!(r#"{{"instances":[{good}],"total":3}}"#),
    ] {
        let body = bad.clone();
        let server = always(move || ok(body.clone())).await;
        let error = server.client().list_instances().await.unwrap_err();
        assert_eq!(error.class(), RetryClass::Transient, "{bad}");
        assert!(error.to_string().contains("not usable"), "{error}");
    }
    for whole in [
        r#""has_more":false,"total":2"#,
        r#""total":"many","has_more":[]"#,
    ] {
        let body = format!(r#"{{"instances":[{good}],{whole}}}"#);
        let server = always(move || ok(body.clone())).await;
        assert_eq!(server.client().list_instances().await.unwrap().len(), 2);
    }
    // A list with one invalid entry is an error, and not the list of the valid ones.
    let server = always(|| Reply::Json(206, r#"{"instances":[]}"#.into())).await;
    assert!(server.client().list_instances().await.is_err());
}

#[tokio::test]
async fn an_answer_about_another_instance_is_no_answer() {
    let server = Server::with_tokens(|seen, _| match seen.line.as_str() {
        "DELETE /instances/i-1" => ok(r#"{"message":"","instance_id":"i-2"}"#),
        "GET /instances/i-1" => ok(format!(r#"{{"instance":{}}}"#, instance("i-2"))),
        _ => ok(answer("i-2")),
    })
    .await;
    let client = server.client();
    for error in [
        client.get_instance("i-1").await.unwrap_err(),
        client.stop_instance("i-1").await.unwrap_err(),
        client.delete_instance("i-1").await.unwrap_err(),
    ] {
        assert_eq!(
            (error.class(), error.refused()),
            (RetryClass::Transient, false)
        );
        assert!(error.to_string().contains("another instance"), "{error}");
    }
}

#[tokio::test]
async fn only_a_200_that_names_the_instance_proves_a_delete() {
    let named = r#"{"message":"bye","instance_id":"i-1"}"#;
    for (status, body, proves) in [
        (200, named, true),
        (200, r#"{"message":"bye"}"#, false),
        (200, "{}", false),
        (200, "", false),
        (202, named, false),
        (204, "", false),
    ] {
        let server = always(move || Reply::Json(status, body.to_owned())).await;
        let result = server.client().delete_instance("i-1").await;
        assert_eq!(result.is_ok(), proves, "{status} {body}");
        if let Err(error) = result {
            assert_eq!(
                (error.class(), error.refused()),
                (RetryClass::Transient, false)
            );
        }
    }
}
