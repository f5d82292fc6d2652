//! The data that the HTTP shell and the handles share: the state behind a lock, the clock, and the notice of changes.

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
    /// Whether every call is answered with 503.
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
        // Times increase strictly, so that events keep their order also with a coarse or paused clock.
        let now = self
            .started
            .elapsed()
            .max(state.last.saturating_add(Duration::from_nanos(1)));
        state.last = now;
        read(&mut state, now)
    }

    /// Changes the state at the present time, and wakes everything that waits for a change.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State, Duration) -> T) -> T {
        let result = self.read(change);
        self.changes
            .send_modify(|number| *number = number.wrapping_add(1));
        result
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The moment `since` after the start, for timers; absent if a timer cannot express it.
    pub(super) fn instant(&self, since: Duration) -> Option<Instant> {
        self.started.checked_add(since)
    }

    /// The number of times that delays were released.
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

    /// Ends all delays, and delays no later request.
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
        // An error would mean that the sender is dropped, which cannot be while `self` holds it.
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
