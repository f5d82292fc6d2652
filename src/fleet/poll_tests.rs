use std::time::Duration;

use cortecs_api::{ClientConfig, install_crypto_provider, types::InstanceArgs};
use cortecs_simulator::{Effect, Endpoint, Fault, Simulator, SimulatorConfig, View, When};
use secrecy::SecretString;
use tokio::time::timeout;

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);
/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

#[derive(Default)]
struct Recorder {
    /// Sequences of old and new, and how many instances are in the new one.
    lists: Mutex<Vec<(Option<u64>, u64, usize)>>,
    failures: Mutex<u32>,
    /// Whether lists are withheld.
    refuses: Mutex<bool>,
}

impl FleetObserver for Recorder {
    fn admits(&self, _: &FleetKey, _: Option<&Snapshot>, _: &Snapshot) -> bool {
        !*self.refuses.lock().unwrap()
    }

    fn on_list(&self, Listed { old, new, .. }: Listed<'_>) {
        let recorder = (
            old.map(|old| old.sequence),
            new.sequence,
            new.instances.len(),
        );
        self.lists.lock().unwrap().push(recorder);
    }

    fn on_list_failed(&self, _: &FleetKey, _: &[ObjectKey]) {
        *self.failures.lock().unwrap() += 1;
    }

    fn on_summary_stale(&self, _: &FleetKey) {}

    fn on_payment_changed(&self, _: &FleetKey) {}

    fn on_prices_changed(&self, _: &FleetKey) {}

    fn on_turn(&self, _: Vec<ObjectKey>) {}
}

struct Stage {
    simulator: Simulator,
    fleet: Fleet,
    recorder: Arc<Recorder>,
}

fn credentials(secret: &str) -> Credentials {
    Credentials {
        client_id: "demo".to_owned(),
        client_secret: SecretString::from(secret.to_owned()),
    }
}

fn client(simulator: &Simulator, secret: &str) -> Client {
    Client::new(ClientConfig::new(simulator.api_url(), credentials(secret))).unwrap()
}

/// A fleet after its first list. It lists by itself only while it is busy.
async fn stage() -> Stage {
    install_crypto_provider();
    let simulator = Simulator::start(SimulatorConfig::default()).await.unwrap();
    let settings = PollSettings {
        active: Duration::from_millis(20),
        idle: FOREVER,
    };
    let limits = PollLimits {
        floor: Duration::from_millis(5),
        auth_retry: FOREVER,
    };
    let recorder = Arc::new(Recorder::default());
    let key = FleetKey::new(&simulator.api_url(), "demo");
    let client = client(&simulator, "demo-secret");
    let fleet = Fleet::start(key, client, settings, limits, recorder.clone());
    let stage = Stage {
        simulator,
        fleet,
        recorder,
    };
    stage.ended(1).await;
    stage
}

impl Stage {
    async fn ended(&self, lists: u64) {
        let mut ended = self.fleet.ended();
        timeout(DEADLINE, ended.wait_for(|count| *count >= lists))
            .await
            .expect("the list ends in time")
            .unwrap();
    }

    fn count(&self) -> u64 {
        self.simulator.handle().count(Endpoint::ListInstances)
    }

    async fn begun(&self, lists: u64) {
        self.simulator
            .handle()
            .wait_for(
                |view| view.count(Endpoint::ListInstances) >= lists,
                DEADLINE,
            )
            .await
            .unwrap();
    }

    fn fault(&self, effect: Effect) {
        let fault = Fault::new(Endpoint::ListInstances, effect).times(1);
        self.simulator.handle().add_fault(fault);
    }

    /// When the next list is due without a request.
    fn due(&self) -> Moment {
        let state = self.fleet.inner.state();
        let busy = !state.busy.is_empty();
        let limits = self.fleet.inner.limits;
        state.schedule.due(busy, state.settings, limits)
    }

    fn is_idle(&self) -> bool {
        self.due() > clock::moment().after(FOREVER / 2)
    }

    /// Whether lists follow each other in the active interval.
    fn is_active(&self) -> bool {
        let last = self.fleet.health().last_good.unwrap();
        self.due() < last.after(Duration::from_secs(1))
    }
}

