//! What stands in front of the API answers instead of it, and what is odd in the answer of the token endpoint.

use cortecs_rules::facts::account_entry::AccountState;
use cortecs_simulator::{Effect, Endpoint, Fault, FaultBody, Notation, Rewrite, When};
use serde_json::json;

use crate::scenario::{Scenario, ready};

fn text(status: u16, text: &str) -> Effect {
    Effect::Answer {
        when: When::Before,
        status,
        body: FaultBody::Raw(text.to_owned()),
        retry_after: None,
        location: None,
    }
}

fn pages() -> [Effect; 4] {
    [
        Effect::html(When::Before, 403),
        Effect::html(When::Before, 401),
        Effect::html(When::Before, 407),
        text(403, "RBAC: access denied"),
    ]
}

#[tokio::test]
async fn a_page_instead_of_a_token_is_no_reason_to_correct_the_secret() {
    for (n, page) in pages().into_iter().enumerate() {
        let scenario = Scenario::new(&format!("page-{n}")).await;
        let api = scenario.simulator.handle();
        scenario.secret("good", "demo-secret").await;
        api.add_fault(Fault::new(Endpoint::Token, page));
        scenario.account("main", json!({})).await;
        let message = scenario.reason("main", "RetryingAfterError").await;
        assert!(
            message.contains("something in front of the API"),
            "{message}"
        );
        assert!(
            !message.contains("correct the Secret") && !message.contains('<'),
            "{message}"
        );
        api.clear_faults();
        scenario.reason("main", "Verified").await;
    }
}

/// Another secret of a known client id has to be verified first: soon again, not after the pause of a refusal.
#[tokio::test]
async fn a_page_instead_of_a_check_of_another_secret_is_tried_again_soon() {
    let scenario = Scenario::new("another").await;
    let api = scenario.simulator.handle();
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    api.set_secret("demo", "rotated");
    scenario.secret("better", "rotated").await;
    api.add_fault(Fault::new(Endpoint::Token, Effect::html(When::Before, 403)));
    scenario
        .account(
            "second",
            json!({"credentialsSecretRef": {"name": "better"}}),
        )
        .await;
    let message = scenario.reason("second", "CredentialsUnverified").await;
    assert!(
        message.contains("something in front of the API"),
        "{message}"
    );
    api.clear_faults();
    scenario.reason("second", "Verified").await;
}

#[tokio::test]
async fn the_apis_own_refusal_is_one_and_its_words_are_shown() {
    let scenario = Scenario::new("refused").await;
    let api = scenario.simulator.handle();
    scenario.secret("good", "demo-secret").await;
    let refusal = r#"{"error":"invalid_client","error_description":"no such client"}"#;
    api.add_fault(Fault::new(Endpoint::Token, text(401, refusal)));
    scenario.account("refused", json!({})).await;
    let message = scenario.reason("refused", "CredentialsInvalid").await;
    assert!(
        message.contains("no such client") && message.contains("correct the Secret"),
        "{message}"
    );
}

#[tokio::test]
async fn a_page_instead_of_a_list_leaves_the_account_as_it_is() {
    let scenario = Scenario::new("list-pages").await;
    let api = scenario.simulator.handle();
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    for (endpoint, count) in [(Endpoint::ListInstances, 4), (Endpoint::Token, 1)] {
        for page in pages().into_iter().take(count) {
            api.add_fault(Fault::new(endpoint, page));
            api.expire_tokens();
            for _ in 0..3 {
                scenario.list().await;
            }
            let health = scenario.fleet().health();
            assert!(!health.authentication_failed, "{health:?}");
            assert!(health.last_error.is_some());
            let account = scenario.until("main", |account| {
                ready(account).is_some_and(|(reason, _)| reason == "RetryingAfterError")
            });
            let (_, message) = ready(&account.await).unwrap();
            assert!(
                message.contains("something in front of the API"),
                "{message}"
            );
            assert!(matches!(
                scenario.state("main"),
                Some(AccountState::Usable(_))
            ));
            api.clear_faults();
            scenario.list().await;
            scenario.reason("main", "Verified").await;
        }
    }
}

#[tokio::test]
async fn a_token_whose_lifetime_is_text_nonsense_or_left_out_is_a_good_one() {
    let scenario = Scenario::new("lifetimes").await;
    let api = scenario.simulator.handle();
    scenario.secret("good", "demo-secret").await;
    for (n, to) in [
        Notation::Text,
        Notation::Fraction,
        Notation::Value(json!("in an hour")),
        Notation::Value(json!(null)),
        Notation::Value(json!({"seconds": 3600})),
    ]
    .into_iter()
    .enumerate()
    {
        let name = "expires_in".to_owned();
        api.rewrite([Rewrite {
            name,
            from: None,
            to,
        }]);
        let account = format!("account-{n}");
        let before = api.count(Endpoint::Token);
        api.expire_tokens();
        scenario
            .account(&account, json!({"credentialsSecretRef": {"name": "good"}}))
            .await;
        scenario.reason(&account, "Verified").await;
        for _ in 0..3 {
            scenario.list().await;
        }
        let tokens = api.count(Endpoint::Token) - before;
        assert_eq!(tokens, 1, "one token is enough for all lists");
    }
}
