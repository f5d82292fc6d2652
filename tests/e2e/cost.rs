//! What the status says of the cost is what the API bills.

use cortecs_resources::{CortecsInstance, instance_status::Cost};
use cortecs_rules::cost::{
    Prices,
    accrued::{self, Look, Run},
};
use cortecs_simulator::{Endpoint, InstanceHistory, ListLag, Simulator, SimulatorConfig};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Bed, CLIENT_ID, MODEL, OTHER_MODEL, bound, running, stopped};

/// What two workers on the model's hardware cost in a minute.
const MINUTE: f64 = 0.07;

fn cost(resource: &CortecsInstance) -> Option<&Cost> {
    resource.status.as_ref()?.cost.as_ref()
}

fn is_priced(resource: &CortecsInstance) -> bool {
    cost(resource).is_some_and(|cost| cost.price_per_hour.is_some())
}

fn accrued(resource: &CortecsInstance) -> f64 {
    let cost = cost(resource).expect("a cost");
    cost.accrued.parse().expect("a decimal number")
}

/// What the API has billed for all instances.
fn bill(bed: &Bed) -> f64 {
    bed.ever()
        .iter()
        .map(|held: &InstanceHistory| held.cost)
        .sum()
}

/// Whether both are equal to the billing interval: the operator counts from shortly before the API does.
fn is_about(a: f64, b: f64) -> bool {
    (a - b).abs() < MINUTE + 1e-6
}

#[tokio::test]
async fn the_status_adds_up_what_the_api_bills() {
    let bed = Bed::new("cost").await;
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL, "numWorkers": 2}))
        .await;
    bed.wait("phi", "running", running).await;
    let phi = bed.wait("phi", "priced", is_priced).await;
    let shown = cost(&phi).unwrap().clone();
    assert_eq!(
        (shown.accrued.as_str(), shown.currency.as_deref()),
        ("0.00", Some("EUR"))
    );
    assert_eq!(shown.price_per_hour.as_deref(), Some("4.20"));
    assert!(shown.since.is_some());

    bed.change("phi", json!({"state": "Stopped"})).await;
    let phi = bed.wait("phi", "stopped", stopped).await;
    assert!(
        accrued(&phi) >= MINUTE && is_about(accrued(&phi), bill(&bed)),
        "{phi:?}"
    );
    assert!(!is_priced(&phi));
    // A second run, then another instance, and what the first one has cost stays.
    bed.change("phi", json!({"state": "Running"})).await;
    bed.wait("phi", "running", running).await;
    bed.change("phi", json!({"modelId": OTHER_MODEL})).await;
    let first = bound(&phi).to_owned();
    let is_other = |phi: &CortecsInstance| running(phi) && bound(phi) != first && is_priced(phi);
    let phi = bed.wait("phi", "replaced", is_other).await;
    let before: f64 = bed
        .ever()
        .iter()
        .filter(|held| held.instance.instance_id == first)
        .map(|held| held.cost)
        .sum();
    assert!(is_about(accrued(&phi), before), "{phi:?}");
    bed.change("phi", json!({"state": "Stopped"})).await;
    let phi = bed.wait("phi", "stopped", stopped).await;
    assert!(is_about(accrued(&phi), bill(&bed)), "{phi:?}");
}

/// Lists that show the instance as running after its stop, and a restart by somebody else, do not bill the run of before again.
#[tokio::test]
async fn a_long_run_is_counted_once_whatever_shows_after_its_stop() {
    let bed = Bed::new("cost-once").await;
    let operator = bed.operator();
    bed.run("phi", json!({"modelId": MODEL, "numWorkers": 2}))
        .await;
    let phi = bed.wait("phi", "priced", is_priced).await;
    drop(operator);
    let started = Timestamp::now() - SignedDuration::from_hours(3);
    let mut status = serde_json::to_value(&phi.status).unwrap();
    status["journal"]["slots"]["current"]["lastStartTime"] = json!(started);
    status["cost"]["since"] = json!(started);
    bed.replace_status("phi", status).await;
    let _operator = bed.operator();
    bed.wait_lists(1).await;
    bed.api.set_list_lag(ListLag::Lists(2));
    bed.change("phi", json!({"state": "Stopped", "driftPolicy": "Accept"}))
        .await;
    bed.wait("phi", "stopped", stopped).await;
    bed.wait_lists(5).await;
    let long = |phi: &CortecsInstance| accrued(phi) >= 180.0 * MINUTE;
    let phi = bed
        .wait("phi", "billed", |phi| stopped(phi) && long(phi))
        .await;
    assert!(accrued(&phi) < 183.0 * MINUTE, "{phi:?}");
    bed.api.set_list_lag(ListLag::None);

    // Its order is to be stopped, so it is stopped again.
    bed.api.outsider_restart(CLIENT_ID, bound(&phi)).unwrap();
    let again = |phi: &CortecsInstance| stopped(phi) && accrued(phi) > 180.5 * MINUTE;
    bed.wait_api("a stop", |api| api.count(Endpoint::Stop) > 1)
        .await;
    let phi = bed.wait("phi", "stopped again", again).await;
    bed.wait_lists(2).await;
    assert!(accrued(&phi) < 184.0 * MINUTE, "{phi:?}");
}

/// Each row of the examples in docs/cost.md: the price is the simulated API's, and the sum is what the status would show.
#[tokio::test]
async fn the_examples_of_the_page_are_right() {
    let simulator = Simulator::start(SimulatorConfig::default()).await.unwrap();
    let url = format!("{}/hardware-types/", simulator.api_url());
    let list: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let hardware = serde_json::from_value(list["hardware_types"].clone()).unwrap();
    let prices = Prices::of(hardware);
    let page = std::fs::read_to_string("docs/cost.md").unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `NVIDIA_"));
    let mut examples = 0;
    for row in rows {
        let cells: Vec<&str> = row
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect();
        let [
            _,
            hardware,
            interval,
            workers,
            seconds,
            per_hour,
            accrued,
            _,
        ] = cells[..]
        else {
            panic!("{row}");
        };
        let (workers, seconds): (i64, i64) = (workers.parse().unwrap(), seconds.parse().unwrap());
        let price = prices.of_workers(hardware, workers).unwrap();
        let since: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let run = Run {
            since,
            price: Some(price),
            model: None,
        };
        let interval = accrued::interval_seconds(Some(interval));
        let look = |now| Look {
            asked: Some(since),
            stopped: None,
            interval,
            now,
        };
        let begun = accrued::next(None, Some(run), look(since)).unwrap();
        assert_eq!(begun.price_per_hour.as_deref(), Some(per_hour), "{row}");
        let end = since + SignedDuration::from_secs(seconds);
        let ended = accrued::next(Some(&begun), None, look(end)).unwrap();
        assert_eq!(ended.accrued, accrued, "{row}");
        examples += 1;
    }
    assert_eq!(examples, 4);
    simulator.stop().await;
}
