//! The operator is killed right after each of its side effects in turn: whoever takes over ends with exactly what was asked for.

use std::time::Duration;

use cortecs_operator::cortecs::types::InstanceState;
use futures::{StreamExt, stream};
use serde_json::json;

use crate::harness::{Bed, Fuse, MODEL, bound, running, stopped};

/// Beds at the same time.
const SIDE_BY_SIDE: usize = 4;
/// More side effects than any scenario here has.
const MOST_EFFECTS: usize = 40;

/// Plays the scenario once for each crash point: `prepare` with an operator that lives, then `act` with one that is killed
/// right after its n-th side effect, and one that takes over. Ends with the first n that is never reached.
async fn each_crash_point(
    name: &'static str,
    prepare: impl AsyncFn(&Bed),
    act: impl AsyncFn(&Bed),
) {
    let points = stream::iter(1..=MOST_EFFECTS)
        .map(|n| crash_at(name, n, &prepare, &act))
        .buffered(SIDE_BY_SIDE)
        .take_while(|effect| std::future::ready(effect.is_some()))
        .filter_map(std::future::ready);
    let effects: Vec<&'static str> = points.collect().await;
    assert!(
        effects.len() >= 2,
        "{name}: hardly anything was tried: {effects:?}"
    );
    assert!(
        effects.len() < MOST_EFFECTS,
        "{name}: it never ends: {effects:?}"
    );
    println!("{name}: killed after each of {effects:?}");
}

/// The side effect after which it was killed, if it came so far.
async fn crash_at(
    name: &'static str,
    n: usize,
    prepare: &impl AsyncFn(&Bed),
    act: &impl AsyncFn(&Bed),
) -> Option<&'static str> {
    let bed = Bed::builder(name)
        .step(Duration::from_millis(1))
        .build()
        .await;
    let first = bed.operator();
    prepare(&bed).await;
    first.kill();
    let fuse = Fuse::at(n);
    let doomed = bed.fused_operator(&fuse);
    let survivor = async {
        let effect = fuse.blown().await;
        doomed.kill();
        let _successor = bed.operator();
        println!("{name}: crash point {n} is after: {effect}");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = act(&bed) => {}
        () = survivor => {}
    }
    fuse.effect()
}

/// Exactly the instances that resources are bound to exist.
fn nothing_leaked(bed: &Bed) {
    let mut ids: Vec<String> = bed
        .instances
        .all()
        .iter()
        .map(|r| bound(r).to_owned())
        .filter(|id| !id.is_empty())
        .collect();
    let mut existing = bed.existing();
    ids.sort();
    existing.sort();
    assert_eq!(ids, existing);
}

#[tokio::test]
async fn a_start_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-start",
        async |_| {},
        async |bed| {
            bed.create("phi", json!({"modelId": MODEL})).await;
            bed.runs("phi").await;
            bed.wait_lists(3).await;
            nothing_leaked(bed);
            assert_eq!((bed.ever().len(), bed.ever()[0].billed_starts), (1, 1));
        },
    )
    .await;
}

#[tokio::test]
async fn a_stop_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-stop",
        async |bed| {
            bed.create("phi", json!({"modelId": MODEL})).await;
            bed.runs("phi").await;
        },
        async |bed| {
            bed.change("phi", json!({"state": "Stopped"})).await;
            let resource = bed.wait("phi", "stopped", stopped).await;
            assert_eq!(bed.state_of(bound(&resource)), Some(InstanceState::Stopped));
            bed.wait_lists(2).await;
            nothing_leaked(bed);
            assert_eq!((bed.ever().len(), bed.ever()[0].billed_starts), (1, 1));
        },
    )
    .await;
}

#[tokio::test]
async fn a_restart_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-restart",
        async |bed| {
            bed.create("phi", json!({"modelId": MODEL})).await;
            bed.runs("phi").await;
            bed.change("phi", json!({"state": "Stopped"})).await;
            bed.wait("phi", "stopped", stopped).await;
        },
        async |bed| {
            bed.change("phi", json!({"state": "Running"})).await;
            bed.runs("phi").await;
            bed.wait_lists(2).await;
            nothing_leaked(bed);
            assert_eq!((bed.ever().len(), bed.ever()[0].billed_starts), (1, 2));
        },
    )
    .await;
}

#[tokio::test]
async fn a_delete_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-delete",
        async |bed| {
            bed.create("phi", json!({"modelId": MODEL})).await;
            bed.runs("phi").await;
        },
        async |bed| {
            bed.delete("phi").await;
            bed.wait_gone("phi").await;
            assert_eq!((bed.existing(), bed.ever().len()), (Vec::new(), 1));
        },
    )
    .await;
}

#[tokio::test]
async fn a_replacement_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-replace",
        async |bed| {
            bed.create("phi", json!({"modelId": MODEL})).await;
            bed.runs("phi").await;
        },
        async |bed| {
            bed.change("phi", json!({"numWorkers": 2})).await;
            bed.wait("phi", "running with two", running).await;
            bed.wait_lists(3).await;
            nothing_leaked(bed);
            assert_eq!((bed.existing().len(), bed.ever().len()), (1, 2));
        },
    )
    .await;
}

#[tokio::test]
async fn a_delete_right_after_the_start_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-start-delete",
        async |_| {},
        async |bed| {
            bed.create("phi", json!({"modelId": MODEL})).await;
            bed.wait_api("get the start", |view| !view.instances.is_empty())
                .await;
            bed.delete("phi").await;
            bed.wait_gone("phi").await;
            assert_eq!((bed.existing(), bed.ever().len()), (Vec::new(), 1));
        },
    )
    .await;
}

#[tokio::test]
async fn several_equal_starts_survive_a_crash_after_each_of_the_first_side_effects() {
    stream::iter([3, 5, 7, 9, 11, 13])
        .for_each_concurrent(3, async |n| {
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
            assert!(
                crash_at("crash-crowd", n, &async |_: &Bed| {}, &act)
                    .await
                    .is_some()
            );
        })
        .await;
}
