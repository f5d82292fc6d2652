//! The operator within the test's process, on its own runtime. Killing it loses everything that it has in memory.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::JoinHandle,
};

use cortecs_operator::{
    cli::RunConfig,
    controllers::Parts,
    instance::context::EffectHook,
    kubernetes::client,
    operator::run_with,
    reap::{self, Limits},
    serve::{health::Health, signals::Shutdown},
};
use futures::FutureExt;
use kube::Client;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{oneshot, watch},
};
use tracing::Dispatch;

use super::logs::Logs;
use crate::control_plane::config_of;

/// What runs.
pub(crate) enum Task {
    Operate,
    /// Makes overdue stops and nothing else.
    Reap(Limits),
}

/// A running operator. Dropping it kills it.
pub(crate) struct Operator {
    kill: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Operator {
    pub(crate) fn start(
        kubeconfig: &Path,
        namespace: &str,
        config: RunConfig,
        logs: &Logs,
        point: Option<&CrashPoint>,
        task: Task,
    ) -> Self {
        let (kill, killed) = oneshot::channel();
        let (kubeconfig, namespace) = (kubeconfig.to_owned(), namespace.to_owned());
        let effects = point.map(CrashPoint::hook);
        let dispatch = logs.dispatch();
        let thread = std::thread::spawn(move || {
            let _log = tracing::dispatcher::set_default(&dispatch);
            let runtime = runtime(dispatch.clone());
            // The trigger is kept, so that the operator does not end by itself.
            let (_trigger, shutdown) = Shutdown::new();
            runtime.block_on(async {
                let parts = Parts {
                    client: client(&kubeconfig).await,
                    namespace,
                    config,
                    proxies: Default::default(),
                    effects,
                };
                let work = async {
                    match task {
                        Task::Operate => {
                            let ended = run_with(parts, Health::default(), shutdown).await;
                            panic!("it ended: {ended:?}")
                        }
                        Task::Reap(limits) => {
                            let ended = reap::run_with(parts, limits, shutdown).await;
                            panic!("it ended: {ended:?}")
                        }
                    }
                };
                tokio::select! {
                    () = work => {}
                    _ = killed => {}
                }
            });
            // Tasks that still run are cut off.
            runtime.shutdown_background();
        });
        Self {
            kill: Some(kill),
            thread: Some(thread),
        }
    }

    /// Ends the operator as SIGKILL does: at any point of its work.
    pub(crate) fn kill(self) {}
}

impl Drop for Operator {
    fn drop(&mut self) {
        drop(self.kill.take());
        let joined = self.thread.take().map(JoinHandle::join);
        if joined.is_some_and(|joined| joined.is_err()) && !std::thread::panicking() {
            panic!("the operator panicked");
        }
    }
}

/// A runtime whose threads log to the dispatcher.
fn runtime(dispatch: Dispatch) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(move || {
            // The guard must live as long as the thread.
            std::mem::forget(tracing::dispatcher::set_default(&dispatch));
        })
        .build()
        .expect("a runtime")
}

/// A client with the same bounds as the operator's own.
pub(super) async fn client(kubeconfig: &Path) -> Client {
    let mut config = config_of(kubeconfig).await;
    client::set_timeouts(&mut config);
    Client::try_from(config).expect("a client")
}

/// Stops the operator right after a certain side effect, so that it can be killed there.
#[derive(Clone)]
pub(crate) struct CrashPoint {
    kind: Option<&'static str>,
    left: Arc<AtomicUsize>,
    reached: Arc<watch::Sender<Option<&'static str>>>,
}

impl CrashPoint {
    /// Right after the n-th side effect, counted from 1, of one kind or of all.
    pub(crate) fn at(n: usize, kind: Option<&'static str>) -> Self {
        Self {
            kind,
            left: Arc::new(AtomicUsize::new(n)),
            reached: Arc::new(watch::Sender::new(None)),
        }
    }

    /// Waits until the operator has reached the crash point.
    pub(crate) async fn reached(&self) {
        let mut reached = self.reached.subscribe();
        reached.wait_for(Option::is_some).await.expect("a sender");
    }

    /// The side effect right before the crash point, if the operator has reached it.
    pub(crate) fn effect(&self) -> Option<&'static str> {
        *self.reached.borrow()
    }

    fn hook(&self) -> EffectHook {
        let point = self.clone();
        Arc::new(move |effect| {
            let point = point.clone();
            async move {
                if point.stops_after(effect) {
                    std::future::pending::<()>().await;
                }
            }
            .boxed()
        })
    }

    /// Counts a side effect. Whether the operator has to stop.
    fn stops_after(&self, effect: &'static str) -> bool {
        if self.effect().is_some() {
            return true;
        }
        if self.kind.is_some_and(|kind| kind != effect) {
            return false;
        }
        let last = self.left.fetch_sub(1, Ordering::SeqCst) == 1;
        if last {
            self.reached.send_replace(Some(effect));
        }
        last
    }
}
