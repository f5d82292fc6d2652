//! The election against an API server in memory ([`test_server`]), in virtual time: the test sets the processes' clocks.

#[path = "test_server.rs"]
mod test_server;

use std::sync::atomic::{AtomicU64, Ordering};

use cortecs_rules::lease::{ACT_DURATION, LEASE_DURATION};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use test_server::{Fault, Server};

/// A machine's clock: the test's virtual time, plus the time that the machine is ahead.
#[derive(Clone)]
struct Machine {
    start: Instant,
    ahead: Arc<AtomicU64>,
}

impl Machine {
    fn new(ahead: u64) -> Self {
        Self {
            start: Instant::now(),
            ahead: Arc::new(AtomicU64::new(ahead)),
        }
    }

    fn clock(&self) -> Clock {
        let machine = self.clone();
        Arc::new(move || {
            let ahead = Duration::from_secs(machine.ahead.load(Ordering::SeqCst));
            Moment::from_boot(machine.start.elapsed() + ahead)
        })
    }

    /// Suspends the machine: its clock goes on, and no timer of the process runs.
    fn sleep_through(&self, seconds: u64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }
}

fn start(server: &Server, me: &str) -> Leadership {
    let clock = Machine::new(0).clock();
    Leadership::start_with_clock(server.client(), "system", me.to_owned(), clock)
}

