//! From the signals that ask a process to end to a token that everyone can wait for.

use std::{future::Future, io};

use futures::FutureExt;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// Tells whether the process was asked to stop. Clones share one answer; it never turns back.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// The other end of a [`Shutdown`]. Dropping it asks to stop as well.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

impl Shutdown {
    /// A token and what sets it off.
    pub fn new() -> (ShutdownTrigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (ShutdownTrigger(sender), Self(receiver))
    }

    /// Completes once the process was asked to stop.
    pub async fn requested(&self) {
        // An error means that the trigger is gone: nobody could ask any more.
        let _ = self.0.clone().wait_for(|requested| *requested).await;
    }

    /// Completes once the process was asked to stop, if `ready` had not come before that; never otherwise.
    pub async fn requested_before(&self, ready: impl Future) {
        self.requested().await;
        if ready.now_or_never().is_some() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the process was asked to stop.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl ShutdownTrigger {
    /// Asks everyone who holds the token to stop.
    pub fn shut_down(&self) {
        self.0.send_replace(true);
    }
}

/// A token that SIGTERM and SIGINT set off. To be called within a tokio runtime.
///
/// # Errors
/// When the handlers cannot be installed.
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
    async fn what_was_ready_before_outlives_the_order_to_stop() {
        let (trigger, shutdown) = Shutdown::new();
        let mut pending = pin!(shutdown.requested_before(std::future::pending::<()>()));
        assert!(poll!(&mut pending).is_pending());
        trigger.shut_down();
        assert!(poll!(&mut pending).is_ready());
        let ready = shutdown.requested_before(std::future::ready(()));
        assert!(poll!(pin!(ready)).is_pending());
    }

    #[tokio::test]
    async fn every_clone_learns_of_it_once_and_for_all() {
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
    async fn a_lost_trigger_is_a_request_too() {
        let (trigger, shutdown) = Shutdown::new();
        drop(trigger);
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }
}
