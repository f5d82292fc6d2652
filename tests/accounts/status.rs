//! What an account shows in its status and in the metrics.

use cortecs_resources::{
    CortecsAccount,
    conditions::{STALLED, find_condition},
    key::ObjectKey,
};
use cortecs_rules::{account::brake::Measure, cost::bill::Bill};
use cortecs_simulator::Endpoint;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::events::v1::Event;
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams, WatchEvent, WatchParams},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    eventually::eventually_true,
    scenario::{DEADLINE, Scenario, ready},
};

#[tokio::test]
async fn an_account_shows_what_its_lists_say_and_writes_nothing_else() {
    let scenario = Scenario::new("shows").await;
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let idle = scenario
        .until("main", |a| {
            a.status.as_ref().is_some_and(|s| s.instances.is_some())
        })
        .await;
    assert_eq!(
        idle.metadata.finalizers,
        Some(vec!["cortecs.ai/account".to_owned()])
    );
    timeout(DEADLINE, scenario.directory.wait_until_synced())
        .await
        .unwrap();
    let accounts = scenario.accounts();
    let mut writes = accounts
        .watch(
            &WatchParams::default(),
            &idle.metadata.resource_version.unwrap(),
        )
        .await
        .unwrap()
        .boxed();
    for _ in 0..20 {
        scenario.list().await;
    }
    let id = scenario.start_outside().await;
    scenario.list().await;
    let first = timeout(DEADLINE, writes.try_next()).await.unwrap().unwrap();
    let Some(WatchEvent::Modified(shown)) = first else {
        panic!("{first:?}");
    };
    let status = shown.status.unwrap();
    assert_eq!(
        status.unmanaged[0].id, id,
        "the first write is the one that has news"
    );
    assert_eq!(status.instances.unwrap().unmanaged, 1);
    let args = status.unmanaged[0].args.clone();
    assert!(status.last_poll_time.is_some());

    scenario.others.claimed.lock().unwrap().insert(id);
    scenario.list().await;
    scenario
        .until("main", |a| {
            let counts = a.status.as_ref().and_then(|s| s.instances.clone());
            counts.is_some_and(|c| (c.managed, c.unmanaged) == (1, 0))
        })
        .await;
    let metrics = scenario.metrics.encode().unwrap();
    let account = format!("{{account=\"{}/main\"", scenario.namespace);
    for family in [
        "cortecs_list_age_seconds",
        "cortecs_unmanaged_instances",
        "cortecs_api_requests_total",
    ] {
        assert!(
            metrics.contains(&format!("{family}{account}")),
            "{family}\n{metrics}"
        );
    }
    let price = scenario
        .price_per_hour(args.hardware_type_id.as_deref().unwrap())
        .await;
    let model = &args.model_id;
    let series = format!(
        "cortecs_price_per_hour{account},namespace=\"team\",model=\"{model}\",currency=\"EUR\"}} {price:?}\n"
    );
    let told = async {
        while !scenario.metrics.encode().unwrap().contains(&series) {
            scenario.list().await;
        }
    };
    timeout(DEADLINE, told).await.expect(&series);
    let shown = scenario
        .until("main", |a| {
            let status = a.status.as_ref();
            status.is_some_and(|s| s.balance.is_some() && !s.price_per_hour.is_empty())
        })
        .await;
    let status = shown.status.unwrap();
    let (balance, per_hour) = (status.balance.unwrap(), &status.price_per_hour[0]);
    assert_eq!(balance.currency, "EUR");
    assert_eq!(per_hour.currency, "EUR");
    assert_eq!(per_hour.managed.parse::<f64>().unwrap(), price);
    assert_eq!(per_hour.unmanaged, "0.00");
    let metrics = scenario.metrics.encode().unwrap();
    let series = format!("cortecs_balance{account},currency=\"EUR\"}}");
    assert!(metrics.contains(&series), "{metrics}");
    let handle = scenario.simulator.handle();

    assert_eq!(
        handle.count(Endpoint::HardwareTypes),
        2,
        "once by the operator, once by this test"
    );
}