#[tokio::test]
async fn a_snapshot_has_the_time_of_its_request_and_the_instances() {
    let stage = stage().await;
    assert!(stage.fleet.snapshot().unwrap().instances.is_empty());
    let model = client(&stage.simulator, "demo-secret")
        .list_models()
        .await
        .unwrap()
        .swap_remove(0);
    let args = InstanceArgs {
        model_id: model.model_name.unwrap_or(model.model_id),
        ..InstanceArgs::default()
    };
    let id = stage
        .simulator
        .handle()
        .outsider_start("demo", args)
        .unwrap();
    let asked = clock::moment();
    stage.fleet.request_list_after(clock::moment());
    stage.ended(2).await;
    let snapshot = stage.fleet.snapshot().unwrap();
    assert_eq!(snapshot.sequence, 2);
    assert!(asked <= snapshot.requested_at && snapshot.requested_at < snapshot.received_at);
    assert_eq!(snapshot.instances[&id].instance_id, id);
    assert_eq!(stage.fleet.health().last_good, Some(snapshot.received_at));
    assert_eq!(
        *stage.recorder.lists.lock().unwrap(),
        [(None, 1, 0), (Some(1), 2, 1)]
    );
}

#[tokio::test]
async fn the_balance_is_asked_for_more_often_while_an_instance_runs_or_starts_depend_on_it() {
    for (runs, watches) in [(false, false), (true, false), (false, true)] {
        let stage = stage().await;
        let handle = stage.simulator.handle();
        let finances = stage.fleet.finances();
        let balance = async {
            while finances.balance().is_none() {
                tokio::task::yield_now().await;
            }
        };
        timeout(DEADLINE, balance).await.expect("a balance");
        if runs {
            let args = InstanceArgs {
                model_id: "microsoft--phi-4".to_owned(),
                ..InstanceArgs::default()
            };
            handle.outsider_start("demo", args).unwrap();
            stage.fleet.request_list_after(clock::moment());
            stage.ended(2).await;
        }
        finances.watch_balance(watches);
        for _ in 0..11 {
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(61)).await;
            tokio::time::resume();
            tokio::task::yield_now().await;
        }
        let asks = if runs || watches { 2 } else { 1 };
        let asked = |view: &View| view.count(Endpoint::Balance) >= asks;
        handle.wait_for(asked, DEADLINE).await.unwrap();
        // A list of its own gives a question that should not be time to come.
        let lists = *stage.fleet.ended().borrow();
        stage.fleet.request_list_after(clock::moment());
        stage.ended(lists + 1).await;
        assert!(asks == 2 || handle.count(Endpoint::Balance) == 1);
    }
}

#[tokio::test]
async fn requests_during_a_list_become_one_more_that_begins_after_them() {
    let stage = stage().await;
    stage.fault(Effect::Delay {
        when: When::After,
        duration: Duration::from_millis(300),
    });
    stage.fleet.request_list_after(clock::moment());
    stage.begun(2).await;
    let asked = clock::moment();
    for _ in 0..200 {
        stage.fleet.request_list_after(clock::moment());
    }
    assert_eq!(
        stage.fleet.snapshot().unwrap().sequence,
        1,
        "the second list is still under way"
    );
    stage.ended(3).await;
    assert!(stage.fleet.snapshot().unwrap().requested_at >= asked);
    assert_eq!(stage.count(), 3);
    assert!(stage.is_idle(), "and no further list is due");
}

