//! The progress of workers, computed from the time since their start.

use std::time::Duration;

use cortecs_api::types::{InitProgress, WorkerStatus};

/// The steps of an initialisation. A worker in the last step runs.
pub(super) const STEPS: u32 = 5;

const DESCRIPTIONS: [&str; STEPS as usize] = [
    "Allocating hardware",
    "Pulling the container image",
    "Downloading the model weights",
    "Loading the model onto the GPUs",
    "Running",
];

/// The step, 1–5, that a worker has reached. Each worker lags a quarter of a step behind the one before.
pub(super) fn step_of(worker: u32, elapsed: Duration, step: Duration) -> u32 {
    if step.is_zero() {
        return STEPS;
    }
    let own = elapsed.saturating_sub(head_start(worker, step));
    let done = own.as_nanos() / step.as_nanos();
    u32::try_from(done).map_or(STEPS, |done| done.saturating_add(1).min(STEPS))
}

fn head_start(worker: u32, step: Duration) -> Duration {
    (step / 4).saturating_mul(worker)
}

/// The time until the first worker runs.
pub(super) fn time_to_ready(step: Duration) -> Duration {
    step.saturating_mul(STEPS - 1)
}

/// The workers of an active instance.
pub(super) fn workers(count: u32, elapsed: Duration, step: Duration) -> Vec<WorkerStatus> {
    (0..count)
        .map(|worker| {
            let current_step = step_of(worker, elapsed, step);
            let description = DESCRIPTIONS
                .get(current_step.saturating_sub(1) as usize)
                .copied()
                .unwrap_or_default();
            WorkerStatus {
                init_progress: Some(InitProgress {
                    current_step,
                    num_steps: STEPS,
                    description: description.to_owned(),
                }),
            }
        })
        .collect()
}

/// The time of the next step of any worker after `elapsed`, measured from the same start.
pub(super) fn next_step(count: u32, elapsed: Duration, step: Duration) -> Option<Duration> {
    if step.is_zero() {
        return None;
    }
    (0..count)
        .flat_map(|worker| {
            (1..STEPS).map(move |number| {
                head_start(worker, step).saturating_add(step.saturating_mul(number))
            })
        })
        .filter(|at| *at > elapsed)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(4);

    fn steps(seconds: u64) -> Vec<u32> {
        workers(3, Duration::from_secs(seconds), STEP)
            .into_iter()
            .map(|worker| worker.init_progress.unwrap().current_step)
            .collect()
    }

    #[test]
    fn workers_walk_through_the_steps_one_slightly_after_the_other() {
        assert_eq!(steps(0), [1, 1, 1]);
        assert_eq!(steps(4), [2, 1, 1]);
        assert_eq!(steps(5), [2, 2, 1]);
        assert_eq!(steps(16), [5, 4, 4]);
        assert_eq!(steps(18), [5, 5, 5]);
        assert_eq!(steps(1_000_000), [5, 5, 5]);
    }

    #[test]
    fn the_next_step_is_the_earliest_that_is_still_to_come() {
        assert_eq!(next_step(2, Duration::ZERO, STEP), Some(STEP));
        assert_eq!(next_step(2, STEP, STEP), Some(Duration::from_secs(5)));
        assert_eq!(
            next_step(2, Duration::from_secs(16), STEP),
            Some(Duration::from_secs(17))
        );
        assert_eq!(next_step(2, Duration::from_secs(17), STEP), None);
    }

    #[test]
    fn without_a_step_duration_everything_runs_at_once() {
        assert_eq!(step_of(7, Duration::ZERO, Duration::ZERO), STEPS);
        assert_eq!(next_step(8, Duration::ZERO, Duration::ZERO), None);
    }
}
