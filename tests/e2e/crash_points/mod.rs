//! The operator is killed right after each of its side effects in turn: whoever takes over ends with exactly what was asked for.

use std::time::Duration;

use cortecs_operator::{
    cortecs::types::InstanceState,
    simulator::{Effect, Endpoint, Fault, When},
};
use futures::{StreamExt, stream};
use serde_json::json;
use tokio::time::timeout;

use crate::harness::{Bed, Fuse, MODEL, bound, running, stopped};

/// Beds at the same time.
const SIDE_BY_SIDE: usize = 4;
/// More side effects of one kind than any scenario here has.
const MOST: usize = 20;

/// How long after the end of a scenario a side effect may still be told.
const LATE: Duration = Duration::from_secs(1);

/// How often a scenario may end without a side effect that belongs to it: on a busy machine a call may time out, and then its
/// outcome is recorded in another way.
const MISSES: usize = 4;

const FINALIZER_ON: &str = "add the finalizer";
const FINALIZER_OFF: &str = "remove the finalizer";
const STATUS: &str = "write the status";
const RECORD: &str = "record the instance";
const START: &str = "start";
const RESTART: &str = "restart";
const STOP: &str = "stop";
const DELETE: &str = "delete";
const GET: &str = "get";
const CATALOG: &str = "ask the catalog";
const SEAL: &str = "seal the id";

/// Plays the scenario once for each crash point: `prepare` with an operator that lives, then `act` with one that is killed
/// right after its n-th side effect of a kind, and one that takes over. All kinds must happen; each ends with the first n
/// that is never reached.
async fn each_crash_point(
    name: &'static str,
    kinds: &[&'static str],
    prepare: impl AsyncFn(&Bed),
    act: impl AsyncFn(&Bed),
) {
    stream::iter(kinds)
        .for_each_concurrent(SIDE_BY_SIDE, async |kind| {
            let mut n = 1;
            let mut misses = 0;
            while misses < MISSES {
                if crash_at(name, Fuse::at(n, Some(kind)), &prepare, &act).await {
                    n += 1;
                    misses = 0;
                } else if n > 1 {
                    break;
                } else {
                    misses += 1;
                }
                assert!(n < MOST, "{name}: {kind} never ends");
            }
            assert!(n > 1, "{name}: {kind} never happens");
            println!("{name}: killed after {} x {kind}", n - 1);
        })
        .await;
}

/// Whether it came to the crash.
async fn crash_at(
    name: &'static str,
    fuse: Fuse,
    prepare: &impl AsyncFn(&Bed),
    act: &impl AsyncFn(&Bed),
) -> bool {
    let bed = Bed::builder(name)
        .step(Duration::from_millis(1))
        .build()
        .await;
    let first = bed.operator();
    prepare(&bed).await;
    first.kill();
    let doomed = bed.fused_operator(&fuse);
    let relay = async {
        fuse.blown().await;
        doomed.kill();
        let _successor = bed.operator();
        std::future::pending().await
    };
    let play = async {
        act(&bed).await;
        if fuse.effect().is_none() && timeout(LATE, fuse.blown()).await.is_ok() {
            // The last effect was seen before the operator heard of it. Its successor finds everything done.
            bed.wait_lists(2).await;
            nothing_leaked(&bed);
        }
    };
    tokio::select! {
        () = play => {}
        () = relay => {}
    }
    fuse.effect().is_some()
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
        &[FINALIZER_ON, STATUS, CATALOG, START, RECORD, SEAL],
        async |_| {},
        async |bed| {
            bed.create("phi", json!({"modelId": MODEL})).await;
            let id = bed.runs("phi").await;
            bed.sealed("phi", &id).await;
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
        &[STOP, STATUS],
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
        &[STATUS, RESTART],
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
        &[STOP, DELETE, FINALIZER_OFF],
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
        &[STATUS, STOP, DELETE, START, RECORD, SEAL],
        async |bed| {
            bed.create("phi", json!({"modelId": MODEL})).await;
            bed.runs("phi").await;
        },
        async |bed| {
            bed.change("phi", json!({"numWorkers": 2})).await;
            let id = bound(&*bed.wait("phi", "running with two", running).await).to_owned();
            bed.sealed("phi", &id).await;
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
        &[
            FINALIZER_ON,
            STATUS,
            START,
            RECORD,
            STOP,
            DELETE,
            FINALIZER_OFF,
        ],
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
async fn a_lost_answer_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-lost",
        &[START, GET, STATUS, SEAL],
        async |_| {},
        async |bed| {
            let lost = Effect::Drop {
                when: When::After,
                reset: false,
            };
            bed.api
                .add_fault(Fault::new(Endpoint::Start, lost).times(1));
            bed.create("phi", json!({"modelId": MODEL})).await;
            let id = bed.runs("phi").await;
            bed.sealed("phi", &id).await;
            bed.wait_lists(3).await;
            nothing_leaked(bed);
            assert_eq!((bed.starts(), bed.ever().len()), (1, 1));
        },
    )
    .await;
}

#[tokio::test]
async fn an_emptied_status_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-wiped",
        &[STATUS],
        async |bed| {
            bed.create("phi", json!({"modelId": MODEL})).await;
            let id = bed.runs("phi").await;
            bed.sealed("phi", &id).await;
        },
        async |bed| {
            bed.wait_lists(2).await;
            bed.empty_status("phi").await;
            bed.runs("phi").await;
            bed.wait_lists(3).await;
            nothing_leaked(bed);
            assert_eq!((bed.starts(), bed.ever().len()), (1, 1));
        },
    )
    .await;
}

/// What was backed up and lost, and comes back while the operator runs.
async fn come_back(bed: &Bed) {
    let backup = bed.back_up("phi").await;
    bed.api.set_down(true);
    bed.lose("phi").await;
    bed.api.set_down(false);
    bed.restore(&backup).await;
}

#[tokio::test]
async fn a_restored_resource_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-backup",
        &[FINALIZER_ON, GET, STATUS],
        async |bed| {
            bed.create("phi", json!({"modelId": MODEL})).await;
            let id = bed.runs("phi").await;
            bed.sealed("phi", &id).await;
        },
        async |bed| {
            come_back(bed).await;
            bed.runs("phi").await;
            bed.wait_lists(3).await;
            nothing_leaked(bed);
            assert_eq!((bed.starts(), bed.ever().len()), (1, 1));
        },
    )
    .await;
}

#[tokio::test]
async fn a_restored_resource_that_is_deleted_survives_a_crash_after_each_side_effect() {
    each_crash_point(
        "crash-backup-delete",
        &[GET, STATUS, STOP, DELETE, FINALIZER_OFF],
        async |bed| {
            bed.create("phi", json!({"modelId": MODEL})).await;
            let id = bed.runs("phi").await;
            bed.sealed("phi", &id).await;
        },
        async |bed| {
            come_back(bed).await;
            bed.wait("phi", "protected", |r| r.metadata.finalizers.is_some())
                .await;
            bed.delete("phi").await;
            bed.wait_gone("phi").await;
            assert_eq!((bed.existing(), bed.ever().len()), (Vec::new(), 1));
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
            let fuse = Fuse::at(n, Some(kind));
            assert!(
                crash_at("crash-crowd", fuse, &async |_: &Bed| {}, &act).await,
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
                .add_fault(Fault::new(Endpoint::Start, Effect::Delay { when, duration }).times(1));
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
