//! The API limits the rate, fails for a minute, or is slow, while many resources wait for calls. The cost of that does not
//! depend on the number of resources, and in the end each resource is as its spec says.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use cortecs_rules::pacing::pressure::MOST;
use cortecs_simulator::{
    Effect, Endpoint, Fault, Handle, SimulatedAccount, Simulator, SimulatorConfig, When,
};
use futures::{StreamExt, stream};
use serde_json::json;

use crate::harness::{Bed, CLIENT_ID, MODEL, Operator, SOON, bound, running, sorted, stopped};

const RESOURCES: usize = 300;
/// The number of different specs. Starts of one model with unequal specs are made one kind after the other, as answers may leave out
/// what tells their instances apart.
const KINDS: usize = 30;
/// How long the API fails.
const BROWNOUT: Duration = Duration::from_secs(60);
/// During the failure, so many started instances are to be stopped, and so many are to be deleted.
const CHANGED: usize = 10;
/// How long three hundred starts may take on a machine that does much else.
const RECOVERY: Duration = Duration::from_secs(300);
/// The most writes to Kubernetes that one resource costs during the failure: the finalizer, the status of a resource that
/// waits for its turn, and the status with what the resource waits for. Each call to the API may cost two more.
const WRITES: usize = 3;
/// The most writes that an instance costs which comes up meanwhile: its binding, its steps and its annotation.
const COMES_UP: usize = 8;

/// The requests to the API during the failure.
struct Cost {
    /// The operator, which keeps running.
    operator: Operator,
    /// The resources whose instances were started before. The first ones are to be stopped or deleted.
    started: Vec<String>,
    lists: u64,
    /// All requests but the lists.
    calls: u64,
    seconds: f64,
}

/// Creates three hundred resources, and calls `trouble` while their instances are being started. Meanwhile some of them are
/// stopped or deleted. Counts the requests until `relief`.
async fn brownout(bed: &Bed, trouble: impl Fn(&Handle), relief: impl Fn(&Handle)) -> Cost {
    // Starts take a moment, so that at any time some of them are not answered yet.
    bed.api.add_fault(Fault::new(
        Endpoint::Start,
        Effect::delay(When::Before, Duration::from_millis(300)),
    ));
    let operator = bed.operator();
    stream::iter(0..RESOURCES)
        .for_each_concurrent(16, async |n| {
            let spec = json!({"modelId": MODEL, "contextLength": 4000 + n % KINDS});
            bed.create(&format!("phi-{n}"), spec).await;
        })
        .await;
    let started = async || -> Vec<String> {
        let started = bed.instances.wait(SOON, |record| {
            let all = record.all();
            let started = all.iter().filter(|r| !bound(r).is_empty());
            let names: Vec<String> = started.filter_map(|r| r.metadata.name.clone()).collect();
            (names.len() >= 2 * CHANGED).then_some(names)
        });
        started.await.expect("some are started")
    };
    let started = started().await;

    bed.api.clear_faults();
    trouble(&bed.api);
    bed.api.reset_counts();
    let began = Instant::now();
    let before = versions(bed);
    let starts = bed.ever().len();
    let come_up = bed.instances.all();
    let come_up = come_up
        .iter()
        .filter(|r| !bound(r).is_empty() && !running(r));
    // Starts that are under way have their effect.
    let come_up = come_up.count() + MOST;
    assert!(starts < RESOURCES * 2 / 3, "{starts} are started already");
    for name in &started[..CHANGED] {
        bed.change(name, json!({"state": "Stopped"})).await;
    }
    for name in &started[CHANGED..2 * CHANGED] {
        bed.delete(name).await;
    }
    // The failure lasts this long: no condition ends it earlier.
    tokio::time::sleep(BROWNOUT.saturating_sub(began.elapsed())).await;
    let counts = bed.api.counts();
    let seconds = began.elapsed().as_secs_f64();
    let after = versions(bed);
    relief(&bed.api);

    let lists = counts.get(&Endpoint::ListInstances).copied();
    let lists = lists.unwrap_or_default();
    let calls = counts.values().sum::<u64>() - lists;
    let mut written: Vec<usize> = before
        .iter()
        .map(|(name, versions)| after[name] - versions)
        .collect();
    written.sort_unstable();
    println!(
        "{}: {seconds:.0} s, {starts} started before; {counts:?}; writes for each of {}: {} in the middle, {:?} at most",
        bed.namespace,
        written.len(),
        written[written.len() / 2],
        written.last(),
    );
    // The versions include the test's own writes: one for each resource that the test changed.
    let more: usize = written.iter().map(|n| n.saturating_sub(WRITES)).sum();
    let calls_made = usize::try_from(calls).expect("a number");
    let most = 2 * calls_made + 2 * MOST + 2 * CHANGED + (COMES_UP - WRITES) * come_up;
    assert!(more <= most, "{more} > {most}: {written:?}");
    Cost {
        operator,
        started,
        lists,
        calls,
        seconds,
    }
}

