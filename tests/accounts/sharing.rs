//! Several accounts with one client id, and the namespaces that may use an account.

use cortecs_resources::account::AccountMode;
use cortecs_rules::facts::account_entry::AccountState;
use serde_json::json;

use crate::scenario::Scenario;

#[tokio::test]
async fn an_account_with_only_the_client_id_gets_nothing_and_breaks_nothing() {
    let scenario = Scenario::new("stranger").await;
    scenario.secret("good", "demo-secret").await;
    scenario.secret("guessed", "guess").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let guessed = json!({"name": "guessed"});
    scenario
        .account(
            "stranger",
            json!({"credentialsSecretRef": guessed, "mode": "Hold", "poll": {"idleSeconds": 1}}),
        )
        .await;
    scenario.reason("stranger", "CredentialsInvalid").await;
    scenario.has_none_but_main();
    scenario.list().await;
    assert_eq!(scenario.fleet().health().last_error, None);
    assert_eq!(
        scenario.state("main"),
        Some(AccountState::Usable(scenario.key()))
    );

    // With the right secret the account shares the fleet, and the stricter of both modes counts.
    scenario
        .change(
            "stranger",
            json!({"credentialsSecretRef": {"name": "good"}}),
        )
        .await;
    scenario.reason("stranger", "Verified").await;
    assert_eq!(scenario.directory.accounts_of(&scenario.key()).len(), 2);
    assert_eq!(scenario.directory.mode(&scenario.key()), AccountMode::Hold);
}

#[tokio::test]
async fn an_older_account_with_a_wrong_secret_does_not_keep_the_owner_out() {
    let scenario = Scenario::new("squatter").await;
    scenario.secret("good", "demo-secret").await;
    scenario.secret("guessed", "guess").await;
    scenario
        .account(
            "squatter",
            json!({"credentialsSecretRef": {"name": "guessed"}, "mode": "Hold"}),
        )
        .await;
    scenario.reason("squatter", "CredentialsInvalid").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    scenario.reason("squatter", "CredentialsInvalid").await;
    scenario.has_none_but_main();
    assert_eq!(
        scenario.state("main"),
        Some(AccountState::Usable(scenario.key()))
    );
}

#[tokio::test]
async fn namespaces_are_allowed_by_name_or_by_label() {
    let scenario = Scenario::new("allowed").await;
    let neighbour = Scenario::new("neighbour").await.namespace;
    scenario.secret("good", "demo-secret").await;
    let select =
        |team: &str| json!({"from": "Selector", "selector": {"matchLabels": {"team": team}}});
    for (name, allowed, own, other, missing) in [
        ("same", json!({"from": "Same"}), true, false, false),
        ("all", json!({"from": "All"}), true, true, true),
        ("labels", select("neighbour"), false, true, false),
        ("nobody", select("nobody"), false, false, false),
    ] {
        scenario
            .account(name, json!({"allowedNamespaces": allowed}))
            .await;
        scenario.reason(name, "Verified").await;
        let entry = scenario
            .directory
            .account(&scenario.namespace, name)
            .unwrap();
        let allows =
            async |namespace: &str| scenario.directory.allows(&entry, namespace).await.unwrap();
        assert_eq!(allows(&scenario.namespace).await, own, "{name}");
        assert_eq!(allows(&neighbour).await, other, "{name}");
        assert_eq!(allows("no-such-namespace").await, missing, "{name}");
    }
}
