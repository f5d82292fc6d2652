//! What must not happen: a new process that finds everything as it should be writes and tells nothing, and an installation that
//! does not manage the account never acts.

use cortecs_resources::annotations::REQUESTED_AT;

use super::{processes::Processes, tally::Tally};
use crate::{
    eventually::eventually,
    harness::{Bed, Process, SOON, Told, allow_lease_in},
};

/// Starts another installation, which watches the same namespaces all the time. The account is assigned to the first one.
pub(super) async fn bystander(bed: &Bed) -> Process {
    let namespace = bed.neighbour("b");
    allow_lease_in(bed.plane, &namespace).await;
    let watched = bed.config.watch_namespaces.to_string();
    Process::start_in(
        bed,
        &namespace,
        &["--watch-namespaces", &watched],
        "bystander",
    )
}

/// Another process takes over, and there is nothing to do.
pub(super) async fn failover(bed: &Bed, processes: &mut Processes<'_>) {
    let before = Told::look(bed).await;
    if !processes.fail_over().await {
        return;
    }
    bed.wait_lists(5).await;
    for new in Told::look(bed).await.since(&before) {
        let wrong = format!("after a failover with nothing to do, {new}");
        processes.tally.wrong(wrong);
    }
}

/// The other installation, alone by now, has seen all and has asked the API nothing since its start.
pub(super) async fn stands_off(bed: &Bed, bystander: &mut Process, tally: &mut Tally) {
    let (before, request) = (Told::look(bed).await, bed.last_request());
    let reconciled = reconciles(bystander).await;
    let Some(name) = before.resources.keys().next() else {
        return;
    };
    bed.annotate(name, REQUESTED_AT, "now").await;
    eventually("the bystander sees a change", SOON, async || {
        let now = reconciles(bystander).await;
        (now > reconciled)
            .then_some(())
            .ok_or_else(|| format!("{now} reconciles"))
    })
    .await;
    let mut after = Told::look(bed).await;
    // The annotation itself.
    let annotated = before.resources[name].clone();
    after.resources.insert(name.clone(), annotated);
    for new in after.since(&before) {
        tally.wrong(format!("another installation acts: {new}"));
    }
    let asked = sum(bystander, "cortecs_api_requests_total").await;
    if asked > 0 || bed.last_request() > request {
        tally.wrong(format!("another installation asked the API {asked} times"));
    }
}

async fn reconciles(process: &mut Process) -> u64 {
    sum(process, "controller_runtime_reconcile_total").await
}

/// The sum of a counter over all its labels.
async fn sum(process: &mut Process, counter: &str) -> u64 {
    let metrics = process.get("/metrics").await.1;
    let lines = metrics.lines().filter(|line| line.starts_with(counter));
    let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    values.sum()
}
