//! Answers of the API get lost. In the end each resource has exactly one instance, and nothing is paid twice.

use std::time::Duration;

use cortecs_api::types::InstanceState;
use cortecs_resources::conditions::READY;
use cortecs_simulator::{Effect, Endpoint, Fault, FaultBody, When};
use futures::{StreamExt, stream};
use serde_json::json;

use crate::harness::{Bed, MODEL, MODEL_ID, Read, bound, running, sorted, stopped};

/// The number of beds at the same time.
const SIDE_BY_SIDE: usize = 5;

/// Longer than the request time-out of the operators here.
const LONG: Duration = Duration::from_secs(3);

fn answer(when: When, status: u16) -> Effect {
    Effect::Answer {
        when,
        status,
        body: FaultBody::Message("lost".to_owned()),
        retry_after: None,
        location: (300..400)
            .contains(&status)
            .then(|| "/elsewhere".to_owned()),
    }
}

/// Answers that do not say whether an instance was created.
fn unknown(when: When) -> Vec<Effect> {
    let mut effects = vec![
        Effect::close(when),
        Effect::reset(when),
        Effect::html(when, 502),
        Effect::delay(when, LONG),
    ];
    effects.extend(
        [301, 302, 307, 402, 408, 409, 418, 500, 503, 504].map(|status| answer(when, status)),
    );
    effects.push(Effect::Answer {
        when,
        status: 202,
        body: FaultBody::Raw("{}".to_owned()),
        retry_after: None,
        location: None,
    });
    if when == When::After {
        effects.extend([
            Effect::MalformedBody,
            Effect::TruncatedBody,
            Effect::WithoutInstance,
        ]);
    }
    effects
}

async fn start_with(effect: Effect) {
    // After a delay before the effect the effect still happens.
    let happened = !matches!(
        effect,
        Effect::Drop {
            when: When::Before,
            ..
        } | Effect::Answer {
            when: When::Before,
            ..
        }
    );
    let case = effect.to_string();
    let bed = Bed::new("lost-start").await;
    bed.api.add_fault(Fault::once(Endpoint::Start, effect));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let resource = bed
        .wait("phi", &format!("running after: {case}"), running)
        .await;
    bed.wait_lists(2).await;
    assert_eq!(bed.existing(), [bound(&resource)], "{case}");
    assert_eq!(
        bed.ever().len(),
        1,
        "{case}: something was created and thrown away"
    );
    let voided = resource
        .status
        .as_ref()
        .unwrap()
        .journal
        .voided_starts
        .len();
    if happened {
        assert_eq!(
            (bed.starts(), voided),
            (1, 0),
            "{case}: the start was repeated"
        );
    } else {
        assert_eq!((bed.starts(), voided), (2, 1), "{case}");
        let resolving = bed
            .versions("phi")
            .into_iter()
            .any(|r| r.reason(READY) == "ResolvingStart");
        assert!(resolving, "{case}: no version of the resource says so");
    }
}

async fn all(effects: Vec<Effect>) {
    stream::iter(effects)
        .for_each_concurrent(SIDE_BY_SIDE, start_with)
        .await;
}

#[tokio::test]
async fn a_start_whose_answer_is_lost_after_the_effect_is_found_again() {
    all(unknown(When::After)).await;
}

#[tokio::test]
async fn a_start_that_is_lost_before_the_effect_is_given_up_and_made_anew() {
    all(unknown(When::Before)).await;
}

#[tokio::test]
async fn equal_starts_whose_answers_are_all_lost_end_with_one_instance_each() {
    let bed = Bed::new("lost-crowd").await;
    let drop = |when| Fault::new(Endpoint::Start, Effect::reset(when)).times(2);
    bed.api.add_fault(drop(When::After));
    bed.api.add_fault(drop(When::Before));
    let _operator = bed.operator();
    let names = ["a", "b", "c", "d", "e"];
    bed.create_each(&names).await;
    let ids = bed.all_run(&names).await;
    bed.wait_lists(2).await;
    assert_eq!(
        (sorted(ids), bed.ever().len()),
        (sorted(bed.existing()), names.len())
    );
}

/// Each ends with the instance of its own start or of an equal one, and none is given up.
#[tokio::test]
async fn of_fifty_equal_starts_twenty_answers_are_lost() {
    let bed = Bed::new("lost-fifty").await;
    let lost = Fault::new(Endpoint::Start, Effect::reset(When::After)).times(20);
    bed.api.add_fault(lost);
    let _operator = bed.operator();
    let names: Vec<String> = (0..50).map(|n| format!("r{n}")).collect();
    bed.create_each(&names).await;
    let ids = bed.all_run(&names).await;
    assert_eq!(sorted(ids), sorted(bed.existing()));
    assert_eq!(bed.starts(), 50, "none was given up");
}

