//! What the HTTP shell and the handles share: the state behind a lock, the clock, and word of changes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::watch, time::Instant};

use crate::{fault::FaultBook, journal::Journal, world::World};

pub(super) struct State {
    pub(super) world: World,
    pub(super) faults: FaultBook,
    pub(super) journal: Journal,
    /// Every call is answered with 503.
    pub(super) down: bool,
    last: Duration,
}

pub(super) struct Shared {
    state: Mutex<State>,
    started: Instant,
    pub(super) epoch: Timestamp,
    changes: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
    releases: watch::Sender<u64>,
}

impl Shared {
    pub(super) fn new(
        world: World,
        faults: FaultBook,
        journal: Journal,
        epoch: Timestamp,
    ) -> Arc<Self> {
        let last = Duration::ZERO;
        Arc::new(Self {
            state: Mutex::new(State {
                world,
                faults,
                journal,
                down: false,
                last,
            }),
            started: Instant::now(),
            epoch,
            changes: watch::Sender::new(0),
            stopping: watch::Sender::new(false),
            releases: watch::Sender::new(0),
        })
    }

    /// Reads the state at the present time.
    pub(super) fn read<T>(&self, read: impl FnOnce(&mut State, Duration) -> T) -> T {
        let mut state = self.lock();
        // Strictly increasing, so that what happened in order is in order even on a coarse or paused clock.
        let now = self
            .started
            .elapsed()
            .max(state.last.saturating_add(Duration::from_nanos(1)));
        state.last = now;
        read(&mut state, now)
    }

    /// Changes the state at the present time and tells those who wait.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State, Duration) -> T) -> T {
        let result = self.read(change);
        self.changes
            .send_modify(|number| *number = number.wrapping_add(1));
        result
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The moment that lies `since` after the start, for timers; absent when it is out of reach.
    pub(super) fn instant(&self, since: Duration) -> Option<Instant> {
        self.started.checked_add(since)
    }

    /// How often delays were released so far.
    pub(super) fn releases(&self) -> u64 {
        *self.releases.borrow()
    }

    /// Sleeps until this time has passed, delays are released once more than `releases`, or the simulator ends.
    pub(super) async fn delay(&self, duration: Duration, releases: u64) {
        let mut stopping = self.stopping.subscribe();
        let mut released = self.releases.subscribe();
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            _ = released.wait_for(|number| *number != releases) => {}
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
    }

    /// Delays nobody any more: neither who waits now nor who comes later.
    pub(super) fn release_delays(&self) {
        self.change(|state, _| {
            state.faults.remove_delays();
            self.releases
                .send_modify(|number| *number = number.wrapping_add(1));
        });
    }

    pub(super) fn begin_stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(super) async fn stopping(&self) {
        // An error means that the sender is gone, which this reference to it rules out.
        let _ = self
            .stopping
            .subscribe()
            .wait_for(|stopping| *stopping)
            .await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
