//! The operator as a whole: starts and ends all parts of `run`.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use cortecs_resources::account::ManagedBy;
use cortecs_rules::{
    instance::{input::Settings, protocol::Rules},
    pacing::schedule::PollLimits,
};
use kube::Client;

use crate::{
    account::{self, context::AccountController},
    catalog::{Catalog, FreeHardware},
    catalog_objects::controller::{self as catalog_objects, CatalogController},
    cli::RunConfig,
    fleet::directory::Directory,
    instance::{
        self,
        claims::BookClaims,
        context::{Context, EffectHook},
        controller::MAX_WAITING_FOR_API,
        enqueue::Enqueuer,
        history::History,
        restore_watch,
        shared_book::SharedBook,
        spending::Spending,
    },
    kubernetes::{self, client, controller::ControllerOptions, events::Events, queue::Watches},
    leadership::{LEASE_NAME, Leadership, identity},
    serve::{
        health::{Health, HealthServer},
        signals::Shutdown,
    },
};

/// How often the main loop reports that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// The parts that the operator is made of.
pub struct Parts {
    pub client: Client,
    /// The namespace of the `Lease`.
    pub namespace: String,
    pub config: RunConfig,
    /// Called after each side effect of the controller of instances; for tests.
    pub effects: Option<EffectHook>,
}

/// Connects to the cluster and runs the operator, with its health server, until `shutdown` is requested.
///
/// # Errors
/// One sentence: why the operator cannot start, or that the operator lost the lease.
pub async fn run(config: RunConfig, shutdown: Shutdown) -> Result<(), String> {
    let health = Health::default();
    let server = HealthServer::start(config.listen, health.clone()).await?;
    let result = async {
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
    let config = &parts.config;
    let book = SharedBook::default();
    let watches = Arc::new(Watches::new(&config.watch_namespaces));
    let spending = Arc::new(Spending::default());
    let claims = Arc::new(BookClaims {
        book: book.clone(),
        watches: Arc::clone(&watches),
        spending: Arc::clone(&spending),
        default_account: config.default_account.clone(),
        settle: config.settle,
    });
    let enqueuer = Arc::new(Enqueuer {
        book: book.clone(),
        watches: Arc::clone(&watches),
        default_account: config.default_account.clone(),
    });
    let directory = Directory::new(parts.client.clone());
    let events = Events::new(parts.client.clone(), identity);
    let this_operator = ManagedBy {
        namespace: parts.namespace.clone(),
        lease: config.leader_elect.then(|| LEASE_NAME.to_owned()),
    };
    let accounts = Arc::new(AccountController {
        client: parts.client.clone(),
        directory: directory.clone(),
        claims: Arc::clone(&claims) as _,
        instances: Arc::clone(&enqueuer) as _,
        allowed_hosts: config.allowed_hosts.clone(),
        leadership: leadership.clone(),
        metrics: health.metrics.clone(),
        events: events.clone(),
        this_operator: this_operator.clone(),
        watches: Arc::new(Watches::new(&config.watch_namespaces)),
        request_timeout: config.request_timeout,
        limits: PollLimits::default(),
        state: account::context::State::default(),
    });
    let cache = Catalog::default();
    let catalog = match (&config.default_account, config.catalog_objects) {
        (Some(account), Some(intervals)) => Some(CatalogController::new(catalog_objects::Parts {
            client: parts.client.clone(),
            directory: directory.clone(),
            demand: claims,
            cache: cache.clone(),
            leadership: leadership.clone(),
            account: account.clone(),
            this_operator: this_operator.clone(),
            intervals,
        })),
        _ => None,
    };
    let instances = Arc::new(Context {
        client: parts.client.clone(),
        book,
        directory: directory.clone(),
        catalog: cache,
        free_hardware: FreeHardware::default(),
        leadership: leadership.clone(),
        settings: Settings {
            rules: Rules::default(),
            settle: config.settle,
        },
        metrics: health.metrics.clone(),
        events,
        watches,
        accounts: Arc::clone(&accounts.watches),
        spending,
        this_operator,
        default_account: config.default_account.clone(),
        namespaces: config.watch_namespaces.clone(),
        history: History::default(),
        quorum: tokio::sync::Mutex::default(),
        workers: tokio::sync::Semaphore::new(config.concurrency.into()),
        effects: parts.effects,
    });
    let options = |watches: &Arc<Watches>, concurrency| ControllerOptions {
        client: parts.client.clone(),
        watches: Arc::clone(watches),
        metrics: health.metrics.clone(),
        concurrency,
        shutdown: shutdown.clone(),
    };
    let account_options = options(&accounts.watches, config.concurrency);
    let instance_options = options(
        &instances.watches,
        config.concurrency.saturating_add(MAX_WAITING_FOR_API),
    );
    let controllers = async {
        tokio::join!(
            account::controller::run(Arc::clone(&accounts), &account_options),
            kubernetes::controller::run(&instance_options, Arc::clone(&instances)),
            async {
                if let Some(catalog) = &catalog {
                    catalog.run(&account_options).await;
                }
            },
        )
    };
    tokio::select! {
        _ = controllers => Ok(()),
        () = report_health(&instances, &enqueuer, health) => Ok(()),
        () = restore_watch::run(&instances) => Ok(()),
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