#[tokio::test]
async fn a_restart_whose_answer_is_lost_is_made_once() {
    for (name, when, restarts) in [
        ("restart-after", When::After, 1),
        ("restart-before", When::Before, 2),
    ] {
        let bed = Bed::new(name).await;
        let _operator = bed.operator();
        let id = bed
            .run("phi", json!({"modelId": MODEL, "state": "Running"}))
            .await;
        bed.change("phi", json!({"state": "Stopped"})).await;
        bed.wait("phi", "stopped", stopped).await;
        bed.api
            .add_fault(Fault::once(Endpoint::Restart, Effect::close(when)));
        bed.change("phi", json!({"state": "Running"})).await;
        bed.wait("phi", "running again", running).await;
        assert_eq!((bed.existing(), bed.starts()), (vec![id], 1), "{name}");
        assert_eq!(bed.api.count(Endpoint::Restart), restarts, "{name}");
        assert_eq!(bed.ever()[0].billed_starts, 2, "{name}");
    }
}

#[tokio::test]
async fn stops_and_deletes_whose_answers_are_lost_are_done_in_the_end() {
    let cases = [
        (Endpoint::Stop, Effect::reset(When::After)),
        (Endpoint::Stop, Effect::close(When::Before)),
        (Endpoint::Stop, answer(When::After, 502)),
        (Endpoint::Stop, Effect::delay(When::After, LONG)),
        (Endpoint::Delete, Effect::reset(When::After)),
        (Endpoint::Delete, Effect::close(When::Before)),
        (Endpoint::Delete, answer(When::After, 502)),
        (Endpoint::Delete, answer(When::Before, 404)),
        (Endpoint::Delete, Effect::delay(When::After, LONG)),
    ];
    stream::iter(cases)
        .for_each_concurrent(SIDE_BY_SIDE, |(endpoint, effect)| async move {
            let case = format!("{endpoint:?}: {effect}");
            let bed = Bed::new("lost-end").await;
            let _operator = bed.operator();
            bed.run("phi", json!({"modelId": MODEL})).await;
            bed.api.add_fault(Fault::once(endpoint, effect));
            bed.delete("phi").await;
            bed.wait_gone("phi").await;
            assert_eq!((bed.existing(), bed.starts()), (Vec::new(), 1), "{case}");
        })
        .await;
}

#[tokio::test]
async fn a_stop_whose_answer_is_lost_stops() {
    let bed = Bed::new("lost-stop").await;
    let _operator = bed.operator();
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    bed.api
        .add_fault(Fault::once(Endpoint::Stop, Effect::reset(When::After)));
    bed.change("phi", json!({"state": "Stopped"})).await;
    bed.wait("phi", "stopped", stopped).await;
    assert_eq!(bed.state_of(&id), Some(InstanceState::Stopped));
}

#[tokio::test]
async fn in_a_shared_account_a_person_decides_whose_instance_it_is() {
    let bed = Bed::builder("lost-shared")
        .account(json!({"sharing": "Shared"}))
        .build()
        .await;
    bed.api
        .add_fault(Fault::once(Endpoint::Start, Effect::reset(When::After)));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    let resource = bed.stalls("phi", "StartUnresolved").await;
    let id = bed.existing().remove(0);
    resource.assert_says("Stalled", &id);
    bed.wait_lists(2).await;
    assert_eq!(bed.starts(), 1);
    bed.annotate("phi", "cortecs.ai/resolve-start", &id).await;
    let resource = bed.wait("phi", "running", running).await;
    assert_eq!(
        (bound(&resource), bed.existing(), bed.starts()),
        (id.as_str(), vec![id.clone()], 1)
    );
}

#[tokio::test]
async fn in_a_shared_account_a_person_can_say_that_the_start_had_no_effect() {
    let bed = Bed::builder("lost-none")
        .account(json!({"sharing": "Shared"}))
        .build()
        .await;
    bed.api
        .add_fault(Fault::once(Endpoint::Start, Effect::reset(When::Before)));
    let _operator = bed.operator();
    bed.create("phi", json!({"modelId": MODEL})).await;
    bed.wait_api("get the start", |view| view.count(Endpoint::Start) == 1)
        .await;
    // Another client of the API starts an instance with equal arguments at this moment.
    let theirs = bed.start_unmanaged(MODEL_ID);
    bed.stalls("phi", "StartUnresolved").await;
    bed.annotate("phi", "cortecs.ai/resolve-start", "none")
        .await;
    let resource = bed.wait("phi", "running", running).await;
    assert_ne!(bound(&resource), theirs);
    assert_eq!((bed.starts(), bed.existing().len()), (2, 2));
}
