//! What is remembered after a step.

use std::time::Duration;

use cortecs_api::{Call, Error};
use cortecs_resources::reason::Reason;

use super::*;
use crate::{
    facts::failure::{Failure, FailureKind},
    instance::{record_write::wrote, step::Purpose},
};

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
    deleted(
        &mut memory,
        "i-1",
        answer(Err(without_token()), failure),
        times(1),
    );
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
fn a_stop_that_the_api_took_is_no_failure_and_no_proof() {
    for status in [200, 202, 204] {
        let mut memory = bound();
        memory.failure = Some(failure(&Error::answered(Call::StopInstance, 503)));
        let accepted = || Err(Error::answered(Call::StopInstance, status));
        stopped(&mut memory, "i-1", answer(accepted(), failure), times(1));
        assert_eq!(memory.failure, None, "{status}");
        let after = memory.bound.clone().unwrap();
        assert!(after.stop_accepted && after.removal_tried);
        assert!(
            !after.stop_answered,
            "no delete follows before a list shows it"
        );
        assert!(!after.stopped && after.direct.is_none());
        assert_eq!((after.stops, after.called), (1, Some(at(2))));
        // An answer that says what came of it takes the place of that.
        let done = Answer::Done(instance("stopped"));
        stopped(&mut memory, "i-1", done, times(5));
        let after = memory.bound.unwrap();
        assert!(!after.stop_accepted && after.stop_answered && after.stopped);
    }
}

#[test]
fn a_delete_that_the_api_took_is_no_failure_and_no_proof() {
    for status in [200, 202, 204] {
        let mut memory = bound();
        stopped(
            &mut memory,
            "i-1",
            Answer::Done(instance("stopped")),
            times(1),
        );
        memory.failure = Some(failure(&Error::answered(Call::DeleteInstance, 503)));
        for (asked, count) in [(3, 1), (5, 2)] {
            let accepted = Err(Error::answered(Call::DeleteInstance, status));
            deleted(&mut memory, "i-1", answer(accepted, failure), times(asked));
            assert_eq!(memory.failure, None, "{status}");
            let after = memory.bound.as_ref().unwrap();
            assert_eq!(after.delete_accepted, Some((at(asked + 1), count)));
            assert!(!after.deleted && after.removal_tried);
            assert!(after.stop_answered, "it need not be stopped once more");
            assert_eq!(after.called, Some(at(2)), "of the stop");
        }
        let moved = Err(Error::answered(Call::DeleteInstance, 400));
        deleted(&mut memory, "i-1", answer(moved, failure), times(7));
        assert_eq!(memory.bound.unwrap().delete_accepted, None);
        assert!(memory.failure.is_some());
    }
}

#[test]
fn a_get_is_never_accepted_and_a_start_stays_open() {
    for status in [200, 202, 204] {
        let got = answer::<Instance>(Err(Error::answered(Call::GetInstance, status)), failure);
        assert!(matches!(got, Answer::Failed(_)), "{status}");
        let started = outcome(
            Err(Error::answered(Call::StartInstance, status)),
            at(3),
            failure,
        );
        assert_eq!(started.outcome, Outcome::Unknown(at(3)), "{status}");
    }
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
    let ended = Ended {
        outcome: Outcome::Unknown(at(4)),
        said: None,
    };
    restarted(&mut memory, id, "i-1", ended, times(3));
    assert!(!is_proven(&memory));
    stop(&mut memory, 5);
    assert!(!is_proven(&memory), "the restart may still take effect");
    memory.restart = None;
    stop(&mut memory, 7);
    assert!(is_proven(&memory));
}

/// What the API says against a start stands in the status, and after a few of them a person is told.
#[test]
fn starts_of_which_nothing_comes_wait_longer_and_longer() {
    let mut memory = Memory::default();
    let mut pauses = Vec::new();
    for round in 1..=9_u128 {
        let id = Uuid::from_u128(round);
        memory.start = Some(Attempt::written(id, at(3)));
        let ended = Ended {
            outcome: Outcome::Unknown(at(4)),
            said: Some("HTTP 402: top up".to_owned()),
        };
        started(&mut memory, id, ended);
        assert_eq!(memory.failure, None, "the outcome is not known");
        wrote(&mut memory, &Purpose::VoidStart, at(10), 1);
        let failure = memory.failure.clone().unwrap();
        assert!(failure.message.contains("top up"), "{}", failure.message);
        let kind = if round < 3 {
            FailureKind::Transient
        } else {
            FailureKind::Terminal
        };
        assert_eq!((failure.kind, failure.generation), (kind, 1));
        pauses.push(failure.retry_at.since(at(10)).as_secs());
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    let accepted = Ended {
        outcome: Outcome::Accepted(Arc::new(instance("pending"))),
        said: None,
    };
    memory.start = Some(Attempt::written(Uuid::nil(), at(3)));
    started(&mut memory, Uuid::nil(), accepted);
    assert_eq!((memory.fruitless, memory.failure), (0, None));
}
