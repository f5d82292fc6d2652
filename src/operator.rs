//! The operator as a whole: what `run` starts, in which order, and how it ends.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cortecs_resources::account::ManagedBy;
use cortecs_rules::{
    instance::{input::Settings, protocol::Rules},
    pacing::schedule::PollLimits,
};
use kube::Client;

use crate::{
    account::{self, context::AccountController},
    catalog::Catalog,
    cli::RunConfig,
    fleet::directory::Directory,
    instance::{
        self,
        claims::BookClaims,
        context::{Context, EffectHook},
        controller::CALLS,
        history::History,
        restore_watch,
        shared_book::SharedBook,
        wakes::Wakes,
    },
    kubernetes::{self, client, controller::Shell, events::Events, queue::Watches},
    leadership::{LEASE_NAME, Leadership, identity, peers::Installs},
    serve::{
        health::{Health, HealthServer},
        signals::Shutdown,
    },
};

/// How often the main loop shows that it is alive.
const BEAT: Duration = Duration::from_secs(2);

/// What the operator is made from.
pub struct Parts {
    pub client: Client,
    /// Where the `Lease` lives.
    pub namespace: String,
    pub config: RunConfig,
    /// Is told of each side effect of the controller of instances; for tests.
    pub effects: Option<EffectHook>,
}

/// Finds the cluster and runs the operator, with its health server, until `shutdown` asks it to stop.
///
/// # Errors
/// One sentence: why it cannot start, or that it lost the lease.
pub async fn run(config: RunConfig, shutdown: Shutdown) -> Result<(), String> {
    let health = Health::default();
    let server = HealthServer::start(config.listen, health.clone()).await?;
    let ended = async {
        let connection = client::connect().await?;
        let parts = Parts {
            client: connection.client,
            namespace: connection.namespace,
            config,
            effects: None,
        };
        run_with(parts, health, shutdown).await
    }
    .await;
    server.stop().await;
    ended
}

/// Runs the operator without a server of its own: waits for the lease, leads, and hands the lease over at the end.
///
/// # Errors
/// One sentence: that it lost the lease, or that Kubernetes was restored to an earlier state.
pub async fn run_with(parts: Parts, health: Health, shutdown: Shutdown) -> Result<(), String> {
    let identity = identity();
    let leadership = if parts.config.leader_elect {
        Leadership::start(parts.client.clone(), &parts.namespace, identity.clone())
    } else {
        Leadership::always()
    };
    health.metrics.set_leader(LEASE_NAME, false);
    let ended = lead(parts, &identity, &leadership, &health, &shutdown).await;
    health.metrics.set_leader(LEASE_NAME, false);
    health.readiness.not_ready("stopping");
    leadership.release().await;
    ended
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
        () = stand_by(leadership, health) => {}
    }
    health.metrics.set_leader(LEASE_NAME, true);
    tokio::select! {
        // The controllers end by themselves when asked to: the steps at hand are finished and recorded.
        ended = control(parts, identity, leadership, health, shutdown) => ended,
        loss = leadership.lost() => Err(format!("lost the Lease {LEASE_NAME}: {loss}")),
    }
}

/// Runs both controllers until `shutdown`. Their watches begin now, with reads that are not from a cache: whatever an
/// earlier leader wrote is seen.
///
/// # Errors
/// That Kubernetes was restored to an earlier state.
async fn control(
    parts: Parts,
    identity: &str,
    leadership: &Leadership,
    health: &Health,
    shutdown: &Shutdown,
) -> Result<(), String> {
    let config = &parts.config;
    let book = SharedBook::default();
    let watches = Arc::new(Watches::new(&config.watch_namespaces));
    let claims = Arc::new(BookClaims {
        book: book.clone(),
        watches: Arc::clone(&watches),
        default_account: config.default_account.clone(),
        settle: config.settle,
    });
    let wakes = Arc::new(Wakes {
        book: book.clone(),
        watches: Arc::clone(&watches),
        default_account: config.default_account.clone(),
    });
    let directory = Directory::new(parts.client.clone());
    let events = Events::new(parts.client.clone(), identity);
    let us = ManagedBy {
        namespace: parts.namespace.clone(),
        lease: config.leader_elect.then(|| LEASE_NAME.to_owned()),
    };
    let installs = Arc::new(Installs::new(us, parts.client.clone()));
    let accounts = Arc::new(AccountController {
        client: parts.client.clone(),
        directory: directory.clone(),
        claims,
        instances: Arc::clone(&wakes) as _,
        allowed_hosts: config.allowed_hosts.clone(),
        leadership: leadership.clone(),
        metrics: health.metrics.clone(),
        events: events.clone(),
        installs: Arc::clone(&installs),
        watches: Arc::new(Watches::new(&config.watch_namespaces)),
        request_timeout: config.request_timeout,
        limits: PollLimits::default(),
        state: account::context::State::default(),
    });
    let instances = Arc::new(Context {
        client: parts.client.clone(),
        book,
        directory: directory.clone(),
        catalog: Catalog::default(),
        leadership: leadership.clone(),
        settings: Settings {
            rules: Rules::default(),
            settle: config.settle,
        },
        metrics: health.metrics.clone(),
        events,
        watches,
        installs,
        default_account: config.default_account.clone(),
        namespaces: config.watch_namespaces.clone(),
        history: History::default(),
        quorum: tokio::sync::Mutex::default(),
        workers: tokio::sync::Semaphore::new(config.concurrency.into()),
        effects: parts.effects,
    });
    let shell = |watches: &Arc<Watches>, concurrency| Shell {
        client: parts.client.clone(),
        watches: Arc::clone(watches),
        metrics: health.metrics.clone(),
        concurrency,
        shutdown: shutdown.clone(),
    };
    let of_accounts = shell(&accounts.watches, config.concurrency);
    let of_instances = shell(&instances.watches, config.concurrency.saturating_add(CALLS));
    let controllers = async {
        tokio::join!(
            account::controller::run(Arc::clone(&accounts), &of_accounts),
            kubernetes::controller::run(&of_instances, Arc::clone(&instances)),
        )
    };
    tokio::select! {
        _ = controllers => Ok(()),
        () = watch_over(&instances, &wakes, health) => Ok(()),
        () = restore_watch::watch_over(&instances) => Ok(()),
        why = instances.history.broken() => Err(why),
    }
}

/// Shows that the main loop is alive, whether the stores have synced, and how many resources are in which phase; never completes.
async fn watch_over(instances: &Context, wakes: &Wakes, health: &Health) {
    let directory = &instances.directory;
    let mut counted = BTreeSet::new();
    let mut synced = false;
    loop {
        health.liveness.beat();
        if synced {
            health.readiness.ready();
        } else {
            health.readiness.not_ready("the resources are being listed");
            synced = instances.watches.all_listed() && directory.synced();
            if synced {
                // Those that name no account that there is are woken by none.
                wakes.wake_all();
                // What was listed before could not be judged.
                directory.request_withheld();
                continue;
            }
        }
        // Before that no account is known, and nothing would be counted as theirs.
        if synced {
            instance::gauges::set_gauges(instances, &mut counted);
        }
        let beat = if synced { BEAT } else { BEAT / 10 };
        tokio::time::sleep(beat).await;
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
