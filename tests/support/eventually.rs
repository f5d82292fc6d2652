//! Waits for a condition that sends no notice when it changes.
#![allow(
    dead_code,
    reason = "every suite compiles this module and uses its own part of it"
)]
#![allow(clippy::panic, reason = "test code outside #[test] functions")]

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The time between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until `look` returns `Ok`. Panics after the deadline with `what` and with the last error.
pub(crate) async fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> T {
    let until = Instant::now() + deadline;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if Instant::now() > until => {
                panic!("not within {deadline:?}: {what}: {seen}")
            }
            Err(_) => sleep(LOOK).await,
        }
    }
}

/// Looks until the condition holds. Panics after the deadline with `what`.
pub(crate) async fn eventually_true(
    what: &str,
    deadline: Duration,
    mut holds: impl AsyncFnMut() -> bool,
) {
    eventually(what, deadline, async || match holds().await {
        true => Ok(()),
        false => Err("it is not so".to_owned()),
    })
    .await;
}
