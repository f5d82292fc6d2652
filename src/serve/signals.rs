//! The request to shut down, by SIGTERM or SIGINT.

use std::{future::Future, io};

use futures::FutureExt;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Whether the shutdown was requested. A request is never withdrawn. Clones share it.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// Requests the [`Shutdown`], also when it is dropped.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

impl Shutdown {
    /// A shutdown and its trigger.
    pub fn new() -> (ShutdownTrigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownTrigger(sender), Self(receiver))
    }

    /// Completes when the shutdown is requested.
    pub async fn requested(&self) {
        // An error means that the trigger was dropped, which counts as a request.
        let _ = self.0.clone().wait_for(|requested| *requested).await;
    }

    /// Completes when the shutdown is requested before `ready` completes; never otherwise.
    pub async fn requested_before(&self, ready: impl Future) {
        self.requested().await;
        if ready.now_or_never().is_some() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the shutdown was requested.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl ShutdownTrigger {
    /// Requests the shutdown.
    pub fn shut_down(&self) {
        self.0.send_replace(true);
    }
}

/// A shutdown that SIGTERM and SIGINT request. Call this within a tokio runtime.
///
/// # Errors
/// If the signal handlers cannot be installed.
pub fn listen() -> io::Result<Shutdown> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (trigger, shutdown) = Shutdown::new();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "shutting down");
        trigger.shut_down();
    });
    Ok(shutdown)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::poll;

    use super::*;

    #[tokio::test]
    async fn a_shutdown_after_ready_does_not_complete() {
        let (trigger, shutdown) = Shutdown::new();
        let mut pending = pin!(shutdown.requested_before(std::future::pending::<()>()));
        assert!(poll!(&mut pending).is_pending());
        trigger.shut_down();
        assert!(poll!(&mut pending).is_ready());
        let ready = shutdown.requested_before(std::future::ready(()));
        assert!(poll!(pin!(ready)).is_pending());
    }

    #[tokio::test]
    async fn every_clone_sees_the_request() {
        let (trigger, shutdown) = Shutdown::new();
        let waiting = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.requested().await }
        });
        assert!(!shutdown.is_requested());
        trigger.shut_down();
        waiting.await.unwrap();
        drop(trigger);
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }

    #[tokio::test]
    async fn a_dropped_trigger_is_a_request() {
        let (trigger, shutdown) = Shutdown::new();
        drop(trigger);
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }
}
