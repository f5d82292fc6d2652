//! Starts whose instances look the same, as far as the answers of the API tell. Each resource ends with the instance that it
//! asked for, nothing is paid twice, and what cannot be told apart is asked of a person.

use std::time::Duration;

use cortecs_resources::CortecsInstance;
use cortecs_simulator::{Effect, Endpoint, Fault, Omitted, When};
use serde_json::json;

use crate::harness::{Bed, CrashPoint, MODEL, bound, crowd::list_only, polls_every_second, sorted};

/// What the API's documentation leaves out in its own examples, and what tells it otherwise.
const WORKERS: [Omitted; 2] = [Omitted::NumWorkers, Omitted::WorkerStatuses];

/// Longer than the request time-out of the operators here.
const LONG: Duration = Duration::from_secs(3);

/// The number of workers that the instance was started with.
fn workers(bed: &Bed, id: &str) -> Option<u32> {
    let ever = bed.ever().into_iter();
    let mut asked = ever.filter(|history| history.instance.instance_id == id);
    asked.next()?.instance.instance_args.num_workers
}

/// The answer to the first start hangs, and the one to the second is lost. Ids are random, so a choice by their order is
/// wrong every other time.
#[tokio::test]
async fn starts_that_look_alike_get_each_its_own_instance() {
    for round in 0..4 {
        let bed = Bed::new("alike").await;
        bed.api.omit(WORKERS);
        let hangs = Effect::delay(When::After, LONG);
        bed.api.add_fault(Fault::once(Endpoint::Start, hangs));
        let lost = Effect::reset(When::After);
        bed.api.add_fault(Fault::once(Endpoint::Start, lost));
        let _operator = bed.operator();
        bed.create("one", json!({"modelId": MODEL})).await;
        bed.wait_api("a start", |view| view.count(Endpoint::Start) == 1)
            .await;
        bed.create("two", json!({"modelId": MODEL, "numWorkers": 2}))
            .await;
        for name in ["one", "two"] {
            bed.wait(name, "bound", |r| !bound(r).is_empty()).await;
        }
        bed.api.omit([]);
        let ids = bed.all_run(&["one", "two"]).await;
        bed.wait_lists(2).await;
        assert_eq!(sorted(ids.clone()), sorted(bed.existing()), "round {round}");
        assert_eq!(
            bed.ever().len(),
            2,
            "round {round}: a third one was started"
        );
        let asked = [workers(&bed, &ids[0]), workers(&bed, &ids[1])];
        assert_eq!(asked, [Some(1), Some(2)], "round {round}");
    }
}

#[tokio::test]
async fn the_states_of_the_workers_tell_their_number() {
    let bed = Bed::new("workers-told").await;
    bed.api.omit([Omitted::NumWorkers]);
    let _operator = bed.operator();
    bed.run("two", json!({"modelId": MODEL, "numWorkers": 2}))
        .await;
    let status = bed.latest("two").unwrap().status.clone().unwrap();
    assert_eq!(status.instance_args.unwrap().num_workers, Some(2));
}

/// A start that cannot be settled, since its resource names another account by now, is no other resource's trouble. What
/// became of it is asked of a person.
#[tokio::test]
async fn a_start_that_does_not_come_to_an_end_holds_others_up_for_a_while_only() {
    for (name, when, answers) in [
        ("stuck-after", When::After, true),
        ("stuck-before", When::Before, false),
    ] {
        let bed = Bed::new(name).await;
        bed.create_account("second", polls_every_second()).await;
        let lost = Effect::reset(when);
        bed.api.add_fault(Fault::once(Endpoint::Start, lost));
        // Before the resource names another account, no process resolves the start.
        let point = CrashPoint::at(1, Some("start"));
        let doomed = bed.operator_until(&point);
        bed.create("stuck", json!({"modelId": MODEL})).await;
        point.reached().await;
        doomed.kill();
        bed.change("stuck", json!({"accountRef": {"name": "second"}}))
            .await;
        let operator = bed.operator();
        bed.stalls("stuck", "AccountChanged").await;
        let made = bed.existing();

        let other = bed.run("other", json!({"modelId": MODEL})).await;
        assert!(!made.contains(&other), "it was started, not taken");
        let is_overtaken = |r: &CortecsInstance| {
            r.status
                .as_ref()
                .unwrap()
                .slot()
                .start
                .as_ref()
                .is_some_and(|s| s.overtaken)
        };
        assert!(is_overtaken(&bed.latest("stuck").unwrap()));

        // Not even a new process takes it for settled.
        operator.kill();
        let _operator = bed.operator();
        bed.change("stuck", json!({"accountRef": null})).await;
        let asks = bed.stalls("stuck", "StartUnresolved").await;
        let named = &asks
            .status
            .as_ref()
            .unwrap()
            .slot()
            .start
            .as_ref()
            .unwrap()
            .candidate_ids;
        assert_eq!(*named, made);
        let answer = if answers { &made[0] } else { "none" };
        bed.annotate("stuck", "cortecs.ai/resolve-start", answer)
            .await;
        let own = bed.runs("stuck").await;
        bed.wait_lists(2).await;
        assert_eq!(sorted(vec![own, other]), sorted(bed.existing()));
        assert_eq!(bed.ever().len(), 2);
    }
}

