//! The operator is killed right after each of its side effects in turn: whoever takes over ends with exactly what was asked for.

mod deletes;
mod restored;
mod starts;
mod states;

use std::time::Duration;

use cortecs_api::types::InstanceState;
use cortecs_resources::instance::DeletionPolicy;
use futures::{StreamExt, stream};
use tokio::time::timeout;

use crate::harness::{Bed, Fuse, bound, sorted};

/// Beds at the same time.
const SIDE_BY_SIDE: usize = 4;
/// More side effects of one kind than any scenario here has.
const MOST: usize = 20;

/// How long after the end of a scenario a side effect may still be told.
const LATE: Duration = Duration::from_secs(1);

/// How often a scenario may end without a side effect that belongs to it: on a busy machine a call may time out, and then its
/// outcome is recorded in another way.
const MISSES: usize = 4;
/// The same, of a side effect after the first of its kind: that it does not come again twice in a row is its end.
const LATER_MISSES: usize = 2;

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
            while misses < if n > 1 { LATER_MISSES } else { MISSES } {
                if crash_at(name, Fuse::at(n, Some(kind)), &prepare, &act).await {
                    n += 1;
                    misses = 0;
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

/// Exactly the instances that resources are bound to exist, and stopped those that were to be left so.
fn nothing_leaked(bed: &Bed) {
    let is_left = |id: &String| {
        let history = bed.instances.history();
        let mut versions = history.values().flatten();
        versions.any(|r| bound(r) == id && r.spec.deletion_policy == DeletionPolicy::Stop)
            && bed.state_of(id) == Some(InstanceState::Stopped)
    };
    let ids = bed.bound_ids();
    let mut existing = bed.existing();
    existing.retain(|id| ids.contains(id) || !is_left(id));
    assert_eq!(ids, sorted(existing));
}