#[tokio::test]
async fn two_hundred_busy_resources_cost_no_more_lists_than_one() {
    let stage = stage().await;
    assert!(stage.is_idle());
    let keys: Vec<_> = (0..200)
        .map(|n| ObjectKey::new("team", n.to_string()))
        .collect();
    for key in &keys {
        stage.fleet.set_busy(key, true);
    }
    stage.ended(5).await;
    let ended = *stage.fleet.ended().borrow();
    assert!(stage.count() <= ended + 1, "one list at a time");
    assert!(stage.is_active());
    for key in &keys[1..] {
        stage.fleet.set_busy(key, false);
    }
    assert!(stage.is_active(), "one is busy still");
    stage.fleet.set_busy(&keys[0], false);
    // A list that has begun may still end: only the lists after it count.
    let mut ended = stage.fleet.ended();
    while !stage.is_idle() {
        timeout(DEADLINE, ended.changed()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_failed_list_keeps_the_last_good_one() {
    for effect in [
        Effect::fail(500, "broken"),
        Effect::fail(400, "no"),
        Effect::MalformedBody,
        Effect::TruncatedBody,
        Effect::WithoutInstance,
    ] {
        let stage = stage().await;
        let good = stage.fleet.snapshot().unwrap();
        stage.fault(effect.clone());
        let asked = clock::moment();
        stage.fleet.request_list_after(clock::moment());
        stage.ended(2).await;
        assert!(
            Arc::ptr_eq(&good, &stage.fleet.snapshot().unwrap()),
            "{effect}"
        );
        let health = stage.fleet.health();
        assert_eq!(health.failures, 1, "{effect}");
        assert!(health.last_error.is_some() && !health.authentication_failed);
        assert_eq!(health.last_good, Some(good.received_at));
        assert_eq!(health.good_since, Some(good.received_at));
        stage.fleet.request_list_after(clock::moment());
        assert!(
            stage.due() >= asked.after(Duration::from_secs(1)),
            "no request lifts the backoff"
        );

        // Ends the backoff.
        stage.fleet.inner.state().schedule.start_over();
        stage.fleet.request_list_after(clock::moment());
        stage.ended(3).await;
        let health = stage.fleet.health();
        assert_eq!((health.last_error, health.failures), (None, 0));
        let again = stage.fleet.snapshot().unwrap();
        assert_eq!(again.sequence, 2);
        // One failure is no outage.
        assert_eq!(health.good_since, Some(good.received_at));
        assert_eq!(*stage.recorder.failures.lock().unwrap(), 1);
    }
}

#[tokio::test]
async fn refused_credentials_wait_for_new_ones() {
    let stage = stage().await;
    let good = stage.fleet.snapshot().unwrap();
    assert!(stage.simulator.handle().set_secret("demo", "rotated"));
    stage.simulator.handle().expire_tokens();
    stage.fleet.request_list_after(clock::moment());
    stage.ended(2).await;
    let health = stage.fleet.health();
    assert!(health.authentication_failed && health.refused_at.is_some());
    assert_eq!(health.last_error.unwrap().class, RetryClass::Auth);
    assert!(Arc::ptr_eq(&good, &stage.fleet.snapshot().unwrap()));
    stage.fleet.request_list_after(clock::moment());
    stage.fleet.set_credentials(credentials("demo-secret"));
    assert!(stage.is_idle(), "the same secret is not tried again");
    stage.fleet.set_credentials(credentials("rotated"));
    stage.ended(3).await;
    assert!(!stage.fleet.health().authentication_failed);
    assert_eq!(stage.fleet.snapshot().unwrap().sequence, 2);
}

#[tokio::test]
async fn a_refusal_of_an_earlier_secret_does_not_count_for_the_new_one() {
    let stage = stage().await;
    let refusal = client(&stage.simulator, "wrong")
        .list_instances()
        .await
        .unwrap_err();
    assert_eq!(refusal.class(), RetryClass::Auth);
    let begun = ListRequest {
        requested_at: clock::moment(),
        credentials: stage.fleet.inner.state().credentials,
    };
    stage.simulator.handle().set_secret("demo", "rotated");
    stage.fleet.set_credentials(credentials("rotated"));
    stage.fleet.inner.fail(&begun, &refusal);
    assert!(!stage.fleet.health().authentication_failed);
    stage.ended(2).await;
    assert_eq!(stage.fleet.health().last_error, None);
}

#[tokio::test]
async fn a_stopped_fleet_lists_no_more() {
    let Stage {
        simulator,
        fleet,
        recorder,
    } = stage().await;
    fleet.set_busy(&ObjectKey::new("team", "a"), true);
    drop(fleet);
    // The loop ends and drops its observer.
    timeout(DEADLINE, async {
        while Arc::strong_count(&recorder) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    drop(simulator);
}

#[tokio::test]
async fn a_withheld_list_is_not_published_and_followed_by_others() {
    let stage = stage().await;
    let known = stage.fleet.snapshot().unwrap();
    let recorder = stage.recorder.lists.lock().unwrap().clone();
    *stage.recorder.refuses.lock().unwrap() = true;
    stage.fleet.request_list_after(clock::moment());
    // The next lists follow although no resource is busy.
    stage.ended(4).await;
    assert_eq!(stage.fleet.snapshot(), Some(Arc::clone(&known)));
    assert_eq!(stage.fleet.newest_snapshot(), None);
    assert_eq!(*stage.recorder.lists.lock().unwrap(), recorder);
    *stage.recorder.refuses.lock().unwrap() = false;
    let mut ended = stage.fleet.ended();
    let fleet = &stage.fleet;
    let published = ended.wait_for(|_| fleet.snapshot().unwrap().sequence > known.sequence);
    timeout(DEADLINE, published).await.unwrap().unwrap();
    assert_eq!(fleet.snapshot().unwrap().sequence, known.sequence + 1);
    assert_eq!(fleet.newest_snapshot(), fleet.snapshot());
}
