//! The operator as a whole: starts and ends all parts of `run`.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    cli::RunConfig,
    controllers::{Controllers, Parts, Task},
    environment,
    instance::{self, context::Context, enqueue::Enqueuer, restore_watch},
    kubernetes::client,
    leadership::{LEASE_NAME, Leadership, identity},
    serve::{
        health::{Health, HealthServer},
        signals::Shutdown,
    },
};

/// How often the main loop reports that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Connects to the cluster and runs the operator, with its health server, until `shutdown` is requested.
///
/// # Errors
/// One sentence: why the operator cannot start, or that the operator lost the lease.
pub async fn run(config: RunConfig, shutdown: Shutdown) -> Result<(), String> {
    let health = Health::default();
    let server = HealthServer::start(config.listen, health.clone()).await?;
    let result = async {
        let proxies = environment::proxies(&config.allowed_hosts)?;
        let connection = client::connect(&proxies).await?;
        let parts = Parts {
            client: connection.client,
            namespace: connection.namespace,
            config,
            proxies,
            effects: None,
        };
        run_with(parts, health, shutdown).await
    }
    .await;
    server.stop().await;
    result
}

/// Runs the operator without the health server: waits for the lease, runs the controllers, and releases the lease at the end.
///
/// # Errors
/// One sentence: that the operator lost the lease, or that Kubernetes was restored to an earlier state.
pub async fn run_with(parts: Parts, health: Health, shutdown: Shutdown) -> Result<(), String> {
    let identity = identity();
    let leadership = if parts.config.leader_elect {
        Leadership::start(parts.client.clone(), &parts.namespace, identity.clone())
    } else {
        Leadership::always()
    };
    health.metrics.set_leader(LEASE_NAME, false);
    let result = lead(parts, &identity, &leadership, &health, &shutdown).await;
    health.metrics.set_leader(LEASE_NAME, false);
    health.readiness.not_ready("stopping");
    leadership.release().await;
    result
}

async fn lead(
    parts: Parts,
    identity: &str,
    leadership: &Leadership,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), String> {
    tokio::select! {
        () = shutdown.requested() => return Ok(()),
        acquired = leadership.acquired() => acquired.map_err(|end| end.to_string())?,
        () = report_standby(leadership, health) => {}
    }
    health.metrics.set_leader(LEASE_NAME, true);
    tokio::select! {
        // On shutdown the controllers end by themselves: they first finish and record the steps that they have begun.
        result = run_controllers(parts, identity, leadership, health, shutdown) => result,
        loss = leadership.lost() => Err(format!("lost the Lease {LEASE_NAME}: {loss}")),
    }
}

/// Runs the controllers until `shutdown`. Their watches begin only now, so that they see all writes of an earlier leader.
///
/// # Errors
/// One sentence: that Kubernetes was restored to an earlier state.
async fn run_controllers(
    parts: Parts,
    identity: &str,
    leadership: &Leadership,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), String> {
    let controllers = Controllers::new(parts, identity, leadership, &health.metrics, Task::Operate);
    let Controllers {
        instances,
        enqueuer,
        ..
    } = &controllers;
    tokio::select! {
        () = controllers.run(shutdown) => Ok(()),
        () = report_health(instances, enqueuer, health) => Ok(()),
        () = restore_watch::run(instances) => Ok(()),
        message = instances.history.restored() => Err(message),
    }
}

/// Reports liveness, readiness and the counts of resources by phase; never completes.
async fn report_health(instances: &Context, enqueuer: &Enqueuer, health: &Health) {
    let directory = &instances.directory;
    let (mut counted, mut spent) = (BTreeSet::new(), BTreeSet::new());
    let mut synced = false;
    loop {
        health.liveness.beat();
        if synced {
            health.readiness.ready();
        } else {
            health.readiness.not_ready("the resources are being listed");
            synced = instances.watches.all_listed() && directory.synced();
            if synced {
                // A resource whose account does not exist is enqueued by no event of an account.
                enqueuer.enqueue_all();
                // The brake could not measure lists that came before the resources were known.
                directory.request_withheld();
                continue;
            }
        }
        // Before all accounts are known, their resources would be counted for no account.
        if synced {
            instance::gauges::set_gauges(instances, &mut counted);
            instance::settle::set_costs(instances, &mut spent);
        }
        let pause = if synced { HEARTBEAT } else { HEARTBEAT / 10 };
        tokio::time::sleep(pause).await;
    }
}

/// Reports liveness and readiness while another process is the leader; never completes.
async fn report_standby(leadership: &Leadership, health: &Health) {
    loop {
        health.liveness.beat();
        match leadership.problem() {
            Some(problem) => health.readiness.not_ready(&problem.to_string()),
            None => health.readiness.standby(),
        }
        tokio::time::sleep(HEARTBEAT).await;
    }
}
