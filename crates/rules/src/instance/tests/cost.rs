//! What the status shows of the cost. The clock on the wall says 2026-01-03T00:00:00Z.

use cortecs_resources::instance_status::Cost;

use super::*;
use crate::cost::Prices;

/// An L4 costs so much an hour.
pub(super) fn prices(hour: f64) -> Option<Arc<Prices>> {
    let catalog = json!([{ "hardware_type_id": "NVIDIA_L4_1", "price_info": { "price_per_hour": hour, "currency": "EUR" } }]);
    Some(Arc::new(Prices::of(
        serde_json::from_value(catalog).unwrap(),
    )))
}

/// A resource whose instance was asked for an hour ago and is in this state.
fn seen(state: &str) -> Scene {
    let args = args();
    let status = json!({
        "account": home(), "instanceId": "i-1", "instanceArgs": args, "requestedArgs": args, "observedGeneration": 1,
        "lastStartTime": "2026-01-02T23:00:00Z", "instanceStatus": { "status": state },
    });
    let mut scene = Scene::new(json!({}), status);
    scene.list(999, &[instance("i-1", state)]);
    scene.fleet(|fleet| fleet.prices = prices(1.2));
    scene
}

fn shown(decision: &Decision) -> (Option<&str>, &str, Option<String>) {
    let cost = decision.status.cost.as_ref().unwrap();
    let Cost {
        price_per_hour,
        currency,
        accrued,
        since,
        ..
    } = cost;
    assert_eq!(currency.as_deref(), Some("EUR"));
    let since = since.map(|since| since.to_string());
    (price_per_hour.as_deref(), accrued, since)
}

/// The next decision, after the status of this one was written.
fn then(scene: &mut Scene, decision: &Decision) -> Decision {
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    scene.decide()
}

#[test]
fn what_is_billed_has_a_price_and_a_beginning_and_is_not_written_again() {
    for state in ["pending", "running"] {
        let mut scene = seen(state);
        let decision = scene.decide();
        let since = Some("2026-01-02T23:00:00Z".to_owned());
        assert_eq!(shown(&decision), (Some("1.20"), "0.00", since.clone()));
        assert_eq!(then(&mut scene, &decision).step, Step::Rest);
        // A new process knows no prices.
        scene.fleet(|fleet| fleet.prices = None);
        assert_eq!(scene.decide().step, Step::Rest);
    }
}

#[test]
fn each_worker_is_billed() {
    let mut scene = seen("running");
    let mut two = instance("i-1", "running");
    two.instance_args.num_workers = Some(2);
    scene.resource["spec"]["numWorkers"] = json!(2);
    scene.list(999, &[two]);
    assert_eq!(shown(&scene.decide()).0, Some("2.40"));
}

#[test]
fn a_stop_adds_the_run_and_so_does_the_loss_of_the_instance() {
    let mut scene = seen("running");
    let decision = scene.decide();
    let mut stopped = instance("i-1", "stopped");
    stopped.instance_status.stopped_at = Some("2026-01-02T23:30:00Z".into());
    scene.list(1000, &[stopped]);
    scene.resource["spec"]["state"] = json!("Stopped");
    let decision = then(&mut scene, &decision);
    assert_eq!(shown(&decision), (None, "0.60", None));
    assert_eq!(then(&mut scene, &decision).step, Step::Rest);

    let mut scene = seen("running");
    let decision = scene.decide();
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    scene.observe();
    scene.memory_of_bound().deleted = true;
    let decision = scene.decide();
    assert_eq!(decision.step, written(Purpose::Unbind));
    assert_eq!(shown(&decision), (None, "1.20", None));
    // Its account is forgotten, and pays all the same.
    assert_eq!(decision.status.account, None);
    let cost = decision.status.cost.unwrap();
    assert_eq!(cost.account.as_deref(), Some("ns/main"));
}