async fn lost(leadership: &Leadership) -> Loss {
    let waited = tokio::time::timeout(Duration::from_secs(120), leadership.lost()).await;
    waited.expect("it is lost within two minutes")
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn the_first_process_leads_and_the_second_waits_while_the_first_renews() {
    let server = Server::default();
    let first = start(&server, "first");
    assert!(!first.may_act());
    first.acquired().await.unwrap();
    assert!(first.may_act());
    let second = start(&server, "second");
    for _ in 0..600 {
        seconds(1).await;
        assert!(first.may_act() && !second.may_act());
    }
    let spec = server.spec();
    assert_eq!(spec.holder_identity.as_deref(), Some("first"));
    assert_eq!(
        (spec.lease_duration_seconds, spec.lease_transitions),
        (Some(15), Some(0))
    );
    assert!(spec.renew_time > spec.acquire_time);
    assert_eq!(second.problem(), None);
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_another_process_leads_only_when_the_first_may_no_longer_act() {
    let server = Server::default();
    // The machines' clocks are hours apart.
    let clock = Machine::new(7 * 3600).clock();
    let first = Leadership::start_with_clock(server.client(), "system", "first".to_owned(), clock);
    first.acquired().await.unwrap();
    let second = start(&server, "second");
    seconds(5).await;
    let standing = Arc::clone(&first.standing);
    let act_until = standing.borrow().act_until.unwrap();
    let now = (first.clock)();
    drop(first);
    let crashed = Instant::now();
    second.acquired().await.unwrap();
    assert!(second.may_act());
    let waited = crashed.elapsed();
    assert!(waited > act_until.since(now), "{waited:?}");
    assert!(waited <= LEASE_DURATION + 2 * RETRY_PERIOD, "{waited:?}");
    assert_eq!(server.spec().lease_transitions, Some(1));
    assert_eq!(server.holder().as_deref(), Some("second"));
}

#[tokio::test(start_paused = true)]
async fn a_release_hands_over_within_three_seconds() {
    let server = Server::default();
    let first = start(&server, "first");
    first.acquired().await.unwrap();
    let second = start(&server, "second");
    seconds(3).await;
    first.release().await;
    assert!(!first.may_act());
    assert_eq!(first.acquired().await, Err(LeadershipEnd::Released));
    assert_eq!(server.holder(), None);
    let released = Instant::now();
    second.acquired().await.unwrap();
    assert!(released.elapsed() <= Duration::from_secs(3));
    assert_eq!(server.holder().as_deref(), Some("second"));
    assert_eq!(server.spec().lease_transitions, Some(1));
    // The first process does not lead again, and a second release does no harm.
    first.release().await;
    seconds(30).await;
    assert!(second.may_act());
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_releases_leaves_the_lease_alone() {
    let server = Server::default();
    let first = start(&server, "first");
    first.acquired().await.unwrap();
    let second = start(&server, "second");
    seconds(3).await;
    second.release().await;
    assert_eq!(server.holder().as_deref(), Some("first"));
    assert_eq!(second.acquired().await, Err(LeadershipEnd::Released));
    assert!(first.may_act());
}

#[tokio::test(start_paused = true)]
async fn of_many_processes_that_start_together_one_leads() {
    let server = Server::default();
    let all: Vec<_> = (0..8)
        .map(|number| start(&server, &format!("process-{number}")))
        .collect();
    for _ in 0..60 {
        seconds(1).await;
        assert_eq!(all.iter().filter(|one| one.may_act()).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn without_an_api_server_the_right_to_act_ends_by_itself_and_for_good() {
    let server = Server::default();
    let first = start(&server, "first");
    first.acquired().await.unwrap();
    seconds(1).await;
    server.fault(Fault::Hang);
    let cut_off = Instant::now();
    while first.may_act() {
        assert!(cut_off.elapsed() <= ACT_DURATION);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(first.problem().is_some());
    assert_eq!(lost(&first).await, Loss::Expired);
    assert!(cut_off.elapsed() < LEASE_DURATION);
    server.fault(Fault::None);
    seconds(30).await;
    assert!(!first.may_act());
    assert_eq!(
        first.acquired().await,
        Err(LeadershipEnd::Lost(Loss::Expired))
    );
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_a_few_seconds_loses_nothing() {
    let server = Server::default();
    let first = start(&server, "first");
    first.acquired().await.unwrap();
    server.fault(Fault::Hang);
    seconds(5).await;
    server.fault(Fault::None);
    for _ in 0..60 {
        seconds(1).await;
        assert!(first.may_act());
    }
    assert_eq!(first.problem(), None);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_gives_no_right_to_act_until_confirmed() {
    let server = Server::default();
    server.fault(Fault::LoseNextAnswer);
    let first = start(&server, "first");
    seconds(3).await;
    assert_eq!(server.holder().as_deref(), Some("first"));
    assert!(!first.may_act());
    first.acquired().await.unwrap();
    server.fault(Fault::LoseNextAnswer);
    for _ in 0..60 {
        seconds(1).await;
        assert!(first.may_act());
    }
    assert_eq!(server.spec().lease_transitions, Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_suspended_machine_may_not_act_when_it_wakes() {
    let server = Server::default();
    let machine = Machine::new(0);
    let first = Leadership::start_with_clock(
        server.client(),
        "system",
        "first".to_owned(),
        machine.clock(),
    );
    first.acquired().await.unwrap();
    seconds(30).await;
    assert!(first.may_act());
    machine.sleep_through(60);
    assert!(!first.may_act());
    assert_eq!(lost(&first).await, Loss::Expired);
    assert!(!first.may_act());
}

#[tokio::test(start_paused = true)]
async fn an_edit_by_others_is_no_loss() {
    let server = Server::default();
    let first = start(&server, "first");
    first.acquired().await.unwrap();
    server.edit(|lease| lease.as_mut().unwrap()["metadata"]["labels"] = json!({"team": "a"}));
    for _ in 0..30 {
        seconds(1).await;
        assert!(first.may_act());
    }
    let lease = server.lease().unwrap();
    assert_eq!(lease["metadata"]["labels"]["team"], "a");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_taken_cleared_or_deleted_is_lost() {
    type Edit = fn(&mut Option<Value>);
    let edits: [(Edit, Loss); 3] = [
        (
            |lease| lease.as_mut().unwrap()["spec"]["holderIdentity"] = "thief".into(),
            Loss::Taken("thief".to_owned()),
        ),
        (
            |lease| lease.as_mut().unwrap()["spec"]["holderIdentity"] = Value::Null,
            Loss::Cleared,
        ),
        (|lease| *lease = None, Loss::Deleted),
    ];
    for (edit, loss) in edits {
        let server = Server::default();
        let first = start(&server, "first");
        first.acquired().await.unwrap();
        server.edit(edit);
        let edited = Instant::now();
        assert_eq!(lost(&first).await, loss);
        assert!(
            edited.elapsed() <= 2 * RETRY_PERIOD + Duration::from_secs(2),
            "{loss:?}"
        );
        assert!(!first.may_act());
    }
}

#[tokio::test]
async fn without_an_election_the_process_leads_until_it_releases() {
    let leadership = Leadership::always();
    leadership.acquired().await.unwrap();
    assert!(leadership.may_act());
    leadership.release().await;
    assert!(!leadership.may_act());
    assert_eq!(leadership.acquired().await, Err(LeadershipEnd::Released));
}

#[test]
fn identities_differ_between_processes() {
    assert_ne!(identity(), identity());
    assert!(identity().len() < 200);
}
