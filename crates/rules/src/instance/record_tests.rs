//! What is remembered after a step.

use cortecs_resources::reason::Reason;

use super::*;
use crate::facts::memory::FailureKind;

fn at(second: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(second))
}

fn times(asked: u64) -> Times {
    Times {
        asked: at(asked),
        answered: at(asked + 1),
    }
}

fn failure(error: &Error) -> Failure {
    Failure {
        kind: FailureKind::Transient,
        reason: Reason::RetryingAfterError,
        message: error.to_string(),
        generation: 1,
        failed_at: at(0),
        retry_at: at(0),
        count: 1,
    }
}

fn bound() -> Memory {
    Memory {
        bound: Some(Bound::new("i-1".into(), at(0))),
        ..Memory::default()
    }
}

fn instance(state: &str) -> Instance {
    let value = serde_json::json!({
        "instance_id": "i-1", "base_url": null, "worker_statuses": [],
        "instance_args": { "model_id": "org--name" },
        "instance_status": { "status": state, "started_at": null, "stopped_at": null },
    });
    serde_json::from_value(value).unwrap()
}

fn is_proven(memory: &Memory) -> bool {
    memory.bound.as_ref().unwrap().stopped
}

#[test]
fn what_was_not_sent_counts_for_nothing() {
    let without_token = || Error::answered(Call::Token, 503);
    let mut memory = bound();
    let before = memory.bound.clone();
    stopped(
        &mut memory,
        "i-1",
        answer(Err(without_token()), failure),
        times(1),
    );
    deleted(&mut memory, "i-1", answer(Err(without_token()), failure));
    assert_eq!(memory.bound, before);
    assert!(memory.failure.is_some());

    stopped(
        &mut memory,
        "i-1",
        answer(Err(Error::unanswered(Call::StopInstance)), failure),
        times(1),
    );
    assert!(memory.bound.as_ref().unwrap().removal_tried);
}

#[test]
fn an_answer_about_it_alone_proves_that_it_is_stopped() {
    let mut memory = bound();
    let stop = |memory: &mut Memory, result, asked| {
        stopped(memory, "i-1", answer(result, failure), times(asked));
    };
    let get = |memory: &mut Memory, state, asked| {
        got(memory, "i-1", Answer::Done(instance(state)), times(asked));
    };
    get(&mut memory, "stopped", 1);
    assert!(!is_proven(&memory), "nobody has stopped it");
    stop(&mut memory, Ok(instance("stopped")), 2);
    assert!(is_proven(&memory));
    let moved = || Err(Error::answered(Call::StopInstance, 400));
    stop(&mut memory, moved(), 4);
    assert!(!is_proven(&memory), "a refusal says nothing of its state");
    get(&mut memory, "stopped", 4);
    assert!(
        !is_proven(&memory),
        "asked for before the stop was answered"
    );
    get(&mut memory, "stopped", 5);
    assert!(is_proven(&memory));
    get(&mut memory, "running", 6);
    assert!(!is_proven(&memory));
}

#[test]
fn a_restart_takes_the_proof_away() {
    let mut memory = bound();
    let stop = |memory: &mut Memory, asked| {
        stopped(
            memory,
            "i-1",
            Answer::Done(instance("stopped")),
            times(asked),
        );
    };
    stop(&mut memory, 1);
    assert!(is_proven(&memory));
    let id = Uuid::from_u128(1);
    memory.restart = Some(Attempt::written(id, at(3)));
    restarted(&mut memory, id, "i-1", Outcome::Unknown(at(4)), times(3));
    assert!(!is_proven(&memory));
    stop(&mut memory, 5);
    assert!(!is_proven(&memory), "the restart may still take effect");
    memory.restart = None;
    stop(&mut memory, 7);
    assert!(is_proven(&memory));
}
