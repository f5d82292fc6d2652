//! Accounts against a real Kubernetes API server and the simulated Cortecs API.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code outside #[test] functions"
)]

#[path = "../support/control_plane.rs"]
mod control_plane;
mod scenario;

use std::sync::Arc;

use cortecs_resources::{CortecsAccount, account::AccountMode, reason::Reason};
use cortecs_rules::{account::brake::Measure, facts::account_entry::AccountState};
use cortecs_simulator::Endpoint;
use futures::{StreamExt, TryStreamExt};
use kube::{
    api::{DeleteParams, WatchEvent, WatchParams},
    runtime::wait::await_condition,
};
use serde_json::json;
use tokio::time::timeout;

use crate::scenario::*;

#[tokio::test]
async fn an_account_shows_what_its_lists_say_and_writes_nothing_else() {
    let scenario = Scenario::new("shows").await;
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let idle = scenario
        .until("main", |a| {
            a.status.as_ref().is_some_and(|s| s.instances.is_some())
        })
        .await;
    assert_eq!(
        idle.metadata.finalizers,
        Some(vec!["cortecs.ai/account".to_owned()])
    );
    timeout(DEADLINE, scenario.directory.wait_until_synced())
        .await
        .unwrap();
    let accounts = scenario.accounts();
    let mut writes = accounts
        .watch(
            &WatchParams::default(),
            &idle.metadata.resource_version.unwrap(),
        )
        .await
        .unwrap()
        .boxed();
    for _ in 0..20 {
        scenario.list().await;
    }
    let id = scenario.start_outside().await;
    scenario.list().await;
    let first = timeout(DEADLINE, writes.try_next()).await.unwrap().unwrap();
    let Some(WatchEvent::Modified(shown)) = first else {
        panic!("{first:?}");
    };
    let status = shown.status.unwrap();
    assert_eq!(
        status.unmanaged[0].id, id,
        "the first write is the one that has news"
    );
    assert_eq!(status.instances.unwrap().unmanaged, 1);
    let args = status.unmanaged[0].args.clone();
    assert!(status.last_poll_time.is_some());

    scenario.others.claimed.lock().unwrap().insert(id);
    scenario.list().await;
    scenario
        .until("main", |a| {
            let counts = a.status.as_ref().and_then(|s| s.instances.clone());
            counts.is_some_and(|c| (c.managed, c.unmanaged) == (1, 0))
        })
        .await;
    let metrics = scenario.metrics.encode().unwrap();
    let account = format!("{{account=\"{}/main\"", scenario.namespace);
    for family in [
        "cortecs_list_age_seconds",
        "cortecs_unmanaged_instances",
        "cortecs_api_requests_total",
    ] {
        assert!(
            metrics.contains(&format!("{family}{account}")),
            "{family}\n{metrics}"
        );
    }
    let price = scenario
        .price_per_hour(args.hardware_type_id.as_deref().unwrap())
        .await;
    let series = format!("cortecs_price_per_hour{account},currency=\"EUR\"}} {price:?}\n");
    let told = async {
        while !scenario.metrics.encode().unwrap().contains(&series) {
            scenario.list().await;
        }
    };
    timeout(DEADLINE, told).await.expect(&series);
    let handle = scenario.simulator.handle();

    assert_eq!(
        handle.count(Endpoint::HardwareTypes),
        2,
        "once by the operator, once by this test"
    );
}