/// Lists show what was before for a while. Somebody else may also restart what this operator has stopped.
#[test]
fn what_comes_up_again_unasked_is_a_run_of_its_own_if_it_is_one() {
    let stopped_at = |time: &str| {
        let mut stopped = instance("i-1", "stopped");
        stopped.instance_status.stopped_at = Some(time.into());
        stopped
    };
    let mut scene = seen("running");
    let decision = scene.decide();
    scene.list(1000, &[stopped_at("2026-01-02T23:30:00Z")]);
    scene.resource["spec"]["state"] = json!("Stopped");
    let decision = then(&mut scene, &decision);
    assert_eq!(shown(&decision), (None, "0.60", None));
    // It shows as running, from before the stop or not: this is not the run of before.
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    scene.list(1001, &[instance("i-1", "running")]);
    scene.resource["spec"]["suspend"] = json!(true);
    let up = scene.decide();
    let now = Some("2026-01-03T00:00:00Z".to_owned());
    assert_eq!(shown(&up), (Some("1.20"), "0.60", now));
    scene.resource["status"] = serde_json::to_value(&up.status).unwrap();
    for (time, accrued) in [
        ("2026-01-02T23:30:00Z", "0.60"),
        ("2026-01-03T00:00:00Z", "0.62"),
    ] {
        scene.list(1002, &[stopped_at(time)]);
        assert_eq!(shown(&scene.decide()), (None, accrued, None));
    }
}

/// A restart was asked for, and nobody saw the instance run before it was stopped again.
#[test]
fn a_run_that_nobody_saw_is_counted_once() {
    let mut scene = seen("stopped");
    scene.resource["spec"]["state"] = json!("Stopped");
    let mut stopped = instance("i-1", "stopped");
    stopped.instance_status.stopped_at = Some("2026-01-02T23:00:30Z".into());
    scene.list(1000, &[stopped.clone()]);
    // Its price is not known yet.
    scene.fleet(|fleet| fleet.prices = None);
    let decision = scene.decide();
    assert_eq!(decision.status.cost, None);
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    scene.fleet(|fleet| fleet.prices = prices(1.2));
    let decision = scene.decide();
    assert_eq!(shown(&decision), (None, "0.02", None));
    assert_eq!(then(&mut scene, &decision).step, Step::Rest);
    // The time of the stop comes and goes, and the run is the same.
    stopped.instance_status.stopped_at = None;
    scene.list(1001, &[stopped.clone()]);
    let decision = scene.decide();
    assert_eq!(shown(&decision), (None, "0.02", None));
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    stopped.instance_status.stopped_at = Some("2026-01-02T23:00:30Z".into());
    scene.list(1002, &[stopped]);
    assert_eq!(shown(&scene.decide()), (None, "0.02", None));
}

/// A list from before a restart shows the instance as it was.
#[test]
fn a_list_that_lags_behind_a_restart_does_not_end_its_run() {
    let mut scene = seen("running");
    scene.resource["status"]["journal"]["slots"]["current"]["lastStartTime"] =
        json!("2026-01-02T23:59:58Z");
    let decision = scene.decide();
    let since = Some("2026-01-02T23:59:58Z".to_owned());
    assert_eq!(shown(&decision), (Some("1.20"), "0.00", since.clone()));
    let mut old = instance("i-1", "stopped");
    old.instance_status.stopped_at = Some("2026-01-02T20:00:00Z".into());
    scene.list(1001, &[old]);
    scene.resource["spec"]["suspend"] = json!(true);
    let decision = then(&mut scene, &decision);
    assert_eq!(shown(&decision), (Some("1.20"), "0.00", since));
}

/// The price became known only when the run had ended, and the API does not say when that was.
#[test]
fn a_run_whose_price_is_learnt_at_its_end_is_counted() {
    let mut scene = seen("running");
    scene.fleet(|fleet| fleet.prices = None);
    let decision = scene.decide();
    assert_eq!(decision.status.cost, None);
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    scene.fleet(|fleet| fleet.prices = prices(1.2));
    scene.list(1000, &[instance("i-1", "stopped")]);
    scene.resource["spec"]["state"] = json!("Stopped");
    assert_eq!(shown(&scene.decide()), (None, "1.20", None));
}

/// What a start was answered with is bound before a list shows it.
#[test]
fn what_is_bound_is_billed_before_a_list_shows_it() {
    let mut scene = seen("running");
    let status = scene.resource["status"].as_object_mut().unwrap();
    status.remove("instanceStatus");
    scene.observe();
    scene.list(1001, &[]);
    let since = Some("2026-01-02T23:00:00Z".to_owned());
    let decision = scene.decide();
    assert_eq!(shown(&decision), (Some("1.20"), "0.00", since));
}
