//! The Secret of an account, and the hosts that credentials are sent to.

use std::sync::Arc;

use cortecs_resources::reason::Reason;
use cortecs_rules::facts::account_entry::AccountState;
use cortecs_simulator::Endpoint;
use serde_json::json;
use tokio::time::timeout;

use crate::scenario::{DEADLINE, Scenario};

#[tokio::test]
async fn a_missing_secret_is_named_and_found_when_it_comes() {
    let scenario = Scenario::new("secret").await;
    scenario.account("main", json!({})).await;
    let message = scenario.reason("main", "WaitingForSecret").await;
    assert!(message.contains("accounts-secret/good"), "{message}");
    let ready =
        |is: u8| format!("cortecs_account_ready{{account=\"accounts-secret/main\"}} {is}\n");
    let metrics = scenario.metrics.encode().unwrap();
    assert!(metrics.contains(&ready(0)), "{metrics}");
    // The age of the list has a value, although there was no list yet.
    assert!(
        metrics.contains("cortecs_list_age_seconds{account=\"accounts-secret/main\"}"),
        "{metrics}"
    );
    timeout(DEADLINE, scenario.directory.wait_until_synced())
        .await
        .unwrap();
    assert_eq!(scenario.directory.account("accounts-secret", "none"), None);
    assert_eq!(scenario.simulator.handle().count(Endpoint::Token), 0);
    scenario.secret("good", "demo-secret").await;
    scenario.reason("main", "Verified").await;
    let metrics = scenario.metrics.encode().unwrap();
    assert!(metrics.contains(&ready(1)), "{metrics}");
    assert!(
        scenario
            .others
            .changed
            .lock()
            .unwrap()
            .contains("accounts-secret/main")
    );
}

#[tokio::test]
async fn credentials_go_to_allowed_hosts_only() {
    let scenario = Scenario::new("hosts").await;
    scenario.secret("good", "demo-secret").await;
    let other = format!(
        "http://localhost:{}/api/v1",
        scenario.simulator.address().port()
    );
    scenario.account("main", json!({"apiUrl": other})).await;
    let message = scenario.reason("main", "ApiUrlNotAllowed").await;
    assert!(message.contains("--allowed-api-hosts"), "{message}");
    assert!(scenario.simulator.handle().requests().is_empty());
    scenario
        .change("main", json!({"apiUrl": scenario.simulator.api_url()}))
        .await;
    scenario.reason("main", "Verified").await;
}

#[tokio::test]
async fn a_rotated_secret_is_read_when_the_old_one_is_refused() {
    let scenario = Scenario::new("rotated").await;
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let before = scenario.fleet();

    assert!(scenario.simulator.handle().set_secret("demo", "rotated"));
    scenario.simulator.handle().expire_tokens();
    scenario.list().await;
    let message = scenario.reason("main", "CredentialsInvalid").await;
    assert!(!message.contains("demo-secret"), "{message}");
    assert!(matches!(
        scenario.state("main"),
        Some(AccountState::Unusable {
            reason: Reason::CredentialsInvalid,
            ..
        })
    ));
    assert!(
        scenario.fleet().snapshot().is_some(),
        "the last good list stays"
    );

    scenario.secret("better", "rotated").await;
    scenario
        .change("main", json!({"credentialsSecretRef": {"name": "better"}}))
        .await;
    scenario.reason("main", "Verified").await;
    assert!(
        Arc::ptr_eq(&before, &scenario.fleet()),
        "the same fleet, with another secret"
    );

    // Without a change of the account, the refusal of the token makes the operator read the Secret again.
    scenario
        .simulator
        .handle()
        .set_secret("demo", "rotated-again");
    scenario.simulator.handle().expire_tokens();
    scenario.secret("better", "rotated-again").await;
    scenario.list().await;
    timeout(
        DEADLINE,
        before.ended().wait_for(|_| {
            !before.health().authentication_failed && before.health().last_error.is_none()
        }),
    )
    .await
    .expect("it recovers")
    .unwrap();
    scenario.reason("main", "Verified").await;
}
