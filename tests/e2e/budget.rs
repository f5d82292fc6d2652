//! Budgets: what would exceed them waits, whoever has started the rest, and whatever ends the operator in between.

use cortecs_resources::CortecsInstance;
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::harness::{
    Bed, CrashPoint, MODEL, MODEL_ID, Read, SOON, bound, polls_every_second, running,
};

/// Of one worker of the model, in EUR an hour.
const PRICE: &str = "2.10";

fn most(amount: &str) -> Value {
    json!({"budget": {"maxPricePerHour": amount, "currency": "EUR"}})
}

async fn bed(name: &'static str, budget: Value) -> Bed {
    Bed::builder(name).account(budget).build().await
}

fn names_if(bed: &Bed, holds: impl Fn(&CortecsInstance) -> bool) -> Vec<String> {
    let resources = bed.instances.all().into_iter();
    let mut names: Vec<_> = resources
        .filter(|r| holds(r))
        .map(|r| r.name_any())
        .collect();
    names.sort();
    names
}

fn waiting(resource: &CortecsInstance) -> bool {
    resource.reason("Reconciling") == "WaitingForBudget"
}

#[tokio::test]
async fn as_many_run_as_the_budget_permits_and_the_others_follow() {
    let bed = bed("budget", most("4.20")).await;
    let names = ["a", "b", "c", "d", "e"];
    // All at once, and before the operator begins: the starts are side by side.
    bed.create_each(&names).await;
    let operator = bed.operator();
    let settled = || (names_if(&bed, running), names_if(&bed, waiting));
    let both = |_: &_| {
        let (running, waiting) = settled();
        (running.len() == 2 && waiting.len() == 3).then_some(())
    };
    let both = bed.instances.wait(SOON, both).await;
    both.expect("two that run and three that wait");
    let (run, wait) = settled();
    let told = bed.latest(&wait[0]).unwrap();
    told.assert_says(
        "Reconciling",
        "permits 4.20 EUR an hour by its spec.budget.maxPricePerHour",
    );
    told.assert_says("Reconciling", &format!("and this needs {PRICE}"));
    assert_eq!(bed.starts(), 2);

    // Another process does the same, and what waits is not written again and again.
    drop(operator);
    let _operator = bed.operator();
    for name in &wait {
        let sums = |r: &CortecsInstance| {
            let sums = "4.20 EUR is billed, 0.00 EUR may be before long";
            r.message("Reconciling").contains(sums)
        };
        bed.wait(name, "told of the sums as they are now", sums)
            .await;
    }
    let versions = || names.map(|name| bed.latest(name).unwrap().resource_version());
    let before = versions();
    bed.wait_lists(4).await;
    assert_eq!((versions(), bed.starts()), (before, 2));

    // A place becomes free, and one of those that wait takes it.
    bed.change(&run[0], json!({"state": "Stopped"})).await;
    let next = |_: &_| (bed.starts() == 3 && names_if(&bed, running).len() == 2).then_some(());
    let next = bed.instances.wait(SOON, next).await;
    next.expect("another one that runs");
    bed.patch_account(most("100")).await;
    for name in &wait {
        bed.wait(name, "running", running).await;
    }
    assert_eq!(bed.changes(), [5, 0, 1, 0]);
}

/// Two accounts with one client id: what either has set holds for both.
#[tokio::test]
async fn the_budget_of_one_account_holds_for_all_with_its_client_id() {
    let bed = bed("budget-shared", most("100")).await;
    let mut second = polls_every_second();
    second["budget"] = most("2.10")["budget"].clone();
    bed.create_account("second", second).await;
    let _operator = bed.operator();
    bed.run("first", json!({"modelId": MODEL})).await;
    // What another account has set is not this one's to know in full.
    let other = "another account with the same client id permits 2.10 EUR an hour";
    for (name, account, said) in [
        ("second", "second", "second permits 2.10 EUR an hour"),
        ("third", "main", other),
    ] {
        let spec = json!({"modelId": MODEL, "accountRef": {"name": account}});
        bed.create(name, spec).await;
        let waits = bed.waits(name, "WaitingForBudget").await;
        waits.assert_says("Reconciling", said);
    }
    assert_eq!(bed.starts(), 1);
    bed.delete("first").await;
    bed.wait("second", "running", running).await;
    assert_eq!(bed.starts(), 2);
}

#[tokio::test]
async fn instances_of_others_and_the_balance_count_and_what_cannot_fit_is_told() {
    let bed = bed("budget-others", most("2.10")).await;
    let other = bed.start_unmanaged(MODEL_ID);
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let phi = bed.waits("phi", "WaitingForBudget").await;
    phi.assert_says(
        "Reconciling",
        "2.10 EUR is billed, 0.00 EUR may be before long",
    );
    bed.create("large", json!({"modelId": MODEL, "numWorkers": 2}))
        .await;
    let large = bed.stalls("large", "ExceedsBudget").await;
    large.assert_says(
        "Stalled",
        "this alone needs 4.20 EUR: raise the budget or ask for less",
    );

    let least =
        json!({"budget": {"maxPricePerHour": null, "minBalance": "1000000", "currency": "EUR"}});
    bed.patch_account(least).await;
    bed.wait("phi", "told of the balance", |phi| {
        phi.message("Reconciling")
            .contains("its spec.budget.minBalance is 1000000 EUR: top up the account")
    })
    .await;
    assert_eq!(bed.starts(), 0);
    bed.patch_account(json!({"budget": {"minBalance": "10"}}))
        .await;
    bed.all_run(&["phi", "large"]).await;
    assert!(bed.existing().contains(&other));
}

/// The operator ends right after the call, before anything says that an instance runs.
#[tokio::test]
async fn a_start_whose_answer_is_lost_keeps_its_place() {
    let bed = bed("budget-crash", most("2.10")).await;
    let point = CrashPoint::at(1, Some("start"));
    let operator = bed.operator_until(&point);
    bed.create("first", json!({"modelId": MODEL})).await;
    point.reached().await;
    drop(operator);
    bed.create("second", json!({"modelId": MODEL})).await;
    let _operator = bed.operator();
    let first = bed.wait("first", "running", running).await;
    bed.waits("second", "WaitingForBudget").await;
    assert_eq!(
        (bed.starts(), bed.existing()),
        (1, vec![bound(&first).to_owned()])
    );
    bed.delete("first").await;
    bed.wait("second", "running", running).await;
    assert_eq!(bed.existing().len(), 1);
}

#[tokio::test]
async fn a_restart_waits_too() {
    let bed = bed("budget-restart", most("2.10")).await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.change("phi", json!({"state": "Stopped"})).await;
    bed.create("other", json!({"modelId": MODEL})).await;
    bed.wait("other", "running", running).await;
    bed.change("phi", json!({"state": "Running"})).await;
    bed.waits("phi", "WaitingForBudget").await;
    bed.delete("other").await;
    assert_eq!(bed.runs("phi").await, id);
    assert_eq!(bed.changes(), [2, 1, 2, 1]);
}
