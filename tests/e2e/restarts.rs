//! A new process finds everything as the one before has left it. It writes nothing and tells nothing, whether it is started again
//! or takes over, and also while the API is down.

use cortecs_resources::conditions::AVAILABLE;
use cortecs_simulator::{Effect, Endpoint, Fault, When};

use crate::harness::{Bed, Process, Read, Told, leads, running, stands_by};

const RESOURCES: usize = 50;

/// Waits until the leader has taken lists, and nothing is written any more.
async fn settle(bed: &Bed) -> Told {
    let mut before = Told::look(bed).await;
    loop {
        bed.wait_lists(3).await;
        let now = Told::look(bed).await;
        if now == before {
            return now;
        }
        before = now;
    }
}

async fn leader(bed: &Bed, name: &str) -> Process {
    let mut process = Process::start(bed, name);
    process.answers("/metrics", leads).await;
    process
}

fn starts_timed(metrics: &str) -> usize {
    let count = metrics
        .lines()
        .filter(|line| line.starts_with("cortecs_start_duration_seconds_count"));
    count
        .filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
        .sum()
}

#[tokio::test]
async fn a_new_process_writes_nothing_and_tells_nothing_where_nothing_has_changed() {
    let bed = Bed::builder("again").elected().build().await;
    let mut first = leader(&bed, "the first").await;
    let names: Vec<String> = (0..RESOURCES).map(|n| format!("phi-{n}")).collect();
    bed.create_each(&names).await;
    for name in &names {
        bed.wait(name, "running", running).await;
    }
    bed.wait_account("counted", |a| {
        let counts = a.status.as_ref().and_then(|s| s.instances.as_ref());
        counts.is_some_and(|c| c.running == RESOURCES as i64)
    })
    .await;
    let before = settle(&bed).await;
    assert_eq!(
        (before.resources.len(), before.accounts.len()),
        (RESOURCES, 1)
    );
    assert_eq!(starts_timed(&first.get("/metrics").await.1), RESOURCES);

    // A failover.
    let mut second = Process::start(&bed, "the second");
    second.answers("/readyz", stands_by).await;
    first.signal("KILL");
    second.answers("/metrics", leads).await;
    bed.wait_lists(4).await;
    assert_eq!(Told::look(&bed).await, before, "after a failover");
    assert_eq!(starts_timed(&second.get("/metrics").await.1), 0);

    // A restart, with the API down, and then up again.
    second.signal("TERM");
    second.ended().await;
    let fails = Effect::html(When::Before, 502);
    bed.api
        .add_fault(Fault::new(Endpoint::ListInstances, fails));
    let mut third = leader(&bed, "the third").await;
    bed.wait_lists(4).await;
    let during = Told::look(&bed).await;
    assert_eq!(during.events, before.events, "events while the API is down");
    for name in &names {
        let resource = bed.latest(name).unwrap();
        assert_ne!(
            resource.reason("Reconciling"),
            "WaitingForAccount",
            "{name}"
        );
        assert_eq!(resource.reason(AVAILABLE), "EndpointUsable", "{name}");
    }
    bed.api.clear_faults();
    let lists = bed.api.count(Endpoint::ListInstances);
    bed.wait_api("lists again", |view| {
        view.count(Endpoint::ListInstances) > lists + 3
    })
    .await;
    for name in &names {
        bed.wait(name, "running", running).await;
    }
    assert_eq!(starts_timed(&third.get("/metrics").await.1), 0);
    assert_eq!(
        Told::look(&bed).await.resources,
        before.resources,
        "after the outage"
    );
}
