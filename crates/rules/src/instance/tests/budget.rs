//! Nothing is started, restarted or replaced that would exceed the account's budget.

use cortecs_resources::{budget::Budget, conditions::READY};

use super::*;
use crate::{cost::money::Money, facts::budget_wait::BudgetWait};

/// An account in which one worker costs 1.20 EUR an hour, with this budget.
fn with_budget(mut scene: Scene, budget: Value) -> Scene {
    let budget: Budget = serde_json::from_value(budget).unwrap();
    let of = ObjectKey::new("ns", "main");
    scene.account(|account| account.budgets = vec![(of, budget)]);
    scene.fleet(|fleet| fleet.prices = cost::prices(1.2));
    scene
}

fn most(amount: &str) -> Value {
    json!({ "maxPricePerHour": amount, "currency": "EUR" })
}

fn starts(scene: &mut Scene) -> bool {
    let step = scene.decide().step;
    matches!(step, Step::Write(Write::Status(Purpose::StartIntent(_))))
}

/// What the resource that waits is told.
fn waits(decision: &Decision) -> &str {
    assert_eq!(
        reconciling(decision),
        Some("WaitingForBudget"),
        "{decision:?}"
    );
    assert!(!decision.busy && decision.look_again.is_some());
    let ready = find_condition(&decision.status.conditions, READY).unwrap();
    &ready.message
}

fn numbered(id: &str, state: &str, workers: u32) -> Instance {
    let mut instance = instance(id, state);
    instance.instance_args.num_workers = Some(workers);
    instance
}

#[test]
fn what_runs_counts_whoever_has_started_it() {
    let mut scene = with_budget(Scene::new(json!({}), json!({})), most("2.40"));
    assert!(starts(&mut scene));
    scene.list(
        999,
        &[instance("others", "pending"), instance("old", "stopped")],
    );
    assert!(starts(&mut scene));
    let shown = numbered("others", "running", 2);
    scene.list(999, std::slice::from_ref(&shown));
    let decision = scene.decide();
    assert_eq!(
        waits(&decision),
        "account ns/main permits 2.40 EUR an hour by its spec.budget.maxPricePerHour: 2.40 EUR is billed, 0.00 EUR may be before long, and this needs 1.20 EUR"
    );
    assert_eq!(decision.step, written(Purpose::Report));
}

#[test]
fn an_open_start_of_another_resource_counts() {
    let mut scene = with_budget(Scene::new(json!({}), json!({})), most("2.40"));
    let open = |workers: i64| {
        let mut start = intent(9, "2026-01-02T23:59:00Z", &[]);
        start["args"]["numWorkers"] = json!(workers);
        resource(
            "other",
            json!({}),
            json!({ "account": home(), "start": start }),
        )
    };
    // An equal start does not hold this one up, as long as no call was made.
    scene.remembered = vec![("other", remembered_start(9, 999, Outcome::InFlight))];
    scene.others = vec![open(1)];
    assert!(starts(&mut scene));
    scene.account(|account| {
        account.budgets[0].1.max_price_per_hour = Some("2.39".to_owned());
    });
    let decision = scene.decide();
    assert!(
        waits(&decision).contains("0.00 EUR is billed, 1.20 EUR may be before long"),
        "{decision:?}"
    );
}

#[test]
fn what_can_never_fit_is_stalled() {
    let mut scene = with_budget(
        Scene::new(json!({ "numWorkers": 2 }), json!({})),
        most("2.39"),
    );
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("ExceedsBudget"));
    let mut scene = with_budget(
        Scene::new(json!({}), json!({})),
        json!({ "maxPricePerHour": "100", "currency": "USD" }),
    );
    let decision = scene.decide();
    assert_eq!(
        stalled(&decision),
        Some("ExceedsBudget"),
        "another currency"
    );
    let message = &find_condition(&decision.status.conditions, STALLED)
        .unwrap()
        .message;
    assert!(
        message.contains("NVIDIA_L4_1 has no price in USD"),
        "{message}"
    );
}

#[test]
fn without_prices_nothing_is_started_only_where_a_budget_is_set() {
    let mut scene = with_budget(Scene::new(json!({}), json!({})), most("2.40"));
    scene.fleet(|fleet| fleet.prices = None);
    assert!(waits(&scene.decide()).contains("prices are not known yet"));
    scene.account(|account| account.budgets.clear());
    assert!(starts(&mut scene));
    let mut scene = with_budget(Scene::new(json!({}), json!({})), most("2.40"));
    let mut other = instance("others", "running");
    other.instance_args.hardware_type_id = Some("NVIDIA_X".to_owned());
    scene.list(999, &[other]);
    let unknown = "what instance others costs in EUR is not known, which counts as too much";
    assert!(waits(&scene.decide()).contains(unknown));
}

