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

fn party(name: &str) -> Party {
    Party {
        key: ObjectKey::new("ns", name),
        mode: AccountMode::StopAll,
        sharing: Sharing::Exclusive,
        is_managed_here: true,
        is_checked: true,
    }
}

fn permitted(change: impl Fn(&mut Party)) -> Permit {
    let mut parties = [party("a"), party("b")];
    change(&mut parties[1]);
    permit(&ObjectKey::new("ns", "a"), &parties)
}

#[test]
fn all_accounts_of_the_client_id_have_to_order_it_and_none_may_be_shared() {
    assert_eq!(permitted(|_| {}), Permit::Given);
    let refused = |change: fn(&mut Party), says: [&str; 2]| match permitted(change) {
        Permit::Refused(why) => assert!(
            why.contains("ns/b") && says.iter().all(|s| why.contains(s)),
            "{why}"
        ),
        other => panic!("{other:?}: {says:?}"),
    };
    refused(
        |b| b.mode = AccountMode::Active,
        ["mode: Active", "StopAll"],
    );
    refused(|b| b.mode = AccountMode::Hold, ["mode: Hold", "StopAll"]);
    refused(|b| b.sharing = Sharing::Shared, ["Shared", "Exclusive"]);
    refused(
        |b| b.is_managed_here = false,
        ["manager", "cortecs.ai/operator"],
    );
    let unchecked = permitted(|b| {
        b.is_checked = false;
        b.mode = AccountMode::Active;
    });
    assert!(matches!(unchecked, Permit::Waits(why) if why.contains("ns/b")));
    let parties = [party("b")];
    let me = ObjectKey::new("ns", "a");
    assert_eq!(permit(&me, &parties), Permit::NotAsked);
    assert_eq!(permit(&me, &[]), Permit::NotAsked);
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
    let result = result.map_err(|is_refusal| Failure {
        message: "no".to_owned(),
        is_refusal,
        retry_after: None,
    });
    let wall = wall(i64::try_from(second).unwrap());
    calls.end(result, at(second), wall, 0.999);
}

struct Case<'a> {
    record: Option<StopAll>,
    list: Option<Snapshot>,
    open: usize,
    unnoted: usize,
    calls: &'a Calls,
}

impl Case<'_> {
    fn with<T>(&self, ask: impl FnOnce(&Facts<'_>) -> T) -> T {
        ask(&Facts {
            fleet: &fleet(),
            record: self.record.as_ref(),
            list: self.list.as_ref(),
            open: self.open,
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
        open: 0,
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
    open.open = 1;
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
        let shown = stage(&Permit::Given, Next::Call, &calls);
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
    assert_eq!(add(fresh.clone(), &calls), (3, Some(200)));
    assert_eq!(
        add(record(Some(200)), &calls),
        (1, Some(200)),
        "it is recorded"
    );
    again(&mut calls, 210, Ok(2));
    assert_eq!(
        add(fresh.clone(), &calls),
        (5, Some(210)),
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
    ] {
        over.unnoted = unnoted;
        let record = over.record(Order::Ends, second);
        assert_eq!(record, stays.then(|| ended.clone()), "{unnoted} {second}");
    }
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
fn instances_that_the_list_showed_as_stopped_were_not_stopped_by_the_call() {
    let answer = ["0", "1", "2"].map(str::to_owned);
    let shown = list(1, &["stopped", "running"]);
    assert_eq!(count_stopped(&answer, Some(&shown)), 2);
    assert_eq!(count_stopped(&answer, None), 3);
}