/// The number of versions of each resource.
fn versions(bed: &Bed) -> BTreeMap<String, usize> {
    let history = bed.instances.history().into_iter();
    history
        .map(|((_, name), versions)| (name, versions.len()))
        .collect()
}

/// Waits until each resource is as its spec says, and checks that nothing was started twice.
async fn recovers(bed: &Bed, cost: Cost) {
    let (began, started) = (Instant::now(), &cost.started);
    let (to_stop, to_delete) = (&started[..CHANGED], &started[CHANGED..2 * CHANGED]);
    for name in to_stop {
        bed.wait(name, "stopped", stopped).await;
    }
    for name in to_delete {
        bed.wait_gone(name).await;
    }
    let all_run = bed.instances.wait(RECOVERY, |record| {
        let count = record.all().iter().filter(|r| running(r)).count();
        (count == RESOURCES - 2 * CHANGED).then_some(())
    });
    all_run.await.expect("each of the others runs");
    let took = began.elapsed().as_secs_f64();
    println!("{}: made up for in {took:.0} s", bed.namespace);
    let ever = bed.ever();
    assert_eq!(ever.len(), RESOURCES, "instances ever started");
    assert!(ever.iter().all(|history| history.billed_starts == 1));
    let requests = bed.api.requests();
    let accepted = |r: &&_| {
        let r: &&cortecs_simulator::RequestRecord = r;
        r.endpoint == Endpoint::Start && r.status == Some(202)
    };
    assert_eq!(requests.iter().filter(accepted).count(), RESOURCES);
    let bound = bed.bound_ids();
    assert_eq!(bound.len(), RESOURCES - CHANGED);
    assert_eq!(bound, sorted(bed.existing()));
    drop(cost.operator);
}

async fn bed(name: &'static str) -> Bed {
    Bed::builder(name)
        .step(Duration::from_millis(20))
        .request_timeout(Duration::from_secs(5))
        .build()
        .await
}

#[tokio::test]
async fn a_minute_of_503_costs_no_more_for_three_hundred_resources_than_for_a_few() {
    let bed = bed("brownout").await;
    let cost = brownout(&bed, |api| api.set_down(true), |api| api.set_down(false)).await;
    let lists = 5.0 + cost.seconds / 15.0;
    assert!(cost.lists as f64 <= lists, "{} > {lists}", cost.lists);
    let calls = MOST as f64 + 4.0 + cost.seconds / 15.0;
    assert!(cost.calls as f64 <= calls, "{} > {calls}", cost.calls);
    recovers(&bed, cost).await;
}