#[tokio::test]
async fn what_resources_have_cost_is_added_once_by_one_write() {
    let scenario = Scenario::new("spent").await;
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let bill = |uid: &str| Bill {
        uid: uid.to_owned(),
        resource: ObjectKey::new("team", uid),
        currency: "EUR".to_owned(),
        parts: vec![("org--model".to_owned(), 0.25)],
    };
    *scenario.others.bills.lock().unwrap() = vec![bill("a"), bill("b")];
    for seconds in [3000, 2000, 1000] {
        // Each change leads to a reconcile, with the same bills again.
        let poll = json!({"poll": {"idleSeconds": seconds}});
        scenario.change("main", poll).await;
        let generation = scenario.accounts().get("main").await.unwrap();
        let generation = generation.metadata.generation;
        let account = scenario
            .until("main", |a| {
                let status = a.status.as_ref();
                status.is_some_and(|s| s.observed_generation == generation)
            })
            .await;
        let status = account.status.unwrap();
        let spent = &status.spent[..];
        assert_eq!(spent.len(), 1, "{spent:?}");
        let entry = &spent[0];
        let place = (entry.namespace.as_str(), entry.model_id.as_str());
        assert_eq!(
            (place, entry.amount.as_str()),
            (("team", "org--model"), "0.50")
        );
        assert_eq!(status.settled, ["a", "b"]);
    }
    assert_eq!(*scenario.others.settled.lock().unwrap(), ["a", "b"]);
}

/// Otherwise they would be added again when the account comes back.
#[tokio::test]
async fn bills_for_an_account_that_goes_to_another_operator_are_forgotten() {
    let scenario = Scenario::new("left").await;
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let main = format!("{}/main", scenario.namespace);
    let mut gone = scenario.others.gone.subscribe();
    assert!(!gone.borrow_and_update().contains(&main));
    let elsewhere = json!({"metadata": {"annotations": {"cortecs.ai/operator": "elsewhere"}}});
    scenario
        .accounts()
        .patch("main", &PatchParams::default(), &Patch::Merge(elsewhere))
        .await
        .unwrap();
    timeout(DEADLINE, gone.wait_for(|gone| gone.contains(&main)))
        .await
        .expect("they are forgotten")
        .unwrap();
}

/// An annotation that names no operator that is there is most likely misspelt.
#[tokio::test]
async fn an_account_that_the_named_operator_does_not_take_says_so() {
    let scenario = Scenario::new("unclaimed").await;
    scenario.secret("good", "demo-secret").await;
    let annotate = async |value: Value| {
        let annotations = json!({"metadata": {"annotations": {"cortecs.ai/operator": value}}});
        let patch = Patch::Merge(annotations);
        let accounts = scenario.accounts();
        accounts
            .patch("main", &PatchParams::default(), &patch)
            .await
            .unwrap();
    };
    let contested = || {
        let line = format!(
            "cortecs_account_contested{{account=\"{}/main\"}} 1",
            scenario.namespace
        );
        let metrics = scenario.metrics.encode().unwrap();
        metrics.lines().any(|l| l == line)
    };
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    for named in ["cortecs-sytem", "the-release", "Team A"] {
        annotate(json!(named)).await;
        let says = format!("names the operator in namespace {named:?}");
        let account = scenario
            .until("main", |account| {
                let conditions = account.status.as_ref().map(|s| &*s.conditions);
                let stalled = find_condition(conditions.unwrap_or_default(), STALLED);
                stalled.is_some_and(|c| c.reason == "ManagedElsewhere" && c.message.contains(&says))
            })
            .await;
        let (reason, message) = ready(&account).unwrap();
        assert_eq!(reason, "ManagedElsewhere");
        assert!(message.ends_with(&format!("operators in {}", scenario.namespace)));
        assert!(contested(), "{named}");
    }
    let events: Api<Event> = Api::namespaced(scenario.client.clone(), &scenario.namespace);
    let told = async || {
        let events = events.list(&ListParams::default()).await.unwrap();
        let told = |event: &&Event| event.reason.as_deref() == Some("ManagedElsewhere");
        events.items.iter().filter(told).count() == 3
    };
    eventually_true("each is told by an event", DEADLINE, told).await;
    // It is said once. Corrected, the account is as before.
    annotate(Value::Null).await;
    scenario.reason("main", "Verified").await;
    assert!(!contested());
}

