//! Another process takes over from the leader: in time, and without starting anything twice.

use std::time::Duration;

use cortecs_simulator::{Effect, Endpoint, Fault, When};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    eventually::eventually,
    harness::{Bed, MODEL, Process, SOON, leads, running, sorted, stands_by, stopped},
};

/// The time that the README promises after the leader is killed, and after it gets SIGTERM.
const KILLED: Duration = Duration::from_secs(20);
const ASKED: Duration = Duration::from_secs(3);

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

/// Sends the signal to the leader `rounds` times, each time with another process on standby.
async fn take_away(bed: &Bed, signal: &str, rounds: u32) -> Vec<Taken> {
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
    taken
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
    let taken = take_away(&bed, "KILL", 3).await;
    let (lease, act) = medians("leader killed", &taken);
    assert!(lease <= KILLED && act <= KILLED, "{lease:?}, {act:?}");
}

#[tokio::test]
async fn a_leader_that_gets_sigterm_gives_the_lease_back() {
    let bed = Bed::builder("handover").elected().build().await;
    let taken = take_away(&bed, "TERM", 5).await;
    let (lease, _) = medians("leader asked to end", &taken);
    assert!(lease <= ASKED, "{lease:?}");
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