#[test]
fn nothing_is_started_below_the_least_balance() {
    let budget = json!({ "minBalance": "5", "currency": "EUR" });
    let mut scene = with_budget(Scene::new(json!({}), json!({})), budget);
    scene.fleet(|fleet| fleet.prices = None);
    assert!(waits(&scene.decide()).contains("is not known at the moment"));
    let balance = |amount: &str, currency: &str| {
        Some(Money {
            amount: amount.to_owned(),
            currency: currency.to_owned(),
        })
    };
    for (amount, currency, expected) in [
        ("5.00", "EUR", true),
        ("4.999999", "EUR", false),
        ("-1.00", "EUR", false),
    ] {
        scene.fleet(|fleet| fleet.balance = balance(amount, currency));
        assert_eq!(starts(&mut scene), expected, "{amount} {currency}");
        if !expected {
            assert!(waits(&scene.decide()).contains("top up the account"));
        }
    }
    scene.fleet(|fleet| fleet.balance = balance("100.00", "USD"));
    let decision = scene.decide();
    assert_eq!(stalled(&decision), Some("ExceedsBudget"));
}

#[test]
fn each_budget_of_the_client_id_holds() {
    let mut scene = with_budget(Scene::new(json!({}), json!({})), most("100"));
    scene.account(|account| {
        let mut other = account.budgets[0].clone();
        other.0.name = "other".to_owned();
        other.1.max_price_per_hour = Some("1.20".to_owned());
        account.budgets.push(other);
    });
    scene.list(999, &[instance("others", "running")]);
    assert!(
        waits(&scene.decide())
            .starts_with("another account with the same client id permits 1.20 EUR")
    );
}

/// Of two that wait, with what is remembered of the other one.
fn beside(created: &str, price: i64, looked_at: u64, spec: Value) -> Scene {
    let mut scene = with_budget(Scene::new(json!({}), json!({})), most("2.40"));
    let mut other = resource("other", spec, json!({}));
    other["metadata"]["creationTimestamp"] = json!(created);
    scene.others = vec![other];
    let wait = BudgetWait {
        fleet: fleet(),
        price,
        looked_at: at(looked_at),
        shown_at: at(looked_at),
    };
    let memory = Memory {
        budget_wait: Some(wait),
        ..Memory::default()
    };
    scene.remembered = vec![("other", memory)];
    scene.list(999, &[instance("others", "running")]);
    scene
}

#[test]
fn what_has_waited_for_longer_and_fits_goes_first() {
    let (older, younger) = ("2025-12-31T23:59:59Z", "2026-01-01T00:00:01Z");
    for (created, price, looked_at, spec, goes) in [
        (older, 1_200_000, 990, json!({}), false),
        (younger, 1_200_000, 990, json!({}), true),
        // It does not fit.
        (older, 1_200_001, 990, json!({}), true),
        // It does not wait any more.
        (older, 1_200_000, 900, json!({}), true),
        (older, 1_200_000, 990, json!({ "suspend": true }), true),
        (older, 1_200_000, 990, json!({ "state": "Stopped" }), true),
    ] {
        let mut scene = beside(created, price, looked_at, spec.clone());
        assert_eq!(
            starts(&mut scene),
            goes,
            "{created} {price} {looked_at} {spec}"
        );
        if !goes {
            let decision = scene.decide();
            assert!(waits(&decision).ends_with("what is older and fits goes first"));
        }
    }
}

#[test]
fn sums_that_change_are_not_written_at_every_look() {
    let mut scene = with_budget(Scene::new(json!({}), json!({})), most("2.40"));
    scene.list(999, &[numbered("others", "running", 2)]);
    let decision = scene.decide();
    scene.resource["status"] = serde_json::to_value(&decision.status).unwrap();
    scene.memory.as_mut().unwrap().budget_wait = decision.budget_wait;
    for (second, workers, is_written) in [(1015, 3, false), (1059, 3, false), (1060, 3, true)] {
        scene.now = at(second);
        scene.list(second, &[numbered("others", "running", workers)]);
        let decision = scene.decide();
        assert_eq!(decision.step != Step::Rest, is_written, "{second}");
        scene.memory.as_mut().unwrap().budget_wait = decision.budget_wait;
    }
    // There is room by now.
    scene.list(1060, &[]);
    assert!(starts(&mut scene));
}

/// A resource that is bound to i-1, which is in this state.
fn bound(spec: Value, state: &str) -> Scene {
    let args = args();
    let status = json!({ "account": home(), "instanceId": "i-1", "instanceArgs": args, "requestedArgs": args });
    let mut scene = with_budget(Scene::new(spec, status), most("2.40"));
    scene.list(
        999,
        &[instance("i-1", state), instance("others", "running")],
    );
    scene
}

