use std::collections::BTreeSet;

use cortecs_clock as clock;
use serde_json::json;

use super::*;

const ACCOUNT: &str = "team-a/main";

fn value(metrics: &Metrics, series: &str) -> Option<f64> {
    let text = metrics.encode().unwrap();
    let prefix = format!("{series} ");
    let mut values = text
        .lines()
        .filter_map(|line| line.strip_prefix(&prefix))
        .map(|value| value.parse().unwrap());
    let first = values.next();
    assert_eq!(values.next(), None, "{series} is there twice:\n{text}");
    first
}

fn filled() -> Metrics {
    let metrics = Metrics::new();
    metrics
        .reconcile("cortecsinstance")
        .finish(ReconcileResult::Success);
    metrics.set_leader("cortecs-operator", true);
    metrics.api_request(
        ACCOUNT,
        "list",
        ApiCode::Status(200),
        Duration::from_millis(300),
    );
    metrics.set_instances(ACCOUNT, [("Running", 2)]);
    metrics.set_unmanaged_instances(ACCOUNT, 3);
    metrics.set_late_instances(ACCOUNT, 1);
    let labels = Labels {
        namespace: "team-b".to_owned(),
        model: "org--model".to_owned(),
        currency: "EUR".to_owned(),
    };
    metrics.set_price_per_hour(ACCOUNT, &[(labels.clone(), 3.75)].into());
    metrics.set_costs(ACCOUNT, [(labels, 7.5)].into());
    let hardware = json!([{ "hardware_type_id": "L4", "price_info": { "price_per_hour": 1.25, "currency": "EUR" } }]);
    metrics.set_hardware_prices(
        ACCOUNT,
        &Prices::of(serde_json::from_value(hardware).unwrap()),
    );
    let balance = Money {
        amount: "12.50".to_owned(),
        currency: "EUR".to_owned(),
    };
    metrics.set_balance(ACCOUNT, &balance);
    metrics.set_held(ACCOUNT, true);
    metrics.set_contested(ACCOUNT, true);
    metrics.set_ready(ACCOUNT, true);
    let age = Duration::from_secs(70);
    metrics.set_open_starts(ACCOUNT, OpenStarts { count: 2, age });
    metrics.set_overdue_transitions(ACCOUNT, 3);
    metrics.start(ACCOUNT, StartOutcome::Accepted);
    metrics.start_duration(Duration::from_secs(90));
    metrics.list_received(ACCOUNT, clock::moment());
    metrics.set_unreadable("cortecsinstance", 1);
    metrics
}

/// The names of all series, in their order.
fn names(text: &str) -> BTreeSet<&str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect()
}

#[test]
fn each_metric_has_a_panel_of_the_dashboard() {
    let path = "deploy/helm/cortecs-operator/files/dashboard.json";
    let dashboard = std::fs::read_to_string(path).unwrap();
    let text = filled().encode().unwrap();
    let parts_of_histograms = ["_sum", "_count"];
    let absent: Vec<_> = names(&text)
        .into_iter()
        .filter(|name| !parts_of_histograms.iter().any(|part| name.ends_with(part)))
        .filter(|name| {
            !dashboard.contains(&format!("{name}{{")) && !dashboard.contains(&format!("{name}["))
        })
        .collect();
    assert_eq!(absent, [""; 0]);
}

