use std::sync::Arc;

use serde_json::json;

use super::*;

const SETTLE: Duration = Duration::from_secs(180);

fn at(second: u64) -> Moment {
    Moment::from_boot(Duration::from_secs(second))
}

fn wall(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn fleet() -> FleetKey {
    FleetKey::new("https://api.example/v1", "client")
}

fn list(second: u64, states: &[&str]) -> Snapshot {
    let instances = states.iter().enumerate().map(|(n, state)| {
        let instance = json!({
            "instance_id": n.to_string(), "instance_args": { "model_id": "m" }, "instance_status": { "status": state },
        });
        (n.to_string(), Arc::new(serde_json::from_value(instance).unwrap()))
    });
    Snapshot {
        requested_at: at(second),
        instances: instances.collect(),
        ..Snapshot::default()
    }
}

fn record(called: Option<i64>) -> StopAll {
    StopAll {
        since: wall(50),
        stopped: 1,
        last_call_time: called.map(wall),
        end_time: None,
        api_url: fleet().api_url,
        client_id: fleet().client_id.as_str().to_owned(),
    }
}

/// A call that ended at this second, and that no jitter delays the next one after.
fn ended(second: u64, result: Result<usize, bool>) -> Calls {
    let mut calls = Calls::default();
    again(&mut calls, second, result);
    calls
}

fn again(calls: &mut Calls, second: u64, result: Result<usize, bool>) {
    let count = *result.as_ref().unwrap_or(&0);
    calls.begin(&list(second - 1, &vec!["running"; count]));
    let result = result.map(drop).map_err(|is_refusal| Failure {
        message: "no".to_owned(),
        is_refusal,
        retry_after: None,
    });
    let wall = wall(i64::try_from(second).unwrap());
    calls.end(result, at(second), wall, 0.999);
    calls.note(&list(second + 1, &vec!["stopped"; count]), SETTLE, wall);
}

struct Case<'a> {
    record: Option<StopAll>,
    list: Option<Snapshot>,
    open: Open,
    is_young: bool,
    unnoted: usize,
    calls: &'a Calls,
}

impl Case<'_> {
    fn with<T>(&self, ask: impl FnOnce(&Facts<'_>) -> T) -> T {
        ask(&Facts {
            fleet: &fleet(),
            record: self.record.as_ref(),
            list: self.list.as_ref(),
            open: &self.open,
            is_young: self.is_young,
            unnoted: self.unnoted,
            calls: self.calls,
        })
    }

    fn next(&self, second: u64) -> Next {
        self.with(|facts| next(facts, at(second)))
    }

    fn record(&self, order: Order, second: i64) -> Option<StopAll> {
        self.with(|facts| next_record(facts, order, SETTLE, wall(second)))
    }
}

fn case<'a>(record: Option<StopAll>, list: Option<Snapshot>, calls: &'a Calls) -> Case<'a> {
    Case {
        record,
        list,
        open: Open::default(),
        is_young: false,
        unnoted: 0,
        calls,
    }
}

#[test]
fn the_call_follows_its_record_and_is_repeated_until_a_later_list_shows_nothing() {
    let none = Calls::default();
    let up = || Some(list(90, &["stopped", "pending"]));
    let down = |second| Some(list(second, &["stopped", "stopped"]));
    assert_eq!(case(None, up(), &none).next(100), Next::Record);
    assert_eq!(case(Some(record(None)), None, &none).next(100), Next::Call);
    let idle = case(Some(record(None)), down(90), &none);
    assert_eq!(idle.next(100), Next::Call, "lists may lag");

    let called = ended(100, Ok(2));
    let next = |list, second| case(Some(record(None)), list, &called).next(second);
    assert_eq!(next(down(100), 101), Next::List(at(100)), "an older list");
    assert_eq!(next(None, 101), Next::List(at(100)));
    assert_eq!(next(down(101), 101), Next::Done);
    let still = Some(list(101, &["running"]));
    assert!(matches!(next(still.clone(), 101), Next::Wait(_)));
    assert_eq!(next(still, 102), Next::Call);
    let unknown = Some(list(101, &["exploded"]));
    assert_eq!(next(unknown, 102), Next::Call, "it may be billed");
    let mut open = case(Some(record(None)), down(101), &called);
    open.open.one = Some(ObjectKey::new("ns", "a"));
    assert_eq!(open.next(102), Next::Call, "a start may still make one");
}

