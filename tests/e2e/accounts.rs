//! The credentials of accounts, and the namespaces that may use an account.

use cortecs_resources::{
    ACCOUNT_FINALIZER,
    conditions::{RECONCILING, STALLED},
};
use cortecs_simulator::Endpoint;
use kube::ResourceExt;
use serde_json::json;

use crate::harness::{
    Bed, CLIENT_ID, MODEL, OTHER_MODEL_ID, Read, bound, is_ready, polls_every_second, running,
    stalled_because,
};

#[tokio::test]
async fn wrong_credentials_stall_the_account_until_the_secret_is_right() {
    let bed = Bed::builder("wrong-secret").without_secret().build().await;
    bed.write_secret(CLIENT_ID, "mistyped-4711").await;
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let account = bed.account_stalls("CredentialsInvalid").await;
    account.assert_says(STALLED, "Secret");
    let resource = bed.stalls("phi", "CredentialsInvalid").await;
    for message in [account.message(STALLED), resource.message(STALLED)] {
        assert!(!message.contains("mistyped-4711"), "{message}");
    }
    let tries = bed.api.count(Endpoint::Token);
    assert!(
        tries <= 4,
        "{tries} tries with credentials that cannot work"
    );

    bed.write_secret(CLIENT_ID, &bed.client_secret).await;
    bed.wait_account("ready", is_ready).await;
    bed.runs("phi").await;
    assert_eq!(bed.starts(), 1);
}

#[tokio::test]
async fn credentials_that_are_changed_at_the_api_stall_and_come_back() {
    let bed = Bed::new("rotated").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.api.set_secret(CLIENT_ID, "rotated-away");
    bed.api.expire_tokens();
    bed.account_stalls("CredentialsInvalid").await;
    let resource = bed.stalls("phi", "CredentialsInvalid").await;
    assert_eq!(bound(&resource), id, "what is bound stays bound");

    bed.write_secret(CLIENT_ID, "rotated-away").await;
    bed.runs("phi").await;
    assert_eq!((bed.existing(), bed.starts()), (vec![id], 1));
}

#[tokio::test]
async fn a_missing_secret_is_named_and_its_arrival_noticed() {
    let bed = Bed::builder("no-secret").without_secret().build().await;
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let account = bed
        .wait_account("waiting", |a| {
            a.is_current() && a.reason("Ready") == "WaitingForSecret"
        })
        .await;
    account.assert_says(RECONCILING, "credentials");
    bed.waits("phi", "WaitingForSecret").await;
    bed.write_secret(CLIENT_ID, &bed.client_secret).await;
    bed.runs("phi").await;
    assert_eq!(bed.starts(), 1);
}

#[tokio::test]
async fn a_missing_account_is_named_and_its_arrival_noticed() {
    let bed = Bed::builder("no-account").without_account().build().await;
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.create(
        "other",
        json!({"modelId": MODEL, "accountRef": {"name": "elsewhere"}}),
    )
    .await;
    let resource = bed.waits("phi", "WaitingForAccount").await;
    resource.assert_says(RECONCILING, "main");
    let other = bed.waits("other", "WaitingForAccount").await;
    other.assert_says(RECONCILING, "elsewhere");

    bed.create_account("main", polls_every_second()).await;
    bed.runs("phi").await;
    bed.waits("other", "WaitingForAccount").await;
    assert_eq!(bed.starts(), 1);
    // Neither was ever shown as stalled: GitOps tools give up on that.
    let mut versions = bed.instances.history().into_values().flatten();
    assert!(!versions.any(|resource| resource.condition(STALLED).is_some()));
}

#[tokio::test]
async fn a_namespace_that_is_not_allowed_is_not_told_what_is_wrong_with_the_account() {
    let bed = Bed::builder("not-told")
        .neighbour("far", &[])
        .account(json!({"credentialsSecretRef": {"name": "hidden-name"}}))
        .build()
        .await;
    let _operator = bed.operator();
    let far = bed.neighbour("far");
    // The Secret is missing, and then the host is not one that the operator may call.
    for (wrong, spec) in [
        ("WaitingForSecret", json!({})),
        (
            "ApiUrlNotAllowed",
            json!({"apiUrl": "https://hidden-host.example/api"}),
        ),
    ] {
        bed.patch_account(spec).await;
        bed.wait_account(wrong, |account| {
            account.reason("Ready") == wrong && account.is_current()
        })
        .await;
        let name = format!("phi-{}", wrong.to_lowercase());
        bed.create_in(&far, &name, json!({"modelId": MODEL})).await;
        let refused = stalled_because("AccountNotAllowed");
        let resource = bed.wait_in(&far, &name, "refused", refused).await;
        let status = format!("{:?}", resource.status);
        assert!(!status.contains("hidden"), "{status}");
    }
}

