//! The API answers with other successes than the usual ones. A stop or a delete that it took is no failure: lists show what came of
//! it, and nothing is called twice meanwhile.

use std::time::Duration;

use cortecs_api::types::InstanceState;
use cortecs_resources::{
    CortecsInstance,
    conditions::{READY, RECONCILING, STALLED},
};
use cortecs_simulator::{Effect, Endpoint, Fault, FaultBody, When};
use futures::{StreamExt, stream};
use serde_json::json;

use crate::harness::{
    Bed, MODEL, Read, bound, is_ready, polls_every_second, running, sorted, stopped,
};

/// The number of beds at the same time.
const SIDE_BY_SIDE: usize = 5;
/// Shorter than the interval of lists.
const LATE: Duration = Duration::from_millis(500);

/// The call has its effect, or will have it, and the answer says so in another way than usual.
fn successes() -> Vec<Effect> {
    let said = |text: &str| FaultBody::Message(text.to_owned());
    vec![
        Effect::success(202),
        Effect::success_with(202, said("Instance stopped successfully.")),
        Effect::success_with(200, said("done")),
        Effect::success_with(204, FaultBody::Empty),
        Effect::success_with(200, FaultBody::Empty),
        Effect::success_with(200, FaultBody::Raw("{\"instance\"".to_owned())),
        Effect::accept(LATE),
    ]
}

/// No version of the resource has said that a call failed.
fn says_no_failure(bed: &Bed, name: &str, case: &str) {
    for version in bed.versions(name) {
        let version: &CortecsInstance = &version;
        for condition in [READY, RECONCILING, STALLED] {
            if version.condition(condition).is_none() {
                continue;
            }
            let message = version.message(condition);
            let accuses = ["failed", "HTTP", "paused"]
                .iter()
                .any(|w| message.contains(w));
            assert!(!accuses, "{case}: {message}");
        }
    }
}

#[tokio::test]
async fn a_stop_with_any_success_is_made_once_and_ends_stopped() {
    stream::iter(successes())
        .for_each_concurrent(SIDE_BY_SIDE, async |effect| {
            let case = effect.to_string();
            let bed = Bed::new("success-stop").await;
            let _operator = bed.operator();
            let id = bed.run("phi", json!({"modelId": MODEL})).await;
            bed.api.add_fault(Fault::new(Endpoint::Stop, effect));
            bed.change("phi", json!({"state": "Stopped"})).await;
            bed.wait("phi", &format!("stopped after: {case}"), stopped)
                .await;
            bed.wait_lists(2).await;
            assert_eq!(bed.state_of(&id), Some(InstanceState::Stopped), "{case}");
            assert_eq!(bed.changes(), [1, 0, 1, 0], "{case}");
            says_no_failure(&bed, "phi", &case);
        })
        .await;
}

#[tokio::test]
async fn a_deleted_resource_leaves_nothing_and_nothing_is_called_twice() {
    let both = [Endpoint::Stop, Endpoint::Delete];
    let cases = both.into_iter().flat_map(|endpoint| {
        let all = successes().into_iter();
        all.map(move |effect| (endpoint, effect))
    });
    stream::iter(cases)
        .for_each_concurrent(SIDE_BY_SIDE, async |(endpoint, effect)| {
            let case = format!("{endpoint:?}: {effect}");
            let bed = Bed::new("success-delete").await;
            let _operator = bed.operator();
            bed.run("phi", json!({"modelId": MODEL})).await;
            bed.api.add_fault(Fault::new(endpoint, effect));
            bed.delete("phi").await;
            bed.wait_gone("phi").await;
            assert_eq!(bed.existing(), Vec::<String>::new(), "{case}");
            assert_eq!(bed.changes(), [1, 0, 1, 1], "{case}");
            says_no_failure(&bed, "phi", &case);
        })
        .await;
}

#[tokio::test]
async fn a_replacement_goes_on_with_other_successes() {
    let bed = Bed::new("success-replace").await;
    let _operator = bed.operator();
    let old = bed.run("phi", json!({"modelId": MODEL})).await;
    let nothing = |status| Effect::success_with(status, FaultBody::Empty);
    bed.api.add_fault(Fault::new(Endpoint::Stop, nothing(202)));
    bed.api
        .add_fault(Fault::new(Endpoint::Delete, nothing(204)));
    bed.change("phi", json!({"numWorkers": 2})).await;
    let replaced = |r: &CortecsInstance| running(r) && bound(r) != old;
    let resource = bed.wait("phi", "replaced", replaced).await;
    assert_eq!(bed.existing(), [bound(&resource)]);
    assert_eq!(bed.changes(), [2, 0, 1, 1]);
    says_no_failure(&bed, "phi", "replacement");
}

