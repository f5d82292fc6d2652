//! The operator in process, on a runtime of its own: killing it takes away everything that it has in memory.

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
    instance::context::EffectHook,
    kubernetes::client,
    operator::{Parts, run_with},
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

/// An operator under way. Dropping it kills it.
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
        fuse: Option<&Fuse>,
    ) -> Self {
        let (kill, killed) = oneshot::channel();
        let (kubeconfig, namespace) = (kubeconfig.to_owned(), namespace.to_owned());
        let effects = fuse.map(Fuse::hook);
        let dispatch = logs.dispatch();
        let thread = std::thread::spawn(move || {
            let _log = tracing::dispatcher::set_default(&dispatch);
            let runtime = runtime(dispatch.clone());
            // Kept: nobody asks it to end.
            let (_trigger, shutdown) = Shutdown::new();
            runtime.block_on(async {
                let parts = Parts {
                    client: client(&kubeconfig).await,
                    namespace,
                    config,
                    effects,
                };
                tokio::select! {
                    ended = run_with(parts, Health::default(), shutdown) => panic!("it ended: {ended:?}"),
                    _ = killed => {}
                }
            });
            // Whatever still runs is cut off where it is.
            runtime.shutdown_background();
        });
        Self {
            kill: Some(kill),
            thread: Some(thread),
        }
    }

    /// Ends it as SIGKILL would: in the middle of whatever it does.
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

/// A runtime whose threads log to one place.
fn runtime(dispatch: Dispatch) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .on_thread_start(move || {
            // For as long as the thread lives.
            std::mem::forget(tracing::dispatcher::set_default(&dispatch));
        })
        .build()
        .expect("a runtime")
}

/// As the operator makes its own.
pub(super) async fn client(kubeconfig: &Path) -> Client {
    let mut config = config_of(kubeconfig).await;
    client::bound(&mut config);
    Client::try_from(config).expect("a client")
}

/// Stops everything right after a certain side effect, so that the operator can be killed there.
#[derive(Clone)]
pub(crate) struct Fuse {
    kind: Option<&'static str>,
    left: Arc<AtomicUsize>,
    blown: Arc<watch::Sender<Option<&'static str>>>,
}

impl Fuse {
    /// Blows at the n-th effect, counted from 1; of one kind, or of all.
    pub(crate) fn at(n: usize, kind: Option<&'static str>) -> Self {
        Self {
            kind,
            left: Arc::new(AtomicUsize::new(n)),
            blown: Arc::new(watch::Sender::new(None)),
        }
    }

    /// Completes when it has blown.
    pub(crate) async fn blown(&self) {
        let mut blown = self.blown.subscribe();
        blown.wait_for(Option::is_some).await.expect("a sender");
    }

    /// The effect after which it has blown, if it has.
    pub(crate) fn effect(&self) -> Option<&'static str> {
        *self.blown.borrow()
    }

    fn hook(&self) -> EffectHook {
        let fuse = self.clone();
        Arc::new(move |effect| {
            let fuse = fuse.clone();
            async move {
                if fuse.burns(effect) {
                    std::future::pending::<()>().await;
                }
            }
            .boxed()
        })
    }

    /// Whether nothing may happen any more.
    fn burns(&self, effect: &'static str) -> bool {
        if self.effect().is_some() {
            return true;
        }
        if self.kind.is_some_and(|kind| kind != effect) {
            return false;
        }
        let last = self.left.fetch_sub(1, Ordering::SeqCst) == 1;
        if last {
            self.blown.send_replace(Some(effect));
        }
        last
    }
}