#[tokio::test]
async fn a_minute_of_429_costs_what_the_api_asks_for() {
    let bed = bed("rate").await;
    const ASKED: u64 = 10;
    // Lists are answered; starts, stops and deletes are not.
    let limit = |api: &Handle| {
        for endpoint in [
            Endpoint::Start,
            Endpoint::Stop,
            Endpoint::Delete,
            Endpoint::GetInstance,
            Endpoint::GetModel,
        ] {
            api.add_fault(Fault::new(
                endpoint,
                Effect::rate_limit(Duration::from_secs(ASKED)),
            ));
        }
    };
    let cost = brownout(&bed, limit, Handle::clear_faults).await;
    // One list for each interval of the account, which is up to a tenth shorter, and one for each call.
    let lists = cost.seconds / 0.9 + 1.0 + cost.calls as f64;
    assert!(cost.lists as f64 <= lists, "{} > {lists}", cost.lists);
    let calls = MOST as f64 + 1.0 + cost.seconds / ASKED as f64;
    assert!(cost.calls as f64 <= calls, "{} > {calls}", cost.calls);
    recovers(&bed, cost).await;
}

/// An account with an API of its own that answers slowly, and starts slowest of all.
async fn slow_account(bed: &Bed, name: &str) -> Simulator {
    let config = SimulatorConfig {
        accounts: vec![SimulatedAccount::new(CLIENT_ID, &bed.client_secret)],
        step_duration: Duration::from_millis(20),
        ..SimulatorConfig::default()
    };
    let simulator = Simulator::start(config).await.expect("a simulator");
    let late = |duration| Effect::delay(When::Before, duration);
    let api = simulator.handle();
    api.add_fault(Fault::new(Endpoint::Start, late(SLOW)));
    for endpoint in [
        Endpoint::Token,
        Endpoint::ListInstances,
        Endpoint::GetInstance,
        Endpoint::GetModel,
    ] {
        api.add_fault(Fault::new(endpoint, late(SLOW_ANSWER)));
    }
    bed.create_account(name, json!({"apiUrl": simulator.api_url()}))
        .await;
    simulator
}

/// How long a slow API takes for a start: longer than any other wait of the test, shorter than the operator's time-out.
const SLOW: Duration = Duration::from_secs(280);
/// How long a slow API takes for any other call.
const SLOW_ANSWER: Duration = Duration::from_secs(5);

#[tokio::test]
async fn accounts_with_slow_apis_do_not_delay_other_accounts() {
    let mut bed = Bed::builder("slow-accounts")
        .request_timeout(Duration::from_secs(300))
        .build()
        .await;
    let names = ["slow-a", "slow-b", "slow-c"];
    let mut slow = Vec::new();
    for name in names {
        slow.push(slow_account(&bed, name).await);
    }
    // The calls of the slow accounts together would occupy every worker of the controller.
    assert!(names.len() * MOST > usize::from(bed.config.concurrency));
    let hosts = slow.iter().map(|s| format!(",http://{}", s.address()));
    let hosts = bed.config.allowed_hosts.to_string() + &hosts.collect::<String>();
    bed.config.allowed_hosts = hosts.parse().expect("hosts");
    let _operator = bed.operator();
    for account in names {
        for n in 0..2 * MOST {
            let spec = json!({"modelId": MODEL, "accountRef": {"name": account}});
            bed.create(&format!("{account}-{n}"), spec).await;
        }
    }
    let most = u64::try_from(MOST).expect("a number");
    let apis: Vec<Handle> = slow.iter().map(Simulator::handle).collect();
    for api in &apis {
        let busy = api.wait_for(|view| view.count(Endpoint::Start) >= most, SOON);
        busy.await.expect("as many starts as may be");
    }
    bed.run("quick", json!({"modelId": MODEL})).await;
    for api in &apis {
        let requests = api.requests();
        let starts = requests.iter().filter(|r| r.endpoint == Endpoint::Start);
        let answers: Vec<_> = starts.map(|r| r.status).collect();
        assert_eq!(answers, vec![None; MOST], "none is answered yet");
    }
}