/// Every argument is given, so the catalog is asked for nothing but the spelling of the model.
fn misspelt() -> serde_json::Value {
    json!({"modelId": MODEL.to_uppercase(), "hardwareTypeId": "NVIDIA_L40S_1", "contextLength": 8192})
}

#[tokio::test]
async fn a_model_that_is_spelt_otherwise_is_started_once() {
    let bed = Bed::new("spelt").await;
    let lost = Effect::reset(When::After);
    bed.api.add_fault(Fault::once(Endpoint::Start, lost));
    let _operator = bed.operator();
    let id = bed.run("phi", misspelt()).await;
    bed.wait_lists(2).await;
    assert_eq!((bed.existing(), bed.ever().len()), (vec![id], 1));
}

/// The catalog fails, so nothing says how the API spells the model.
#[tokio::test]
async fn where_the_catalog_cannot_tell_a_person_says_which_instance_it_is() {
    let bed = Bed::new("unsure").await;
    bed.api
        .add_fault(Fault::new(Endpoint::GetModel, Effect::fail(500, "not now")));
    let lost = Effect::reset(When::After);
    bed.api.add_fault(Fault::once(Endpoint::Start, lost));
    let _operator = bed.operator();
    bed.create("phi", misspelt()).await;
    bed.stalls("phi", "StartUnresolved").await;
    let made = bed.existing();
    assert_eq!(made.len(), 1);
    bed.annotate("phi", "cortecs.ai/resolve-start", &made[0])
        .await;
    assert_eq!(bed.runs("phi").await, made[0]);
    assert_eq!(bed.ever().len(), 1);
}

/// An instance that its resource leaves behind looks new to a start that is open.
#[tokio::test]
async fn what_is_let_go_while_a_start_is_open_is_not_bound_by_that_start() {
    for policy in ["Orphan", "Stop"] {
        let bed = Bed::new("let-go").await;
        let operator = bed.operator();
        let spec = json!({"modelId": MODEL, "deletionPolicy": policy});
        let left = bed.run("leaves", spec).await;
        bed.wait_lists(2).await;
        let lost = Effect::reset(When::Before);
        bed.api.add_fault(Fault::once(Endpoint::Start, lost));
        bed.create("phi", json!({"modelId": MODEL})).await;
        let is_open =
            |r: &CortecsInstance| r.status.as_ref().is_some_and(|s| s.slot().start.is_some());
        bed.wait("phi", "open", is_open).await;
        bed.wait_api("two starts", |view| view.count(Endpoint::Start) == 2)
            .await;
        bed.delete("leaves").await;
        bed.wait_gone("leaves").await;
        // The next process does not remember.
        operator.kill();
        let _operator = bed.operator();
        let own = bed.runs("phi").await;
        assert_ne!(own, left, "{policy}");
        bed.wait_lists(2).await;
        assert_eq!(sorted(bed.existing()), sorted(vec![own, left]), "{policy}");
    }
}

/// A list that is cut short lacks what the start has made, as it lacks the instance of another resource.
#[tokio::test]
async fn a_start_is_not_given_up_by_a_list_that_lacks_what_exists() {
    let bed = Bed::new("cut-short").await;
    let operator = bed.operator();
    let others = [
        bed.run("a", json!({"modelId": MODEL})).await,
        bed.run("b", json!({"modelId": MODEL})).await,
    ];
    operator.kill();
    let lost = Effect::reset(When::After);
    bed.api.add_fault(Fault::once(Endpoint::Start, lost));
    let point = CrashPoint::at(1, Some("start"));
    let doomed = bed.operator_until(&point);
    bed.create("phi", json!({"modelId": MODEL})).await;
    point.reached().await;
    doomed.kill();
    list_only(&bed, 1);
    let _operator = bed.operator();
    // Far longer than the settle time.
    bed.wait_lists(14).await;
    let status = bed.latest("phi").unwrap().status.clone().unwrap();
    assert!(
        status.slot().start.is_some() && status.journal.voided_starts.is_empty(),
        "{status:?}"
    );
    assert_eq!(bed.starts(), 3);

    bed.api.clear_faults();
    let own = bed.runs("phi").await;
    bed.wait_lists(2).await;
    let [a, b] = others;
    assert_eq!(sorted(bed.existing()), sorted(vec![a, b, own]));
    assert_eq!(bed.ever().len(), 3);
}