#[tokio::test]
async fn an_account_serves_its_own_namespace_unless_it_allows_others() {
    let bed = Bed::builder("namespaces")
        .neighbour("near", &[("team", "blue")])
        .neighbour("far", &[("team", "red")])
        .build()
        .await;
    let _operator = bed.operator();
    let (near, far) = (bed.neighbour("near"), bed.neighbour("far"));
    for namespace in [&near, &far] {
        bed.create_in(namespace, "phi", json!({"modelId": MODEL}))
            .await;
        let resource = bed
            .wait_in(
                namespace,
                "phi",
                "refused",
                stalled_because("AccountNotAllowed"),
            )
            .await;
        resource.assert_says(STALLED, "allowedNamespaces");
    }
    assert_eq!(bed.starts(), 0);

    bed.patch_account(json!({"allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "blue"}}}}))
        .await;
    bed.wait_in(&near, "phi", "running", running).await;
    bed.wait_lists(2).await;
    bed.wait_in(&far, "phi", "refused", stalled_because("AccountNotAllowed"))
        .await;
    assert_eq!(bed.starts(), 1);

    bed.patch_account(json!({"allowedNamespaces": {"from": "All", "selector": null}}))
        .await;
    // The account allows more namespaces than the operator watches. That matters only to a start with unknown outcome.
    bed.wait_in(&far, "phi", "running", running).await;
    assert_eq!(bed.starts(), 2);

    // When the permission is withdrawn, the instance keeps running and can still be removed.
    bed.patch_account(json!({"allowedNamespaces": {"from": "Same"}}))
        .await;
    bed.wait_lists(2).await;
    assert_eq!(bed.existing().len(), 2);
    bed.kubectl_text(&[
        "delete",
        "--namespace",
        &far,
        "cortecsinstance/phi",
        "--timeout=90s",
    ])
    .await;
    assert_eq!(bed.existing().len(), 1);
}

#[tokio::test]
async fn credentials_go_only_to_hosts_that_are_allowed() {
    let bed = Bed::builder("hosts")
        .account(json!({"apiUrl": "http://127.0.0.1:1/api/v1"}))
        .build()
        .await;
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let account = bed.account_stalls("ApiUrlNotAllowed").await;
    account.assert_says(STALLED, "--allowed-api-hosts");
    bed.stalls("phi", "ApiUrlNotAllowed").await;
    bed.patch_account(json!({"apiUrl": bed.api_url})).await;
    bed.runs("phi").await;
}

#[tokio::test]
async fn an_account_in_use_stays_until_its_last_user_is_gone() {
    let bed = Bed::new("in-use").await;
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    let account = bed.wait_account("ready", is_ready).await;
    assert_eq!(account.finalizers(), [ACCOUNT_FINALIZER]);
    bed.delete_account().await;
    let account = bed
        .wait_account("in use", |a| a.reason("Ready") == "InUse")
        .await;
    account.assert_says("Ready", "phi");
    // An account that is being deleted starts nothing. Its instances keep running and can be removed.
    bed.create("late", json!({"modelId": MODEL})).await;
    bed.stalls("late", "AccountNotFound").await;
    assert_eq!((bed.starts(), bed.existing().len()), (1, 1));
    for name in ["late", "phi"] {
        bed.delete(name).await;
        bed.wait_gone(name).await;
    }
    bed.wait_account_gone().await;
    assert_eq!(bed.existing(), [""; 0]);
}

#[tokio::test]
async fn an_account_that_no_resource_uses_goes_at_once() {
    let bed = Bed::new("unused").await;
    let _operator = bed.operator();
    bed.wait_account("ready", is_ready).await;
    bed.delete_account().await;
    bed.wait_account_gone().await;
}

#[tokio::test]
async fn an_instance_can_be_removed_after_its_secret_is_gone() {
    let bed = Bed::new("secret-gone").await;
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    bed.kubectl_text(&["delete", "secret/credentials"]).await;
    bed.api.expire_tokens();
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!(bed.existing(), [""; 0]);
}

#[tokio::test]
async fn another_account_for_a_running_instance_is_refused_and_nothing_is_lost() {
    let bed = Bed::new("account-changed").await;
    bed.create_account("second", polls_every_second()).await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.change("phi", json!({"accountRef": {"name": "second"}}))
        .await;
    let resource = bed.stalls("phi", "AccountChanged").await;
    assert_eq!(bound(&resource), id);
    bed.change("phi", json!({"accountRef": null})).await;
    bed.runs("phi").await;
    assert_eq!((bed.existing(), bed.starts()), (vec![id], 1));
}

#[tokio::test]
async fn an_account_in_mode_hold_starts_nothing_and_still_stops_and_deletes() {
    let bed = Bed::new("held").await;
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    bed.patch_account(json!({"mode": "Hold"})).await;
    bed.create("late", json!({"modelId": MODEL})).await;
    bed.stalls("late", "AccountHeld").await;
    bed.delete("phi").await;
    bed.wait_gone("phi").await;
    assert_eq!((bed.existing(), bed.starts()), (Vec::new(), 1));
    bed.patch_account(json!({"mode": "Active"})).await;
    bed.runs("late").await;
}

#[tokio::test]
async fn the_account_counts_instances_and_lists_the_unmanaged_ones() {
    let bed = Bed::new("counts").await;
    let stray = bed.start_unmanaged(OTHER_MODEL_ID);
    let _operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL})).await;
    let account = bed
        .wait_account("counted", |a| {
            let counts = a.status.as_ref().and_then(|s| s.instances.as_ref());
            is_ready(a) && counts.is_some_and(|c| (c.managed, c.unmanaged, c.running) == (1, 1, 2))
        })
        .await;
    let unmanaged = &account.status.as_ref().unwrap().unmanaged;
    assert_eq!(
        (unmanaged.len(), unmanaged[0].id.as_str()),
        (1, stray.as_str())
    );
    assert_eq!(bed.api.count(Endpoint::Stop), 0);
}
