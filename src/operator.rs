//! The operator as a whole: what `run` starts, in which order, and how it ends.

use std::time::Duration;

use crate::runtime::{
    config::RunConfig,
    health::{Health, HealthServer},
    kube_client,
    leadership::{LEASE_NAME, Leadership, identity},
    signals::Shutdown,
};

/// How often the main loop shows that it is alive.
const BEAT: Duration = Duration::from_secs(2);

/// Runs the operator until `shutdown` asks it to stop.
///
/// # Errors
/// One sentence: why it cannot start, or that it lost the lease.
pub async fn run(config: RunConfig, shutdown: Shutdown) -> Result<(), String> {
    let health = Health::default();
    let server = HealthServer::start(config.listen, health.clone()).await?;
    let ended = run_beside_server(&config, &health, &shutdown).await;
    server.stop().await;
    ended
}

async fn run_beside_server(
    config: &RunConfig,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), String> {
    let connection = kube_client::connect().await?;
    let leadership = match config.leader_elect {
        true => Leadership::start(connection.client.clone(), &connection.namespace, identity()),
        false => Leadership::always(),
    };
    health.metrics.set_leader(LEASE_NAME, false);
    let ended = lead(&leadership, health, shutdown).await;
    health.metrics.set_leader(LEASE_NAME, false);
    health.readiness.not_ready("stopping");
    leadership.release().await;
    ended
}

async fn lead(leadership: &Leadership, health: &Health, shutdown: &Shutdown) -> Result<(), String> {
    tokio::select! {
        () = shutdown.requested() => return Ok(()),
        acquired = leadership.acquired() => acquired.map_err(|end| end.to_string())?,
        () = stand_by(leadership, health) => {}
    }
    health.metrics.set_leader(LEASE_NAME, true);
    health.readiness.ready();
    tokio::select! {
        () = shutdown.requested() => Ok(()),
        loss = leadership.lost() => Err(format!("lost the Lease {LEASE_NAME}: {loss}")),
        () = beat(health) => Ok(()),
    }
}

/// Shows how the standby fares; never completes.
async fn stand_by(leadership: &Leadership, health: &Health) {
    loop {
        health.liveness.beat();
        match leadership.problem() {
            Some(problem) => health.readiness.not_ready(&problem.to_string()),
            None => health.readiness.standby(),
        }
        tokio::time::sleep(BEAT).await;
    }
}

/// Shows that the main loop is alive; never completes.
async fn beat(health: &Health) {
    loop {
        health.liveness.beat();
        tokio::time::sleep(BEAT).await;
    }
}