/// The API works, so the calls of the account are not paused.
#[tokio::test]
async fn many_stops_that_say_nothing_pause_nothing() {
    let bed = Bed::new("success-crowd").await;
    let _operator = bed.operator();
    let names = ["a", "b", "c", "d", "e", "f"];
    bed.create_each(&names).await;
    let ids = bed.all_run(&names).await;
    let nothing = Effect::success_with(204, FaultBody::Empty);
    bed.api.add_fault(Fault::new(Endpoint::Stop, nothing));
    for name in names {
        bed.change(name, json!({"state": "Stopped"})).await;
    }
    for name in names {
        bed.wait(name, "stopped", stopped).await;
        says_no_failure(&bed, name, name);
    }
    assert_eq!(bed.changes(), [6, 0, 6, 0]);
    assert_eq!(sorted(bed.existing()), sorted(ids));
}

#[tokio::test]
async fn a_stop_or_a_delete_of_which_nothing_comes_is_made_again() {
    for (endpoint, status, changes) in [
        (Endpoint::Stop, 202, [1, 0, 2, 1]),
        (Endpoint::Stop, 204, [1, 0, 2, 1]),
        (Endpoint::Delete, 202, [1, 0, 1, 2]),
        (Endpoint::Delete, 200, [1, 0, 1, 2]),
    ] {
        let bed = Bed::new("success-empty").await;
        let _operator = bed.operator();
        bed.run("phi", json!({"modelId": MODEL})).await;
        let nothing = Effect::Answer {
            when: When::Before,
            status,
            body: FaultBody::Empty,
            retry_after: None,
            location: None,
        };
        bed.api.add_fault(Fault::once(endpoint, nothing));
        bed.delete("phi").await;
        bed.wait_gone("phi").await;
        assert_eq!(bed.existing(), Vec::<String>::new());
        assert_eq!(bed.changes(), changes, "{endpoint:?} {status}");
    }
}

#[tokio::test]
async fn a_stop_of_everything_with_another_success_is_made_once() {
    for effect in [
        Effect::success(202),
        Effect::success_with(202, FaultBody::Message("Accepted".to_owned())),
        Effect::success_with(204, FaultBody::Empty),
        Effect::success_with(200, FaultBody::Empty),
    ] {
        let case = effect.to_string();
        let bed = Bed::builder("success-stop-all")
            .account(polls_every_second())
            .build()
            .await;
        let _operator = bed.operator();
        bed.run("phi", json!({"modelId": MODEL})).await;
        bed.api.add_fault(Fault::new(Endpoint::StopAll, effect));
        bed.patch_account(json!({"mode": "StopAll"})).await;
        let account = bed
            .wait_account("stopped", |a| {
                is_ready(a) && a.reason(READY) == "AllStopped"
            })
            .await;
        let record = account.status.as_ref().unwrap().stop_all.as_ref();
        assert_eq!(record.map(|r| r.stopped), Some(1), "{case}");
        bed.wait_lists(2).await;
        assert_eq!(bed.api.count(Endpoint::StopAll), 1, "{case}");
        for version in bed.account_versions() {
            assert!(!version.message(READY).contains("failed"), "{case}");
        }
    }
}

/// A list that comes with another success may be a part of one.
#[tokio::test]
async fn a_list_counts_with_200_only() {
    let bed = Bed::new("success-list").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    for (effect, says) in [
        (
            Effect::success(206),
            "HTTP 206, but the answer is not usable: it does not come with HTTP 200",
        ),
        (
            Effect::success_with(204, FaultBody::Empty),
            "HTTP 204, but the answer is not usable: it is empty",
        ),
        (
            Effect::success_with(200, FaultBody::Empty),
            "HTTP 200, but the answer is not usable: it is empty",
        ),
    ] {
        bed.api
            .add_fault(Fault::new(Endpoint::ListInstances, effect));
        bed.wait_account("troubled", |a| {
            a.reason(READY) == "RetryingAfterError" && a.message(READY).contains(says)
        })
        .await;
        bed.api.clear_faults();
        bed.wait_account("ready", is_ready).await;
    }
    assert_eq!(bed.runs("phi").await, id);
    assert_eq!(bed.changes(), [1, 0, 0, 0]);
}