#[test]
fn the_exposed_names_are_the_documented_ones() {
    let text = filled().encode().unwrap();
    let names: Vec<_> = names(&text).into_iter().collect();
    assert_eq!(
        names,
        [
            "controller_runtime_active_workers",
            "controller_runtime_reconcile_errors_total",
            "controller_runtime_reconcile_time_seconds_bucket",
            "controller_runtime_reconcile_time_seconds_count",
            "controller_runtime_reconcile_time_seconds_sum",
            "controller_runtime_reconcile_total",
            "cortecs_account_contested",
            "cortecs_account_held",
            "cortecs_account_ready",
            "cortecs_api_request_duration_seconds_bucket",
            "cortecs_api_request_duration_seconds_count",
            "cortecs_api_request_duration_seconds_sum",
            "cortecs_api_requests_total",
            "cortecs_balance",
            "cortecs_cost_total",
            "cortecs_hardware_price_per_hour",
            "cortecs_instances",
            "cortecs_kubernetes_writes_refused_total",
            "cortecs_late_instances",
            "cortecs_list_age_seconds",
            "cortecs_open_start_age_seconds",
            "cortecs_open_starts",
            "cortecs_overdue_transitions",
            "cortecs_price_per_hour",
            "cortecs_start_duration_seconds_bucket",
            "cortecs_start_duration_seconds_count",
            "cortecs_start_duration_seconds_sum",
            "cortecs_starts_total",
            "cortecs_unmanaged_instances",
            "cortecs_unreadable_objects",
            "leader_election_master_status",
        ]
    );
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn each_family_is_described_once_with_its_type() {
    let text = filled().encode().unwrap();
    for described in [
        "# TYPE controller_runtime_reconcile counter",
        "# TYPE controller_runtime_reconcile_time_seconds histogram",
        "# TYPE cortecs_api_requests counter",
        "# TYPE cortecs_instances gauge",
        "# TYPE cortecs_list_age_seconds gauge",
        "# UNIT cortecs_list_age_seconds seconds",
    ] {
        assert_eq!(
            text.lines().filter(|line| *line == described).count(),
            1,
            "{described}\n{text}"
        );
    }
}

#[test]
fn values_and_labels_are_the_recorded_ones() {
    let metrics = filled();
    for (series, expected) in [
        (
            "leader_election_master_status{name=\"cortecs-operator\"}",
            1.0,
        ),
        (
            "cortecs_api_requests_total{account=\"team-a/main\",endpoint=\"list\",code=\"200\"}",
            1.0,
        ),
        (
            "cortecs_instances{account=\"team-a/main\",phase=\"Running\"}",
            2.0,
        ),
        (
            "cortecs_instances{account=\"team-a/main\",phase=\"Failed\"}",
            0.0,
        ),
        ("cortecs_unmanaged_instances{account=\"team-a/main\"}", 3.0),
        ("cortecs_late_instances{account=\"team-a/main\"}", 1.0),
        (
            "cortecs_price_per_hour{account=\"team-a/main\",namespace=\"team-b\",model=\"org--model\",currency=\"EUR\"}",
            3.75,
        ),
        (
            "cortecs_cost_total{account=\"team-a/main\",namespace=\"team-b\",model=\"org--model\",currency=\"EUR\"}",
            7.5,
        ),
        (
            "cortecs_hardware_price_per_hour{account=\"team-a/main\",hardware_type=\"L4\",currency=\"EUR\"}",
            1.25,
        ),
        (
            "cortecs_balance{account=\"team-a/main\",currency=\"EUR\"}",
            12.5,
        ),
        ("cortecs_account_held{account=\"team-a/main\"}", 1.0),
        ("cortecs_account_contested{account=\"team-a/main\"}", 1.0),
        ("cortecs_account_ready{account=\"team-a/main\"}", 1.0),
        ("cortecs_open_starts{account=\"team-a/main\"}", 2.0),
        ("cortecs_overdue_transitions{account=\"team-a/main\"}", 3.0),
        (
            "cortecs_open_start_age_seconds{account=\"team-a/main\"}",
            70.0,
        ),
        (
            "cortecs_starts_total{account=\"team-a/main\",outcome=\"accepted\"}",
            1.0,
        ),
        (
            "cortecs_starts_total{account=\"team-a/main\",outcome=\"void\"}",
            0.0,
        ),
        ("cortecs_start_duration_seconds_sum", 90.0),
        (
            "cortecs_api_request_duration_seconds_sum{endpoint=\"list\"}",
            0.3,
        ),
    ] {
        assert_eq!(
            value(&metrics, series),
            Some(expected),
            "{series}\n{}",
            metrics.encode().unwrap()
        );
    }
    metrics.set_leader("cortecs-operator", false);
    assert_eq!(
        value(
            &metrics,
            "leader_election_master_status{name=\"cortecs-operator\"}"
        ),
        Some(0.0)
    );
    metrics.set_instances(ACCOUNT, [("Stopped", 1), ("no such phase", 9)]);
    assert_eq!(
        value(
            &metrics,
            "cortecs_instances{account=\"team-a/main\",phase=\"Running\"}"
        ),
        Some(0.0)
    );
    assert!(!metrics.encode().unwrap().contains("no such phase"));
}

#[test]
fn the_age_of_a_list_is_computed_when_metrics_are_read() {
    let metrics = Metrics::new();
    let listed = Moment::from_boot(
        clock::moment()
            .since_boot()
            .saturating_sub(Duration::from_secs(5)),
    );
    metrics.list_received(ACCOUNT, listed);
    let age = || {
        value(
            &metrics,
            "cortecs_list_age_seconds{account=\"team-a/main\"}",
        )
        .unwrap()
    };
    let first = age();
    assert!(first >= clock::moment().since(listed).as_secs_f64().min(5.0) && first > 0.0);
    while clock::moment().since(listed).as_secs_f64() <= first {
        std::thread::yield_now();
    }
    assert!(age() > first);
}

#[test]
fn a_reconcile_is_counted_until_its_end_and_records_its_result() {
    let metrics = Metrics::new();
    let active = || {
        value(
            &metrics,
            "controller_runtime_active_workers{controller=\"c\"}",
        )
    };
    let total = |result: &str| {
        value(
            &metrics,
            &format!("controller_runtime_reconcile_total{{controller=\"c\",result=\"{result}\"}}"),
        )
    };
    let errors = || {
        value(
            &metrics,
            "controller_runtime_reconcile_errors_total{controller=\"c\"}",
        )
    };
    let first = metrics.reconcile("c");
    let second = metrics.reconcile("c");
    assert_eq!(
        (active(), errors(), total("success")),
        (Some(2.0), Some(0.0), Some(0.0))
    );
    first.finish(ReconcileResult::RequeueAfter);
    assert_eq!(
        (active(), errors(), total("requeue_after")),
        (Some(1.0), Some(0.0), Some(1.0))
    );
    drop(second);
    assert_eq!(
        (active(), errors(), total("error")),
        (Some(0.0), Some(1.0), Some(1.0))
    );
    let count = "controller_runtime_reconcile_time_seconds_count{controller=\"c\"}";
    assert_eq!(value(&metrics, count), Some(2.0));
}

#[test]
fn a_removed_account_leaves_no_series_behind() {
    let metrics = filled();
    metrics.api_request("team-b/main", "list", ApiCode::Timeout, Duration::ZERO);
    metrics.remove_account(ACCOUNT);
    let text = metrics.encode().unwrap();
    assert!(!text.contains(ACCOUNT), "{text}");
    assert!(
        text.contains("account=\"team-b/main\",endpoint=\"list\",code=\"timeout\""),
        "{text}"
    );
    metrics.retain_accounts(|account| account == "team-c/main");
    assert!(!metrics.encode().unwrap().contains("account="));
}

#[test]
fn labels_are_bounded() {
    let metrics = Metrics::new();
    for code in 0..u16::MAX {
        metrics.api_request(ACCOUNT, "list", ApiCode::Status(code), Duration::ZERO);
    }
    let requests = |text: &str| {
        text.lines()
            .filter(|line| line.starts_with("cortecs_api_requests_total"))
            .count()
    };
    assert_eq!(requests(&metrics.encode().unwrap()), 501);
    metrics.remove_account(ACCOUNT);
    for number in 0..MAX_ACCOUNTS + 50 {
        metrics.set_unmanaged_instances(&format!("team/{number}"), 1);
    }
    let text = metrics.encode().unwrap();
    let accounts = text
        .lines()
        .filter(|line| line.starts_with("cortecs_unmanaged_instances{"))
        .count();
    assert_eq!(accounts, MAX_ACCOUNTS + 1);
    assert!(text.contains("cortecs_unmanaged_instances{account=\"other\"} 1"));
}

/// The upper bounds of a histogram's buckets, as they are shown.
fn buckets(metrics: &Metrics, histogram: &str) -> Vec<f64> {
    let text = metrics.encode().unwrap();
    let prefix = format!("{histogram}_bucket{{");
    let lines = text.lines().filter(|line| line.starts_with(&prefix));
    let bounds = lines.filter_map(|line| line.split("le=\"").nth(1)?.split('"').next());
    bounds
        .filter(|bound| *bound != "+Inf")
        .map(|bound| bound.parse().unwrap())
        .collect()
}

#[test]
fn the_buckets_cover_the_expected_range_without_wide_gaps() {
    let metrics = filled();
    for (histogram, least, most) in [
        ("controller_runtime_reconcile_time_seconds", 0.001, 10.0),
        // A request ends after 30 s unless it is set otherwise.
        ("cortecs_api_request_duration_seconds", 0.025, 60.0),
        ("cortecs_start_duration_seconds", 15.0, 3600.0),
    ] {
        let bounds = buckets(&metrics, histogram);
        assert_eq!(bounds.first(), Some(&least), "{histogram}");
        assert_eq!(bounds.last(), Some(&most), "{histogram}");
        assert!((8..=16).contains(&bounds.len()), "{histogram}: {bounds:?}");
        for pair in bounds.windows(2) {
            let growth = pair[1] / pair[0];
            assert!(growth > 1.0 && growth <= 2.5, "{histogram}: {pair:?}");
        }
    }
    // The bounds that the alert on slow requests and the default deadline of a start need.
    assert!(buckets(&metrics, "cortecs_api_request_duration_seconds").contains(&30.0));
    assert!(buckets(&metrics, "cortecs_start_duration_seconds").contains(&1800.0));
}
