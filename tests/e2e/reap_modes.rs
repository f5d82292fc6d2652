//! `reap` makes overdue stops and carries out nothing that an account orders.

use cortecs_resources::CortecsAccount;
use cortecs_simulator::Endpoint;
use jiff::{SignedDuration, Timestamp};
use kube::api::PostParams;
use serde_json::json;

use crate::harness::{Bed, CLIENT_ID, MODEL, MODEL_ID, Process};

#[tokio::test]
async fn an_order_to_stop_everything_is_not_carried_out_by_the_reaper() {
    let bed = Bed::builder("reap-stop-all").elected().build().await;
    let operator = bed.operator();
    bed.run_sealed("phi", json!({"modelId": MODEL, "maxRuntimeSeconds": 3_600}))
        .await;
    let stray = bed.start_unmanaged(MODEL_ID);
    operator.kill();
    bed.patch_account(json!({"mode": "StopAll", "lateStartPolicy": "Delete"}))
        .await;
    // As if the operator had died between the record and the call.
    let accounts = bed.api_of::<CortecsAccount>(&bed.namespace);
    let mut account = accounts.get("main").await.expect("the account");
    let home = bed.latest("phi").and_then(|r| r.status.clone()?.account);
    let home = home.expect("an account");
    let status = account.status.as_mut().expect("a status");
    let order = json!({
        "since": Timestamp::now(), "stopped": 0, "apiUrl": home.api_url, "clientId": CLIENT_ID,
    });
    status.stop_all = serde_json::from_value(order).expect("an order");
    accounts
        .replace_status("main", &PostParams::default(), &account)
        .await
        .expect("a written status");
    let status = bed.latest("phi").and_then(|r| r.status.clone());
    let mut status = serde_json::to_value(status).expect("a status");
    let started = Timestamp::now() - SignedDuration::from_hours(3);
    status["journal"]["slots"]["current"]["lastStartTime"] = json!(started);
    status["nextTransition"]["at"] = json!(started + SignedDuration::from_hours(1));
    bed.replace_status("phi", status).await;

    let mut reaper = Process::reap(&bed, &[]).await;
    let code = reaper.ended().await.code();
    assert_eq!(code, Some(0), "{}", reaper.log());
    assert_eq!(bed.changes(), [1, 0, 1, 0]);
    assert_eq!(bed.api.count(Endpoint::StopAll), 0);
    assert!(bed.existing().contains(&stray));
}
