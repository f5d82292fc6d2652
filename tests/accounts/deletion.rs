//! The deletion of an account that is in use.

use cortecs_resources::{CortecsAccount, account::AccountMode};
use kube::{api::DeleteParams, runtime::wait::await_condition};
use serde_json::json;
use tokio::time::timeout;

use crate::scenario::{DEADLINE, Scenario};

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
