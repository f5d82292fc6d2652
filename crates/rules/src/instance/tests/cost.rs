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
