use std::time::Duration;

use cortecs_api::types::{InstanceArgs, InstanceState};
use serde_json::json;

use super::{DEADLINE, MODEL, OTHER, Scenario};
use crate::{Endpoint, Omitted, SimulatedAccount, Simulator, SimulatorConfig};

fn args(model: &str) -> InstanceArgs {
    InstanceArgs {
        model_id: model.into(),
        ..InstanceArgs::default()
    }
}

#[tokio::test]
async fn waiting_sees_progress_and_requests_as_they_happen() {
    let scenario = Scenario::slow().await;
    let handle = scenario.simulator.handle();
    handle.set_step_duration(Duration::from_millis(20));
    let running = handle.wait_for(
        |view| {
            view.existing()
                .any(|i| i.instance_status.status == InstanceState::Running)
        },
        DEADLINE * 10,
    );
    // The step itself ends the wait, long before the deadline.
    let running = tokio::time::timeout(DEADLINE, running);
    let (waited, id) = tokio::join!(running, scenario.start(MODEL));
    waited.unwrap().unwrap();
    assert!(
        handle
            .instances("demo")
            .iter()
            .any(|instance| instance.instance_id == id)
    );

    let never = handle
        .wait_for(
            |view| view.count(Endpoint::Stop) > 0,
            Duration::from_millis(50),
        )
        .await;
    let message = never.unwrap_err().to_string();
    assert!(
        message.contains(&id) && message.contains("running"),
        "{message}"
    );
}

#[tokio::test]
async fn outsiders_act_without_requests() {
    let scenario = Scenario::slow().await;
    let handle = scenario.simulator.handle();
    handle.reset_counts();
    let id = handle.outsider_start("demo", args(MODEL)).unwrap();
    let other = handle.outsider_start("demo", args(OTHER)).unwrap();
    assert!(handle.outsider_start("demo", args("no--model")).is_err());
    assert!(handle.outsider_start("nobody", args(MODEL)).is_err());
    handle.outsider_stop(&id).unwrap();
    assert!(handle.outsider_stop(&id).is_err());
    assert_eq!(handle.stop_everything("demo"), [other.as_str()]);
    handle.outsider_delete(&other).unwrap();
    assert!(handle.outsider_delete(&other).is_err());
    assert!(handle.counts().is_empty());
    let history = handle.all_started();
    let brief: Vec<_> = history
        .iter()
        .map(|h| {
            (
                h.outsider,
                h.billed_starts,
                h.is_billed(),
                h.deleted_at.is_some(),
            )
        })
        .collect();
    assert_eq!(brief, [(true, 1, false, false), (true, 1, false, true)]);
    assert_eq!(scenario.listed().await, [id]);
}

#[tokio::test]
async fn while_down_every_call_is_503_and_nothing_changes() {
    let scenario = Scenario::slow().await;
    let handle = scenario.simulator.handle();
    let id = scenario.start(MODEL).await;
    handle.set_down(true);
    for answer in [
        scenario.get("/instances/").await,
        scenario.get("/models/").await,
        scenario
            .post("/instances/stop", json!({"instance_id": id}))
            .await,
        scenario.post("/oauth2/token", json!({})).await,
    ] {
        assert_eq!(answer.0, 503);
    }
    assert_eq!(
        handle.requests().pop().unwrap().fault.as_deref(),
        Some("down")
    );
    handle.set_down(false);
    assert_eq!(
        handle.instances("demo")[0].instance_status.status,
        InstanceState::Pending
    );
    assert_eq!(scenario.get("/instances/").await.0, 200);
}

#[tokio::test]
async fn lists_can_lag_by_a_number_of_lists() {
    let scenario = Scenario::slow().await;
    let handle = scenario.simulator.handle();
    handle.set_list_lag(2);
    let id = scenario.start(MODEL).await;
    assert!(scenario.listed().await.is_empty());
    assert!(scenario.listed().await.is_empty());
    assert_eq!(scenario.listed().await, [id.as_str()]);
    handle.outsider_delete(&id).unwrap();
    assert_eq!(scenario.listed().await, [id.as_str()]);
    assert_eq!(scenario.get(&format!("/instances/{id}")).await.0, 400);
    assert_eq!(scenario.listed().await, [id]);
    assert!(scenario.listed().await.is_empty());
}

#[tokio::test]
async fn secrets_change_tokens_expire_and_counts_are_left_out() {
    let mut scenario = Scenario::slow().await;
    let handle = scenario.simulator.handle();
    handle.omit([Omitted::NumWorkers]);
    let (_, started) = scenario
        .post(
            "/instances/start",
            json!({"model_id": MODEL, "num_workers": 3}),
        )
        .await;
    assert!(
        started["instance"]["instance_args"]
            .get("num_workers")
            .is_none(),
        "{started}"
    );
    assert_eq!(
        started["instance"]["worker_statuses"]
            .as_array()
            .unwrap()
            .len(),
        3
    );

    assert!(handle.set_secret("demo", "new"));
    assert!(!handle.set_secret("nobody", "new"));
    assert_eq!(scenario.get("/instances/").await.0, 200);
    handle.expire_tokens();
    assert_eq!(scenario.get("/instances/").await.0, 401);
    scenario.token = scenario.log_in("demo", "new").await;
    let (_, list) = scenario.get("/instances/").await;
    assert!(
        list["instances"][0]["instance_args"]
            .get("num_workers")
            .is_none(),
        "{list}"
    );
}

#[tokio::test]
async fn two_client_ids_can_share_an_owner() {
    let mut scenario = Scenario::with(SimulatorConfig {
        accounts: vec![
            SimulatedAccount::new("one", "1"),
            SimulatedAccount::new("two", "2").owned_by("one"),
            SimulatedAccount::new("three", "3"),
        ],
        ..SimulatorConfig::default()
    })
    .await;
    let id = scenario.start(MODEL).await;
    scenario.token = scenario.log_in("two", "2").await;
    assert_eq!(scenario.listed().await, [id]);
    scenario.token = scenario.log_in("three", "3").await;
    assert!(scenario.listed().await.is_empty());
}

#[tokio::test]
async fn a_stopped_simulator_frees_its_port_and_a_new_one_repeats_no_id() {
    let scenario = Scenario::slow().await;
    let listen = scenario.simulator.address();
    let before = scenario.start(MODEL).await;
    scenario.simulator.stop().await;
    let simulator = Simulator::start(SimulatorConfig {
        listen,
        ..SimulatorConfig::default()
    })
    .await
    .unwrap();
    let after = simulator
        .handle()
        .outsider_start("demo", args(MODEL))
        .unwrap();
    assert_ne!(before, after);
    simulator.stop().await;
}
