//! Keeps a loop going that panics: without it, one account would stop silently while all else goes on.

use std::{fmt::Display, time::Duration};

use tokio::task::JoinSet;

/// The pause before a loop that has panicked begins anew.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs the loop, and runs it again after each panic. Dropped, it ends the loop.
pub(super) async fn supervise<F>(fleet: impl Display, make: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        let mut task = JoinSet::new();
        task.spawn(make());
        match task.join_next().await {
            Some(Err(error)) if error.is_panic() => {
                tracing::error!(%fleet, "the loop of the list calls has panicked and begins anew");
                tokio::time::sleep(PAUSE).await;
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_panics_begins_anew() {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&runs);
        let make = move || {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(run >= 2, "run {run}");
            }
        };
        supervise("a fleet", make).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    }
}