#[test]
fn a_restart_waits_for_the_budget_and_a_list_that_is_fresh() {
    let restarts = |scene: &mut Scene| {
        let step = scene.decide().step;
        matches!(step, Step::Write(Write::Status(Purpose::RestartIntent(_))))
    };
    let mut scene = bound(json!({}), "stopped");
    assert!(restarts(&mut scene));
    let others = numbered("others", "running", 2);
    scene.list(999, &[instance("i-1", "stopped"), others.clone()]);
    waits(&scene.decide());
    // An old list can say that there is no room, and only a fresh one that there is.
    scene.list(900, &[instance("i-1", "stopped"), others]);
    let decision = scene.decide();
    assert!(!scene.asks_for_list(&decision) && waits(&decision).contains("2.40 EUR is billed"));
    scene.list(900, &[instance("i-1", "stopped")]);
    let decision = scene.decide();
    assert!(scene.asks_for_list(&decision), "{decision:?}");
    // Meanwhile the resource shows what it has waited for.
    let others = numbered("others", "running", 2);
    scene.list(999, &[instance("i-1", "stopped"), others]);
    let decision = scene.decide();
    scene.resource["status"] = serde_json::to_value(decision.status).unwrap();
    scene.list(900, &[instance("i-1", "stopped")]);
    let decision = scene.decide();
    assert!(scene.asks_for_list(&decision) && decision.step == Step::Rest && !decision.busy);
}

/// What is to be replaced or restarted gives its own place back.
#[test]
fn what_runs_is_not_stopped_before_there_is_room_for_what_follows() {
    let stop = Step::Call(ApiCall::Stop {
        instance_id: "i-1".into(),
    });
    for (workers, budget, stops) in [(2, "3.60", true), (2, "3.59", false), (1, "0.10", false)] {
        // One worker as it is: somebody asks for a restart.
        let mut scene = bound(json!({ "numWorkers": workers }), "running");
        if workers == 1 {
            scene = scene.annotated("cortecs.ai/restartedAt", "now");
        }
        scene.account(|account| {
            account.budgets[0].1.max_price_per_hour = Some(budget.to_owned());
        });
        assert_eq!(scene.decide().step == stop, stops, "{workers} {budget}");
    }
}

#[test]
fn what_runs_is_not_stopped_because_of_the_budget() {
    let mut scene = bound(json!({}), "running");
    scene.account(|account| {
        account.budgets[0].1.max_price_per_hour = Some("0".to_owned());
    });
    let decision = scene.decide();
    assert!(
        !decision.step.is_call() && stalled(&decision).is_none(),
        "{decision:?}"
    );
}

#[test]
fn the_api_is_not_asked_for_hardware_while_there_is_no_room() {
    let mut scene = with_budget(Scene::new(json!({}), json!({})), most("2.40"));
    scene.capacity = Capacity::NotAsked;
    scene.list(999, &[numbered("others", "running", 2)]);
    assert!(!scene.decide().step.is_call());
    scene.list(999, &[]);
    assert_eq!(scene.decide().step, Step::Call(ApiCall::FetchCapacity));
}

#[test]
fn hardware_that_alone_exceeds_the_budget_is_passed_over() {
    let spec = json!({ "hardwareTypeId": "NVIDIA_X", "hardwareFallbacks": ["NVIDIA_L4_1"] });
    let mut scene = with_budget(Scene::new(spec, json!({})), most("1.20"));
    let mut model = (*model().unwrap()).clone();
    let configs = model.hardware_configs.as_mut().unwrap();
    configs.insert("NVIDIA_X".into(), configs["NVIDIA_L4_1"].clone());
    scene.model = Some(Ok(Arc::new(model)));
    // It has no price.
    let decision = scene.decide();
    assert!(
        matches!(
            decision.step,
            Step::Write(Write::Status(Purpose::StartIntent(_)))
        ),
        "{decision:?}"
    );
    let start = decision.status.slot().start.clone().unwrap();
    assert_eq!(start.args.hardware_type_id.as_deref(), Some("NVIDIA_L4_1"));
    scene.account(|account| account.budgets[0].1.max_price_per_hour = Some("1.19".to_owned()));
    assert_eq!(stalled(&scene.decide()), Some("ExceedsBudget"));
}

/// The list may be older than the deletion of the instance that is replaced.
#[test]
fn what_was_deleted_for_a_replacement_does_not_count() {
    let mut scene = with_budget(
        Scene::new(
            json!({}),
            json!({ "lastStartTime": "2026-01-01T00:00:00Z" }),
        ),
        most("1.20"),
    );
    scene.list(999, &[instance("i-old", "running")]);
    waits(&scene.decide());
    scene.memory.get_or_insert_default().removed = Some("i-old".to_owned());
    assert!(starts(&mut scene));
}