#[test]
fn a_new_process_goes_by_the_record_and_its_own_list() {
    let calls = Calls::default();
    let recorded = |list| case(Some(record(Some(60))), list, &calls).next(100);
    assert_eq!(recorded(None), Next::List(Moment::default()));
    assert_eq!(recorded(Some(list(90, &["stopped"]))), Next::Done);
    assert_eq!(recorded(Some(list(90, &["running"]))), Next::Call);
    let mut other = record(Some(60));
    other.client_id = "other".to_owned();
    let next = case(Some(other), None, &calls).next(100);
    assert_eq!(next, Next::Record, "the order was about another client id");
    let mut over = record(Some(60));
    over.end_time = Some(wall(70));
    assert_eq!(case(Some(over), None, &calls).next(100), Next::Record);
}

#[test]
fn a_failed_call_is_made_again_even_without_a_list() {
    for refused in [true, false] {
        let calls = ended(100, Err(refused));
        let down = Some(list(101, &["stopped"]));
        for list in [None, down] {
            let failed = case(Some(record(Some(60))), list, &calls);
            assert!(matches!(failed.next(100), Next::Wait(_)));
            assert_eq!(failed.next(102), Next::Call);
        }
        let shown = stage(&Permit::Given, Next::Call, &calls, &Open::default());
        assert_eq!(matches!(shown, Stage::CallRefused(_)), refused, "{shown:?}");
    }
}

#[test]
fn repeats_back_off_to_five_minutes_and_begin_anew_after_a_rest() {
    let mut calls = ended(1_000, Ok(1));
    let mut now = 1_000;
    let mut waits = Vec::new();
    for _ in 0..10 {
        let up = Some(list(now + 1, &["running"]));
        let due = (now + 1..)
            .find(|s| case(Some(record(Some(60))), up.clone(), &calls).next(*s) == Next::Call);
        waits.push(due.unwrap() - now);
        now = due.unwrap();
        again(&mut calls, now, Ok(1));
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    again(&mut calls, now + 301, Ok(1));
    let up = case(
        Some(record(Some(60))),
        Some(list(now + 302, &["running"])),
        &calls,
    );
    assert_eq!(up.next(now + 303), Next::Call);
}

#[test]
fn the_record_counts_what_calls_stopped_and_a_call_without_effect_is_no_write() {
    let none = Calls::default();
    let begun = case(None, None, &none).record(Order::GoesOn, 100).unwrap();
    let fresh = StopAll {
        since: wall(100),
        stopped: 0,
        ..record(None)
    };
    assert_eq!(begun, fresh);
    let add = |record: StopAll, calls: &Calls| {
        let record = case(Some(record), None, calls).record(Order::GoesOn, 300);
        record
            .map(|r| (r.stopped, r.last_call_time.map(|t| t.as_second())))
            .unwrap()
    };
    let mut calls = ended(200, Ok(3));
    assert_eq!(add(fresh.clone(), &calls), (3, Some(201)));
    assert_eq!(
        add(record(Some(201)), &calls),
        (1, Some(201)),
        "it is recorded"
    );
    again(&mut calls, 210, Ok(2));
    assert_eq!(
        add(fresh.clone(), &calls),
        (5, Some(211)),
        "none was recorded"
    );
    let nothing = ended(220, Ok(0));
    assert_eq!(
        add(fresh.clone(), &nothing),
        (0, Some(220)),
        "the first call"
    );
    assert_eq!(add(record(Some(200)), &nothing), (1, Some(200)));
    assert_eq!(add(fresh, &ended(230, Err(true))), (0, None));
}

#[test]
fn the_record_outlives_the_order_until_the_resources_have_taken_note() {
    let none = Calls::default();
    let called = ended(90, Ok(2));
    let ended = case(Some(record(Some(60))), None, &called)
        .record(Order::Ends, 100)
        .unwrap();
    assert_eq!((ended.end_time, ended.stopped), (Some(wall(100)), 3));
    let mut over = case(Some(ended.clone()), None, &none);
    for (unnoted, second, stays) in [
        (0, 279, true),
        (0, 280, true),
        (1, 400, true),
        (0, 281, false),
        (1, 460, true),
        (1, 461, false),
    ] {
        over.unnoted = unnoted;
        let record = over.record(Order::Ends, second);
        assert_eq!(record, stays.then(|| ended.clone()), "{unnoted} {second}");
    }
    over.unnoted = 1;
    over.is_young = true;
    assert_eq!(over.record(Order::Ends, 900), Some(ended.clone()));
    assert_eq!(over.record(Order::Unknown, 900), Some(ended.clone()));
    let again = over.record(Order::GoesOn, 900).unwrap();
    assert_eq!(
        (again.since, again.stopped, again.end_time),
        (wall(900), 0, None)
    );
    let back = case(Some(record(None)), None, &none)
        .record(Order::Ends, 10)
        .unwrap();
    assert_eq!(back.end_time, Some(wall(50)), "the clock was set back");
    assert_eq!(case(None, None, &none).record(Order::Ends, 100), None);
}

#[test]
fn lists_tell_what_a_call_stopped_whose_answer_was_lost() {
    let mut calls = Calls::default();
    calls.begin(&list(90, &["running", "stopped", "pending"]));
    again(&mut calls, 100, Err(false));
    let stopped = |calls: &Calls| calls.unrecorded.map_or(0, |stopped| stopped.count);
    calls.note(&list(100, &["stopped"; 3]), SETTLE, wall(101));
    assert_eq!(stopped(&calls), 0, "the list is older");
    calls.note(
        &list(101, &["stopped", "stopped", "pending"]),
        SETTLE,
        wall(101),
    );
    assert_eq!(stopped(&calls), 1);
    // What was recorded meanwhile does not count twice.
    let recorded = calls.unrecorded.unwrap();
    calls.note(&list(102, &["stopped"; 3]), SETTLE, wall(101));
    calls.recorded(recorded);
    assert_eq!(stopped(&calls), 1);
    let last = calls.unrecorded.unwrap();
    assert!(last.at > recorded.at);
    calls.recorded(last);
    calls.note(&list(103, &["stopped"; 3]), SETTLE, wall(103));
    assert_eq!(calls.unrecorded, None);
    // The answer names what no list has shown.
    calls.answered(
        &["1".to_owned(), "3".to_owned()],
        Some(&list(103, &["stopped"; 3])),
    );
    calls.note(&list(104, &["stopped"; 4]), SETTLE, wall(104));
    assert_eq!(stopped(&calls), 1);
    // Much later others have stopped it.
    calls.begin(&list(104, &["running"]));
    calls.note(&list(300, &["running"]), SETTLE, wall(300));
    calls.note(&list(301, &["stopped"]), SETTLE, wall(301));
    assert_eq!(stopped(&calls), 1);
}

/// The list from before the call may show what was stopped since.
#[test]
fn what_the_answer_lacks_was_not_stopped_by_the_call() {
    let counted = |ids: Option<&[&str]>| {
        let mut calls = Calls::default();
        // The answer to an earlier call was lost: what it has stopped, no later answer has.
        calls.begin(&list(80, &["running"]));
        calls.end(Err(lost()), at(85), wall(85), 0.5);
        calls.begin(&list(90, &["running"; 3]));
        if let Some(ids) = ids {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            calls.answered(&ids, Some(&list(90, &["running"; 3])));
        }
        calls.end(Ok(()), at(100), wall(100), 0.5);
        calls.note(&list(101, &["stopped"; 3]), SETTLE, wall(101));
        calls.unrecorded.unwrap().count
    };
    assert_eq!(counted(Some(&["2"])), 2);
    assert_eq!(counted(Some(&[])), 1);
    assert_eq!(counted(None), 3);
}

fn lost() -> Failure {
    Failure {
        message: "no answer".to_owned(),
        is_refusal: false,
        retry_after: None,
    }
}

fn starting(name: &str, start: serde_json::Value) -> serde_json::Value {
    let mut start = start;
    start["id"] = json!(uuid::Uuid::from_u128(1));
    start["requestedAt"] = json!("2026-01-01T00:00:00Z");
    start["args"] = json!({ "modelId": "m" });
    let account =
        json!({ "namespace": "ns", "name": "a", "apiUrl": fleet().api_url, "clientId": "client" });
    json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": { "namespace": "ns", "name": name, "uid": name, "resourceVersion": "1" },
        "spec": { "modelId": "org/name" },
        "status": crate::facts::stored::stored(json!({ "account": account, "start": start })),
    })
}

