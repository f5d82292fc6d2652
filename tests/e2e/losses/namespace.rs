//! A namespace is deleted with everything in it, the account's Secret first or last.

use cortecs_resources::CortecsInstance;
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

use crate::{
    control_plane::assert_succeeded,
    eventually::eventually_true,
    harness::{Bed, CLIENT_ID, MODEL, Read, SOON, bound, running, stalled_because},
};

impl Bed {
    async fn delete_namespace(&self, name: &str) {
        let api: Api<Namespace> = Api::all(self.client.clone());
        api.delete(name, &DeleteParams::default())
            .await
            .expect("a deletion");
    }

    async fn wait_namespace_gone(&self, name: &str) {
        let output = self
            .plane
            .kubectl(&[
                "wait",
                "--for=delete",
                "--timeout=90s",
                &format!("namespace/{name}"),
            ])
            .await;
        assert_succeeded("the namespace goes", &output);
    }

    async fn secret_is_gone(&self) -> bool {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        api.get_opt("credentials")
            .await
            .expect("an answer")
            .is_none()
    }
}

fn says(part: &'static str) -> impl Fn(&CortecsInstance) -> bool {
    move |resource| resource.message("Stalled").contains(part)
}

#[tokio::test]
async fn a_namespace_goes_with_all_that_is_in_it() {
    let bed = Bed::new("gone").await;
    let _operator = bed.operator();
    bed.create_each(&["a", "b", "c"]).await;
    bed.all_run(&["a", "b", "c"]).await;
    bed.delete_namespace(&bed.namespace).await;
    bed.wait_namespace_gone(&bed.namespace).await;
    assert_eq!((bed.existing(), bed.starts()), (Vec::new(), 3));
}

#[tokio::test]
async fn the_order_in_which_things_are_deleted_does_not_matter() {
    let orders = [
        ["secret", "account", "resource"],
        ["secret", "resource", "account"],
        ["account", "secret", "resource"],
        ["account", "resource", "secret"],
        ["resource", "secret", "account"],
        ["resource", "account", "secret"],
        // The account goes although a resource uses it.
        ["secret", "lost account", "resource"],
    ];
    stream::iter(orders)
        .for_each_concurrent(4, async |order| {
            let bed = Bed::new("order").await;
            let _operator = bed.operator();
            bed.run("phi", json!({"modelId": MODEL})).await;
            for what in order {
                match what {
                    "secret" => bed.delete_secret().await,
                    "account" => bed.delete_account().await,
                    "resource" => bed.delete("phi").await,
                    _ => bed.lose_account().await,
                }
            }
            bed.wait_gone("phi").await;
            bed.wait_account_gone().await;
            assert_eq!(bed.existing(), [""; 0], "{order:?}");
        })
        .await;
}

#[tokio::test]
async fn after_a_restart_without_the_secret_deletes_wait_for_it_and_say_so() {
    let bed = Bed::builder("no-secret")
        .account(json!({"allowedNamespaces": {"from": "All"}}))
        .neighbour("team", &[])
        .build()
        .await;
    let team = bed.neighbour("team");
    let first = bed.operator();
    bed.create_in(&team, "phi", json!({"modelId": MODEL})).await;
    bed.wait_in(&team, "phi", "running", running).await;
    first.kill();
    bed.delete_secret().await;
    bed.delete_namespace(&team).await;
    let _second = bed.operator();
    let waits = bed
        .wait_in(&team, "phi", "waiting", |r| {
            stalled_because("SecretNotFound")(r) && says("cannot be removed")(r)
        })
        .await;
    let message = waits.message("Stalled");
    for part in [bound(&waits), "credentials", "Orphan"] {
        assert!(message.contains(part), "no {part} in {message}");
    }
    assert_eq!(bed.existing(), [bound(&waits)]);
    bed.write_secret(CLIENT_ID, &bed.client_secret).await;
    bed.wait_namespace_gone(&team).await;
    assert_eq!(bed.existing(), [""; 0]);
}

#[tokio::test]
async fn in_a_namespace_that_is_being_deleted_there_are_two_ways_out() {
    let bed = Bed::builder("ways-out")
        .neighbour("other", &[])
        .build()
        .await;
    let first = bed.operator();
    for name in ["removed", "left"] {
        bed.create(name, json!({"modelId": MODEL})).await;
    }
    let removed = bed.runs("removed").await;
    let left = bed.runs("left").await;
    first.kill();
    bed.delete_namespace(&bed.namespace).await;
    eventually_true("the Secret is gone", SOON, async || {
        bed.secret_is_gone().await
    })
    .await;
    let _second = bed.operator();
    for name in ["removed", "left"] {
        bed.wait(name, "waiting", says("in another namespace"))
            .await;
    }
    // It is not possible to create the Secret again.
    let secrets: Api<Secret> = Api::namespaced(bed.client.clone(), &bed.namespace);
    let secret: Secret =
        serde_json::from_value(json!({"metadata": {"name": "credentials"}})).unwrap();
    let refused = secrets.create(&PostParams::default(), &secret).await;
    assert!(refused.is_err());
    assert_eq!(bed.existing().len(), 2);

    bed.change("left", json!({"deletionPolicy": "Orphan"}))
        .await;
    bed.wait_gone("left").await;
    let other = bed.neighbour("other");
    bed.write_secret_in(&other, CLIENT_ID, &bed.client_secret)
        .await;
    bed.create_account_in(&other, "same", json!({})).await;
    bed.wait_gone("removed").await;
    bed.wait_namespace_gone(&bed.namespace).await;
    assert_eq!(bed.existing(), [left]);
    assert_ne!(bed.existing(), [removed]);
}