#[tokio::test]
async fn a_mass_change_is_recorded_and_told_in_status_and_metrics() {
    let scenario = Scenario::new("brake").await;
    scenario.secret("good", "demo-secret").await;
    scenario.account("main", json!({})).await;
    scenario.reason("main", "Verified").await;
    let series = format!(
        "cortecs_account_held{{account=\"{}/main\"}}",
        scenario.namespace
    );
    let gauge = |value: &str| {
        let line = format!("{series} {value}");
        scenario
            .metrics
            .encode()
            .unwrap()
            .lines()
            .any(|l| l == line)
    };
    assert!(gauge("0"));
    let before = scenario.fleet().snapshot().unwrap().sequence;
    let lost = Measure {
        expected: 5,
        lost: 4,
        wanted: 5,
        down: 4,
        ..Measure::default()
    };
    *scenario.others.measure.lock().unwrap() = lost;
    scenario.fleet().request_list_after(cortecs_clock::moment());
    let message = scenario.reason("main", "MassChange").await;
    assert!(message.contains("4 of 5"), "{message}");
    let mut ended = scenario.fleet().ended();
    let fleet = scenario.fleet();
    let published = ended.wait_for(|_| fleet.snapshot().unwrap().sequence > before);
    timeout(DEADLINE, published).await.unwrap().unwrap();
    assert!(scenario.directory.hold_message(&scenario.key()).is_some() && gauge("1"));

    *scenario.others.measure.lock().unwrap() = Measure {
        lost: 0,
        down: 1,
        ..lost
    };
    scenario.fleet().request_list_after(cortecs_clock::moment());
    scenario.reason("main", "Verified").await;
    let fleet = scenario.fleet();
    let mut ended = fleet.ended();
    let told = ended.wait_for(|_| gauge("0"));
    timeout(DEADLINE, told).await.unwrap().unwrap();
    assert_eq!(scenario.directory.hold_message(&scenario.key()), None);
}

#[tokio::test]
async fn an_unmanaged_instance_is_shown_with_its_price_and_the_time_of_its_start() {
    let scenario = Scenario::new("unmanaged").await;
    scenario.secret("good", "demo-secret").await;
    let id = scenario.start_outside().await;
    scenario
        .account(
            "main",
            json!({"poll": {"activeSeconds": 1, "idleSeconds": 1}}),
        )
        .await;
    let shown = |a: &CortecsAccount| {
        let unmanaged = a.status.iter().flat_map(|s| &s.unmanaged).next();
        unmanaged.cloned()
    };
    let is_whole = |a: &CortecsAccount| {
        shown(a).is_some_and(|u| u.price_per_hour.is_some() && u.started_at.is_some())
    };
    let account = scenario.until("main", is_whole).await;
    let unmanaged = shown(&account).unwrap();
    let hardware = unmanaged.args.hardware_type_id.as_deref().unwrap();
    let price = scenario.price_per_hour(hardware).await;
    assert_eq!(unmanaged.id, id);
    assert_eq!(unmanaged.price_per_hour.unwrap().parse(), Ok(price));
    assert_eq!(unmanaged.currency.as_deref(), Some("EUR"));
    let started: jiff::Timestamp = unmanaged.started_at.unwrap().parse().unwrap();

    // Its age is no reason to write.
    let version = account.metadata.resource_version;
    for _ in 0..3 {
        scenario.list().await;
    }
    let later = scenario.until("main", |_| true).await;
    assert_eq!(later.metadata.resource_version, version, "{started}");

    // What is stopped is not billed.
    let handle = scenario.simulator.handle();
    handle.outsider_stop(&id).unwrap();
    let stopped = scenario.until("main", |a| shown(a).is_some_and(|u| u.state == "stopped"));
    assert_eq!(shown(&stopped.await).unwrap().price_per_hour, None);
}
