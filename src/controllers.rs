//! The controllers put together: for the operator, which runs all of them, and for the reaper, which only makes overdue stops.

use std::{collections::BTreeSet, sync::Arc};

use cortecs_resources::{account::ManagedBy, key::ObjectKey};
use cortecs_rules::{instance::input::Settings, pacing::schedule::PollLimits, proxy::Proxies};
use kube::Client;

use crate::{
    account::{
        self,
        context::{AccountController, HANDOVER_PATIENCE},
    },
    catalog::{Catalog, FreeHardware},
    catalog_objects::controller::{self as catalog_objects, CatalogController},
    cli::RunConfig,
    fleet::directory::Directory,
    instance::{
        claims::BookClaims,
        context::{Context, EffectHook},
        controller::MAX_WAITING_FOR_API,
        enqueue::Enqueuer,
        history::History,
        shared_book::SharedBook,
        spending::Spending,
    },
    kubernetes::{self, controller::ControllerOptions, events::Events, queue::Watches},
    leadership::{LEASE_NAME, Leadership},
    serve::{metrics::Metrics, signals::Shutdown},
};

/// The parts that the controllers are made of.
pub struct Parts {
    pub client: Client,
    /// The namespace of the `Lease`.
    pub namespace: String,
    pub config: RunConfig,
    /// Through which proxies the API is reached.
    pub proxies: Proxies,
    /// Called after each side effect of the controller of instances; for tests.
    pub effects: Option<EffectHook>,
}

/// What the controllers do.
pub enum Task {
    /// All that the resources ask for.
    Operate,
    /// The overdue stops of these resources. Nothing is started, and nothing is written but the statuses of these resources.
    Stop(BTreeSet<ObjectKey>),
}

/// The controllers, before they run.
pub struct Controllers {
    pub instances: Arc<Context>,
    pub enqueuer: Arc<Enqueuer>,
    accounts: Arc<AccountController>,
    catalog: Option<Arc<CatalogController>>,
    client: Client,
    metrics: Metrics,
    events: Events,
    concurrency: u16,
}

impl Controllers {
    /// Puts the controllers together. Their watches begin when they run.
    pub fn new(
        parts: Parts,
        identity: &str,
        leadership: &Leadership,
        metrics: &Metrics,
        task: Task,
    ) -> Self {
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
        let client = parts.client.clone();
        let (directory, events, settings, targets) = match task {
            Task::Operate => (
                Directory::new(client.clone()),
                Events::new(client.clone(), identity),
                Settings::new(config.settle),
                None,
            ),
            Task::Stop(targets) => (
                Directory::read_only(client.clone()),
                Events::silent(client.clone()),
                Settings::only_stops(config.settle),
                Some(targets),
            ),
        };
        let this_operator = ManagedBy {
            namespace: parts.namespace.clone(),
            lease: config.leader_elect.then(|| LEASE_NAME.to_owned()),
        };
        let accounts = Arc::new(AccountController {
            client: client.clone(),
            directory: directory.clone(),
            claims: Arc::clone(&claims) as _,
            instances: Arc::clone(&enqueuer) as _,
            allowed_hosts: config.allowed_hosts.clone(),
            proxies: parts.proxies.clone(),
            leadership: leadership.clone(),
            metrics: metrics.clone(),
            events: events.clone(),
            this_operator: this_operator.clone(),
            watches: Arc::new(Watches::new(&config.watch_namespaces)),
            namespaces: config.watch_namespaces.clone(),
            read_only: settings.only_stops,
            request_timeout: config.request_timeout,
            limits: PollLimits::default(),
            handover_patience: HANDOVER_PATIENCE,
            state: account::context::State::default(),
        });
        let cache = Catalog::default();
        let catalog = match (&config.default_account, config.catalog_objects) {
            (Some(account), Some(intervals)) if !settings.only_stops => {
                Some(CatalogController::new(catalog_objects::Parts {
                    client: client.clone(),
                    directory: directory.clone(),
                    demand: claims,
                    cache: cache.clone(),
                    leadership: leadership.clone(),
                    metrics: metrics.clone(),
                    account: account.clone(),
                    this_operator: this_operator.clone(),
                    intervals,
                }))
            }
            _ => None,
        };
        let instances = Arc::new(Context {
            client: client.clone(),
            book,
            directory,
            catalog: cache,
            free_hardware: FreeHardware::default(),
            leadership: leadership.clone(),
            settings,
            targets,
            metrics: metrics.clone(),
            events: events.clone(),
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
        Self {
            instances,
            enqueuer,
            accounts,
            catalog,
            client,
            metrics: metrics.clone(),
            events,
            concurrency: config.concurrency,
        }
    }

    /// Runs until `shutdown`. The watches begin only now, so that they see all writes of an earlier leader.
    pub async fn run(&self, shutdown: &Shutdown) {
        let options = |watches: &Arc<Watches>, concurrency| ControllerOptions {
            client: self.client.clone(),
            watches: Arc::clone(watches),
            metrics: self.metrics.clone(),
            events: self.events.clone(),
            concurrency,
            shutdown: shutdown.clone(),
        };
        let account_options = options(&self.accounts.watches, self.concurrency);
        let instance_options = options(
            &self.instances.watches,
            self.concurrency.saturating_add(MAX_WAITING_FOR_API),
        );
        tokio::join!(
            account::controller::run(Arc::clone(&self.accounts), &account_options),
            kubernetes::controller::run(&instance_options, Arc::clone(&self.instances)),
            async {
                if let Some(catalog) = &self.catalog {
                    catalog.run(&account_options).await;
                }
            },
        );
    }
}
