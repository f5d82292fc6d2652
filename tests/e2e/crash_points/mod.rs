//! The operator is killed right after each of its side effects in turn. In the end its successor has done exactly what the
//! resources ask for.

mod deletes;
mod restored;
mod starts;
mod states;

use std::time::Duration;

use cortecs_api::types::InstanceState;
use cortecs_resources::instance::DeletionPolicy;
use futures::{StreamExt, stream};
use tokio::time::timeout;

use crate::harness::{Bed, CrashPoint, bound, sorted};

/// The number of beds at the same time.
const SIDE_BY_SIDE: usize = 4;
/// More side effects of one kind than any scenario has.
const MOST: usize = 20;

/// How long after the end of a scenario a side effect may still be reported.
const LATE: Duration = Duration::from_secs(1);

/// How often a scenario may end without the first side effect of a kind. On a busy machine a call may time out, and then the
/// operator records its outcome by another side effect.
const MISSES: usize = 4;
/// How often a scenario may end without a later side effect of a kind, before the kind counts as exhausted.
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
const SETTLE: &str = "settle the cost";
const SEAL: &str = "seal the id";

/// Runs the scenario once for each crash point: `prepare` with an operator that is not killed, then `act` with one that is
/// killed right after its n-th side effect of a kind, and a successor. Each kind must happen at least once. A kind is exhausted
/// at the first n that is not reached.
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
                if crash_at(name, CrashPoint::at(n, Some(kind)), &prepare, &act).await {
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

/// Runs the scenario with one crash point. Whether the crash point was reached.
async fn crash_at(
    name: &'static str,
    point: CrashPoint,
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
    let doomed = bed.operator_until(&point);
    let relay = async {
        point.reached().await;
        doomed.kill();
        let _successor = bed.operator();
        std::future::pending().await
    };
    let play = async {
        act(&bed).await;
        if point.effect().is_none() && timeout(LATE, point.reached()).await.is_ok() {
            // The scenario saw the last effect before the operator reported it. The successor finds nothing left to do.
            bed.wait_lists(2).await;
            nothing_leaked(&bed);
        }
    };
    tokio::select! {
        () = play => {}
        () = relay => {}
    }
    point.effect().is_some()
}

/// Checks that exactly these instances exist: those that resources are bound to, and stopped ones that a deletion was to leave.
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
