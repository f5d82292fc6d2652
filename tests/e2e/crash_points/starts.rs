//! A start with and without an answer, and several starts at once.

use std::time::Duration;

use cortecs_simulator::{Effect, Endpoint, Fault, When};
use futures::{StreamExt, stream};
use serde_json::json;

use super::{
    CATALOG, FINALIZER_ON, GET, RECORD, SEAL, SIDE_BY_SIDE, START, STATUS, crash_at,
    each_crash_point, nothing_leaked,
};
use crate::harness::{Bed, CrashPoint, MODEL};

#[tokio::test]
async fn a_start_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-start",
        &[FINALIZER_ON, STATUS, CATALOG, START, RECORD, SEAL],
        async |_| {},
        async |bed| {
            bed.run_sealed("phi", json!({"modelId": MODEL})).await;
            bed.wait_lists(3).await;
            nothing_leaked(bed);
            assert_eq!((bed.ever().len(), bed.ever()[0].billed_starts), (1, 1));
        },
    )
    .await;
}

#[tokio::test]
async fn a_lost_answer_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-lost",
        &[START, GET, STATUS, SEAL],
        async |_| {},
        async |bed| {
            let lost = Effect::close(When::After);
            bed.api.add_fault(Fault::once(Endpoint::Start, lost));
            bed.run_sealed("phi", json!({"modelId": MODEL})).await;
            bed.wait_lists(3).await;
            nothing_leaked(bed);
            assert_eq!((bed.starts(), bed.ever().len()), (1, 1));
        },
    )
    .await;
}

#[tokio::test]
async fn several_equal_starts_survive_a_crash_in_the_middle_of_them() {
    let act = async |bed: &Bed| {
        let names = ["a", "b", "c", "d"];
        for name in names {
            bed.create(name, json!({"modelId": MODEL})).await;
        }
        for name in names {
            bed.runs(name).await;
        }
        bed.wait_lists(3).await;
        nothing_leaked(bed);
        assert_eq!(bed.ever().len(), 4);
    };
    let points = [
        (STATUS, 1),
        (STATUS, 3),
        (START, 1),
        (START, 2),
        (START, 4),
        (RECORD, 1),
        (RECORD, 3),
    ];
    stream::iter(points)
        .for_each_concurrent(SIDE_BY_SIDE, async |(kind, n)| {
            let point = CrashPoint::at(n, Some(kind));
            assert!(
                crash_at("crash-crowd", point, &async |_: &Bed| {}, &act).await,
                "{kind} {n}"
            );
        })
        .await;
}

#[tokio::test]
async fn a_start_whose_call_is_cut_off_by_the_crash_is_found_again() {
    let cases = [
        (When::Before, Duration::from_millis(300)),
        (When::Before, Duration::from_millis(2500)),
        (When::After, Duration::from_millis(600)),
    ];
    stream::iter(cases)
        .for_each_concurrent(SIDE_BY_SIDE, async |(when, duration)| {
            let bed = Bed::new("crash-call").await;
            bed.api
                .add_fault(Fault::once(Endpoint::Start, Effect::delay(when, duration)));
            let first = bed.operator();
            bed.create("phi", json!({"modelId": MODEL})).await;
            bed.wait_api("get the start", |view| view.count(Endpoint::Start) == 1)
                .await;
            first.kill();
            let _successor = bed.operator();
            bed.runs("phi").await;
            bed.wait_lists(3).await;
            nothing_leaked(&bed);
            assert_eq!((bed.starts(), bed.ever().len()), (1, 1));
        })
        .await;
}