#[test]
fn an_open_start_is_named_and_a_question_alone_makes_no_calls() {
    let none = open(&Book::default(), &fleet());
    assert_eq!(none, Open::default());
    let question = starting("a", json!({ "candidateIds": ["i"] }));
    let unknown = starting("b", json!({}));
    let asked = open(&Book::of(std::slice::from_ref(&question)), &fleet());
    assert!(asked.are_questions);
    let both = open(&Book::of(&[question, unknown]), &fleet());
    assert_eq!(
        (both.one.clone(), both.are_questions),
        (Some(ObjectKey::new("ns", "b")), false)
    );

    let called = ended(100, Ok(2));
    let next = |open: &Open, states: &[&str]| {
        let mut case = case(Some(record(None)), Some(list(101, states)), &called);
        case.open = open.clone();
        case.next(102)
    };
    assert_eq!(next(&asked, &["stopped"]), Next::Look);
    assert_eq!(next(&asked, &["running"]), Next::Call);
    assert_eq!(next(&both, &["stopped"]), Next::Call);
    let said = |open: &Open| match stage(&Permit::Given, Next::Look, &called, open) {
        Stage::Stopping(said) => said,
        other => panic!("{other:?}"),
    };
    assert!(said(&asked).contains("ns/a") && said(&asked).contains("a person"));
    assert!(said(&both).contains("ns/b is open"));
}
