//! What the status says of the cost is what the API bills.

use cortecs_resources::{CortecsInstance, instance_status::Cost};
use cortecs_rules::cost::{
    Prices,
    accrued::{self, Run},
};
use cortecs_simulator::{InstanceHistory, Simulator, SimulatorConfig};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Bed, MODEL, OTHER_MODEL, bound, running, stopped};

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
        let begun = accrued::next(None, Some(run), None, interval, since).unwrap();
        assert_eq!(begun.price_per_hour.as_deref(), Some(per_hour), "{row}");
        let end = since + SignedDuration::from_secs(seconds);
        let ended = accrued::next(Some(&begun), None, None, interval, end).unwrap();
        assert_eq!(ended.accrued, accrued, "{row}");
        examples += 1;
    }
    assert_eq!(examples, 4);
    simulator.stop().await;
}
