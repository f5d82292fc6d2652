//! Another process takes over from the leader: in time, and without starting anything twice.

use std::{
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use cortecs_rules::lease::LEASE_DURATION;
use cortecs_simulator::{Effect, Endpoint, Fault, When};
use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    eventually::eventually,
    harness::{Bed, MODEL, Process, SOON, leads, running, sorted, stands_by, stopped},
};

/// The time that the README promises after the leader is killed.
const KILLED: Duration = Duration::from_secs(20);

/// The holders of the Lease, one after the other. `None`: nobody held it.
type Holders = Arc<Mutex<Vec<Option<String>>>>;

/// Watches the Lease as long as the test runs.
fn watch_holders(bed: &Bed) -> Holders {
    let holders = Holders::default();
    let (leases, seen) = (bed.api_of::<Lease>(&bed.namespace), Arc::clone(&holders));
    tokio::spawn(async move {
        let leases = watcher(leases, watcher::Config::default());
        let mut versions = pin!(leases.default_backoff().applied_objects());
        while let Some(lease) = versions.next().await {
            let holder = lease.ok().and_then(|lease| lease.spec?.holder_identity);
            let mut seen = seen.lock().expect("no panic");
            if seen.last() != Some(&holder) {
                seen.push(holder);
            }
        }
    });
    holders
}

/// Waits until another process than `before` holds the Lease; the new holder.
async fn taken_from(bed: &Bed, before: &str) -> String {
    eventually("another process holds the Lease", SOON, async || {
        let holder = bed.lease_holder().await;
        holder
            .filter(|now| now != before)
            .ok_or_else(|| format!("{before} held it before"))
    })
    .await
}

/// The time from the signal until another process held the Lease, and until that process called the API for a change that was
/// made together with the signal.
struct Taken {
    lease: Duration,
    act: Duration,
}

/// Sends the signal to the leader `rounds` times, each time with another process on standby. Returns the holders of the Lease, too.
async fn take_away(bed: &Bed, signal: &str, rounds: u32) -> (Vec<Taken>, Vec<Option<String>>) {
    let holders = watch_holders(bed);
    let mut leader = Process::start(bed, "the first");
    leader.answers("/metrics", leads).await;
    let id = bed.run("phi", json!({"modelId": MODEL})).await;
    let mut taken = Vec::new();
    for round in 0..rounds {
        let mut standby = Process::start(bed, format!("standby {round}"));
        standby.answers("/readyz", stands_by).await;
        assert_eq!(standby.get("/healthz").await.0, 200);
        let before = bed.lease_holder().await.expect("a leader");
        let (state, call) = match round % 2 {
            0 => ("Stopped", Endpoint::Stop),
            _ => ("Running", Endpoint::Restart),
        };
        let calls = bed.api.count(call);
        leader.signal(signal);
        let sent = Instant::now();
        let order = bed.change("phi", json!({"state": state}));
        let lease = async {
            let now = taken_from(bed, &before).await;
            (now, sent.elapsed())
        };
        let act = async {
            bed.wait_api("get the order's call", |view| view.count(call) > calls)
                .await;
            sent.elapsed()
        };
        let ended = async {
            leader.ended().await;
            // The old leader has ended, so the new leader makes the call.
            assert!(!leader.is_running());
        };
        let ((), (now, lease), act, ()) = tokio::join!(order, lease, act, ended);
        assert_eq!(bed.lease_holder().await.as_ref(), Some(&now));
        taken.push(Taken { lease, act });
        let reached = if state == "Stopped" { stopped } else { running };
        bed.wait("phi", state, reached).await;
        standby.answers("/metrics", leads).await;
        leader = standby;
    }
    assert_eq!((bed.existing(), bed.starts()), (vec![id], 1));
    let last = bed.lease_holder().await;
    let seen = eventually("the watch of the Lease is complete", SOON, async || {
        let seen = holders.lock().expect("no panic").clone();
        (seen.last() == Some(&last))
            .then_some(seen)
            .ok_or_else(|| "it is not".to_owned())
    });
    (taken, seen.await)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// The medians of the times until the Lease and until the call.
fn medians(what: &str, taken: &[Taken]) -> (Duration, Duration) {
    let lease = median(taken.iter().map(|t| t.lease).collect());
    let act = median(taken.iter().map(|t| t.act).collect());
    println!(
        "{what}, median of {}: the Lease has another holder after {lease:.1?}, who acts after {act:.1?}",
        taken.len()
    );
    (lease, act)
}

#[tokio::test]
async fn a_killed_leader_is_replaced_in_time() {
    let bed = Bed::builder("failover").elected().build().await;
    let (taken, holders) = take_away(&bed, "KILL", 3).await;
    let (lease, act) = medians("leader killed", &taken);
    assert!(lease <= KILLED && act <= KILLED, "{lease:?}, {act:?}");
    // The Lease expires: nobody gives it back.
    assert!(holders.iter().all(Option::is_some), "{holders:?}");
    assert_eq!(holders.len(), 4, "{holders:?}");
}

#[tokio::test]
async fn a_leader_that_gets_sigterm_gives_the_lease_back() {
    let bed = Bed::builder("handover").elected().build().await;
    let (taken, holders) = take_away(&bed, "TERM", 5).await;
    let (lease, _) = medians("leader asked to end", &taken);
    assert!(lease < LEASE_DURATION, "{lease:?}");
    // Between two holders nobody holds it, so that the next one need not wait until it expires.
    let given_back: Vec<bool> = holders.iter().map(Option::is_none).collect();
    let expected: Vec<bool> = (0..11).map(|n| n % 2 == 1).collect();
    assert_eq!(given_back, expected, "{holders:?}");
}

#[tokio::test]
async fn a_rolling_update_in_the_middle_of_starts_starts_nothing_twice() {
    let bed = Bed::builder("rolling").elected().build().await;
    let slow = Effect::delay(When::After, Duration::from_millis(400));
    bed.api
        .add_fault(Fault::new(Endpoint::Start, slow).times(9));
    let mut replicas = [Process::start(&bed, "old a"), Process::start(&bed, "old b")];
    replicas[0]
        .answers("/readyz", |status, _| status == 200)
        .await;
    let mut names = Vec::new();
    for generation in 0..3_u64 {
        for letter in ["a", "b", "c"] {
            let name = format!("{letter}{generation}");
            bed.create(&name, json!({"modelId": MODEL})).await;
            names.push(name);
        }
        bed.wait_api("get a start", |view| {
            view.count(Endpoint::Start) > 3 * generation
        })
        .await;
        // As a Deployment does: the new process is ready before an old one gets SIGTERM.
        for (number, replica) in replicas.iter_mut().enumerate() {
            let mut new = Process::start(&bed, format!("{generation}, {number}"));
            new.answers("/readyz", |status, _| status == 200).await;
            replica.signal("TERM");
            assert_eq!(replica.ended().await.code(), Some(0));
            *replica = new;
        }
    }
    let ids = bed.all_run(&names).await;
    bed.wait_lists(3).await;
    assert_eq!(sorted(ids), sorted(bed.existing()));
    assert_eq!((bed.ever().len(), bed.starts()), (names.len(), 9));
}