#[tokio::test]
async fn a_missing_secret_is_named_and_found_when_it_comes() {
    let scenario = Scenario::new("secret").await;
    scenario.account("main", json!({})).await;
    let message = scenario.reason("main", "SecretNotFound").await;
    assert!(message.contains("accounts-secret/good"), "{message}");
    let ready =
        |is: u8| format!("cortecs_account_ready{{account=\"accounts-secret/main\"}} {is}\n");
    let metrics = scenario.metrics.encode().unwrap();
    assert!(metrics.contains(&ready(0)), "{metrics}");
    // It grows, though there never was a list.
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

    // And without a word from anyone: the refusal itself makes it read the Secret again.
    scenario
        .simulator
        .handle()
        .set_secret("demo", "rotated again");
    scenario.simulator.handle().expire_tokens();
    scenario.secret("better", "rotated again").await;
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

#[tokio::test]
async fn who_only_knows_the_client_id_gets_nothing_and_breaks_nothing() {
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

    // With the right secret it shares the fleet, and the stricter settings count.
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
async fn a_stranger_who_came_first_does_not_keep_the_owner_out() {
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
async fn an_account_in_use_is_deleted_when_its_last_user_goes() {
    let scenario = Scenario::new("deleted").await;
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let user = format!("{}/main", scenario.namespace);
    scenario
        .others
        .users
        .lock()
        .unwrap()
        .insert(user.clone(), 4);
    *scenario.others.bound.lock().unwrap() = true;
    scenario
        .secrets()
        .delete("good", &DeleteParams::default())
        .await
        .unwrap();
    scenario
        .accounts()
        .delete("main", &DeleteParams::default())
        .await
        .unwrap();
    let message = scenario.reason("main", "InUse").await;
    assert!(
        message.contains("4 CortecsInstances") && message.contains("team/llama, …"),
        "{message}"
    );
    let entry = scenario
        .directory
        .account(&scenario.namespace, "main")
        .unwrap();
    assert!(entry.deleting);
    scenario.list().await;
    assert_eq!(
        scenario.fleet().health().last_error,
        None,
        "the credentials are in memory"
    );

    scenario.others.users.lock().unwrap().remove(&user);
    timeout(
        DEADLINE,
        await_condition(scenario.accounts(), "main", |a: Option<&CortecsAccount>| {
            a.is_none()
        }),
    )
    .await
    .expect("it goes")
    .unwrap();
    timeout(DEADLINE, async {
        while scenario
            .directory
            .account(&scenario.namespace, "main")
            .is_some()
        {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    scenario.list().await;
    assert_eq!(
        scenario.fleet().health().last_error,
        None,
        "something is bound there still"
    );
    assert_eq!(scenario.directory.mode(&scenario.key()), AccountMode::Hold);
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

#[tokio::test]
async fn a_mass_change_is_recorded_and_told_in_status_and_metrics() {
    let scenario = Scenario::new("brake").await;
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let series = format!(
        "cortecs_account_held{{account=\"{}/main\"}}",
        scenario.namespace
    );
    let gauge = |value: &str| {
        let line = format!("{series} {value}");
        scenario
            .metrics
            .encode()
            .unwrap()
            .lines()
            .any(|l| l == line)
    };
    assert!(gauge("0"));
    let before = scenario.fleet().snapshot().unwrap().sequence;
    let lost = Measure {
        expected: 5,
        lost: 4,
        wanted: 5,
        down: 4,
        ..Measure::default()
    };
    *scenario.others.measure.lock().unwrap() = lost;
    scenario.fleet().request_list_after(cortecs_clock::moment());
    let message = scenario.reason("main", "MassChange").await;
    assert!(message.contains("4 of 5"), "{message}");
    let mut ended = scenario.fleet().ended();
    let fleet = scenario.fleet();
    let published = ended.wait_for(|_| fleet.snapshot().unwrap().sequence > before);
    timeout(DEADLINE, published).await.unwrap().unwrap();
    assert!(scenario.directory.held(&scenario.key()).is_some() && gauge("1"));

    *scenario.others.measure.lock().unwrap() = Measure {
        lost: 0,
        down: 1,
        ..lost
    };
    scenario.fleet().request_list_after(cortecs_clock::moment());
    scenario.reason("main", "Verified").await;
    let fleet = scenario.fleet();
    let mut ended = fleet.ended();
    let told = ended.wait_for(|_| gauge("0"));
    timeout(DEADLINE, told).await.unwrap().unwrap();
    assert_eq!(scenario.directory.held(&scenario.key()), None);
}
