use super::*;

const MINUTE: i64 = 60;
const HOUR: i64 = 3600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The cost after a look, of a run that was asked for when it began.
fn look(
    before: Option<&Cost>,
    run: Option<Run<'_>>,
    stopped: Option<Timestamp>,
    interval: i64,
    now: Timestamp,
) -> Option<Cost> {
    let asked = before.and_then(|cost| cost.since);
    next(
        before,
        run,
        Look {
            asked,
            stopped,
            interval,
            now,
        },
    )
}

fn run(since: i64, price: f64) -> Option<Run<'static>> {
    Some(Run {
        since: at(since),
        price: Some((price, "EUR")),
        model: Some("m"),
    })
}

fn shown(cost: &Cost) -> (Option<&str>, &str, Option<Timestamp>) {
    (cost.price_per_hour.as_deref(), &cost.accrued, cost.since)
}

#[test]
fn a_run_counts_when_it_ends_by_started_intervals() {
    for (interval, seconds, accrued) in [
        (MINUTE, 1, "0.02"),
        (MINUTE, 60, "0.02"),
        (MINUTE, 61, "0.04"),
        (HOUR, 1, "1.20"),
        (HOUR, 3601, "2.40"),
        (MINUTE, 0, "0.02"),
    ] {
        let cost = look(None, run(0, 1.2), None, interval, at(0)).unwrap();
        assert_eq!(shown(&cost), (Some("1.20"), "0.00", Some(at(0))));
        let ended = look(Some(&cost), None, None, interval, at(seconds)).unwrap();
        assert_eq!(shown(&ended), (None, accrued, None), "{interval} {seconds}");
        // What is not billed costs nothing more.
        let later = look(Some(&ended), None, None, interval, at(9_999)).unwrap();
        assert_eq!(later, ended);
    }
}

/// The example of docs/cost.md.
#[test]
fn half_a_minute_of_two_workers_is_a_minute_of_two_workers() {
    let cost = look(None, run(0, 4.2), None, MINUTE, at(0)).unwrap();
    let ended = look(Some(&cost), None, None, MINUTE, at(30)).unwrap();
    assert_eq!(ended.accrued, "0.07");
}

#[test]
fn nothing_is_written_while_a_run_goes_on() {
    let cost = look(None, run(0, 1.2), None, MINUTE, at(5));
    for second in [6, 600, 6_000] {
        assert_eq!(
            look(cost.as_ref(), run(0, 1.2), None, MINUTE, at(second)),
            cost
        );
        // A new process does not know the prices yet.
        let unknown = Some(Run {
            since: at(0),
            price: None,
            model: None,
        });
        assert_eq!(look(cost.as_ref(), unknown, None, MINUTE, at(second)), cost);
    }
    assert_eq!(look(None, None, None, MINUTE, at(5)), None);
}

#[test]
fn runs_add_up_and_the_word_of_the_api_says_when_one_ended() {
    let first = look(None, run(0, 1.2), None, MINUTE, at(0)).unwrap();
    let stopped = look(Some(&first), None, Some(at(50)), MINUTE, at(100)).unwrap();
    assert_eq!(stopped.accrued, "0.02");
    // A time that is not of this run says nothing.
    for wrong in [-10, 5_000] {
        let ended = look(Some(&first), None, Some(at(wrong)), MINUTE, at(100)).unwrap();
        assert_eq!(ended.accrued, "0.04");
    }
    let second = look(Some(&stopped), run(1_000, 2.4), None, MINUTE, at(1_000)).unwrap();
    assert_eq!(shown(&second), (Some("2.40"), "0.02", Some(at(1_000))));
    // Another run without a stop that was seen.
    let third = look(Some(&second), run(1_060, 2.4), None, MINUTE, at(1_060)).unwrap();
    assert_eq!(shown(&third), (Some("2.40"), "0.06", Some(at(1_060))));
}

#[test]
fn a_price_that_comes_late_counts_for_the_run_and_one_that_changes_from_then_on() {
    let unknown = |since| {
        Some(Run {
            since: at(since),
            price: None,
            model: None,
        })
    };
    assert_eq!(look(None, unknown(0), None, MINUTE, at(0)), None);
    let cost = look(None, run(0, 1.2), None, MINUTE, at(300)).unwrap();
    assert_eq!(shown(&cost), (Some("1.20"), "0.00", Some(at(0))));
    let second = look(Some(&cost), unknown(600), None, MINUTE, at(600)).unwrap();
    assert_eq!(shown(&second), (None, "0.20", Some(at(600))));
    let second = look(Some(&second), run(600, 1.2), None, MINUTE, at(900)).unwrap();
    assert_eq!(shown(&second), (Some("1.20"), "0.20", Some(at(600))));
    let dearer = look(Some(&cost), run(0, 2.4), None, MINUTE, at(600)).unwrap();
    assert_eq!(shown(&dearer), (Some("2.40"), "0.20", Some(at(600))));
    let unpriced = look(Some(&cost), None, None, MINUTE, at(600)).unwrap();
    assert_eq!(unpriced.accrued, "0.20");
}

#[test]
fn another_currency_begins_at_zero() {
    let cost = look(None, run(0, 1.2), None, MINUTE, at(0)).unwrap();
    let ended = look(Some(&cost), None, None, MINUTE, at(60)).unwrap();
    let dollars = Some(Run {
        since: at(90),
        price: Some((1.0, "USD")),
        model: Some("m"),
    });
    let cost = look(Some(&ended), dollars, None, MINUTE, at(90)).unwrap();
    assert_eq!(
        (cost.currency.as_deref(), cost.accrued.as_str()),
        (Some("USD"), "0.00")
    );
}

/// A list from before the end of a run may show the instance as up again.
#[test]
fn a_run_that_was_over_before_it_began_costs_nothing() {
    let first = look(None, run(0, 1.2), None, MINUTE, at(0)).unwrap();
    let stopped = look(Some(&first), None, Some(at(50)), MINUTE, at(100)).unwrap();
    assert_eq!(stopped.until, Some(at(50)));
    assert!(counts(&stopped, at(0)) && !counts(&stopped, at(51)));
    let again = look(Some(&stopped), run(110, 1.2), None, MINUTE, at(110)).unwrap();
    let ended = |stopped, asked| {
        let look = Look {
            asked: Some(at(asked)),
            stopped: Some(at(stopped)),
            interval: MINUTE,
            now: at(120),
        };
        next(Some(&again), None, look).unwrap()
    };
    let (old, new, asked) = (ended(50, 0), ended(115, 0), ended(50, 110));
    assert_eq!((&*old.accrued, old.until), ("0.02", Some(at(50))));
    assert_eq!((&*new.accrued, new.until), ("0.04", Some(at(115))));
    // The clock of the API is behind.
    assert_eq!((&*asked.accrued, asked.until), ("0.04", Some(at(120))));
}

#[test]
fn a_run_without_a_price_is_not_counted_and_a_status_without_an_end_has_counted_its_runs() {
    let first = look(None, run(0, 1.2), None, MINUTE, at(0)).unwrap();
    let stopped = look(Some(&first), None, None, MINUTE, at(60)).unwrap();
    let unknown = Some(Run {
        since: at(100),
        price: None,
        model: None,
    });
    let second = look(Some(&stopped), unknown, None, MINUTE, at(100)).unwrap();
    let ended = look(Some(&second), None, None, MINUTE, at(160)).unwrap();
    assert_eq!(ended, stopped);
    assert!(!counts(&ended, at(100)));
    let old = Cost {
        until: None,
        ..stopped
    };
    assert!(counts(&old, at(100)) && !counts(&Cost::default(), at(100)));
}
