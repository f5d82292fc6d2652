use proptest::prelude::*;

use super::*;

fn at(milliseconds: u64) -> Moment {
    Moment::from_boot(Duration::from_millis(milliseconds))
}

fn key(n: usize) -> ObjectKey {
    ObjectKey::new("ns", format!("r{n}"))
}

fn overloaded(asked: Option<u64>) -> News {
    News::Overloaded {
        message: "HTTP 503".to_owned(),
        asked: asked.map(Duration::from_secs),
    }
}

fn failed() -> News {
    News::Failed {
        message: "HTTP 500".to_owned(),
    }
}

/// Paused at second 10, until 11 (the draw is the lowest).
fn paused() -> Pressure {
    let mut pressure = Pressure::default();
    pressure.hear(overloaded(None), at(10_000), 0.0);
    pressure
}

#[test]
fn in_good_times_so_many_go_at_once_and_the_others_follow_in_order() {
    let mut pressure = Pressure::default();
    for n in 0..MOST {
        assert_eq!(pressure.wait(&key(n), at(0)), None);
        pressure.begin(&key(n));
    }
    for n in [20, 10, 20, 30] {
        assert_eq!(pressure.wait(&key(n), at(0)), Some(Wait::Turn));
        pressure.queue(&key(n), Rank::Later);
    }
    // Who stops something goes before who starts something.
    pressure.queue(&key(40), Rank::First);
    assert_eq!(
        pressure.wait(&key(3), at(0)),
        None,
        "whose turn it is goes on"
    );
    assert_eq!(pressure.end(&key(0), at(1)), [key(40)]);
    assert_eq!(pressure.end(&key(1), at(1)), [key(20), key(10)]);
    assert_eq!(pressure.end(&key(2), at(1)), [key(30)]);
}

#[test]
fn whose_turn_it_is_and_who_wants_none_hands_it_on() {
    let mut pressure = Pressure::default();
    (0..MOST).for_each(|n| pressure.begin(&key(n)));
    [10, 20, 30, 40]
        .into_iter()
        .for_each(|n| pressure.queue(&key(n), Rank::Later));
    assert_eq!(pressure.decline(&key(20), at(1)), [], "it was not its turn");
    assert_eq!(pressure.end(&key(0), at(1)), [key(10)]);
    assert_eq!(pressure.decline(&key(10), at(1)), [key(30)]);
    assert_eq!(pressure.decline(&key(10), at(1)), [], "once");
    // Who came too late waits again, and has nothing to hand on.
    pressure.queue(&key(30), Rank::Later);
    assert_eq!(pressure.decline(&key(30), at(1)), []);
    assert_eq!(pressure.end(&key(1), at(1)), [key(40)]);
    pressure.begin(&key(40));
    assert_eq!(pressure.decline(&key(40), at(1)), [], "it has taken it");
}

#[test]
fn a_pause_takes_turns_back_and_hands_none_on() {
    let mut pressure = Pressure::default();
    (0..MOST).for_each(|n| pressure.begin(&key(n)));
    [20, 30]
        .into_iter()
        .for_each(|n| pressure.queue(&key(n), Rank::Later));
    assert_eq!(pressure.end(&key(0), at(9_000)), [key(20)]);
    assert_eq!(pressure.end(&key(1), at(9_000)), [key(30)]);
    pressure.hear(overloaded(None), at(10_000), 0.0);
    pressure.queue(&key(40), Rank::Later);
    assert_eq!(pressure.decline(&key(20), at(10_500)), [], "a pause");
    (2..MOST).for_each(|n| drop(pressure.end(&key(n), at(10_500))));
    assert_eq!(pressure.decline(&key(30), at(11_000)), [], "taken back");
    assert_eq!(pressure.end(&key(9), at(11_000)), [key(40)]);
}

#[test]
fn a_503_pauses_all_at_once_and_tells_those_who_wait() {
    let mut pressure = Pressure::default();
    (0..MOST).for_each(|n| pressure.begin(&key(n)));
    pressure.queue(&key(20), Rank::Later);
    assert_eq!(
        pressure.hear(overloaded(None), at(10_000), 0.0),
        [key(20)],
        "it has longer to wait"
    );
    // Even whose turn it was.
    for n in [0, 20, 50] {
        let wait = pressure.wait(&key(n), at(10_999));
        assert_eq!(wait, Some(Wait::Until(at(11_000))));
    }
    assert_eq!(pressure.trouble().as_deref(), Some("HTTP 503"));
    // Those that were under way end before one goes.
    assert_eq!(pressure.wait(&key(50), at(11_000)), Some(Wait::Turn));
}

#[test]
fn after_a_pause_one_goes_then_two_then_four() {
    let mut pressure = paused();
    let now = at(11_000);
    for wave in [1, 2, 4, 8, 8] {
        for n in 0..wave {
            assert_eq!(pressure.wait(&key(n), now), None, "{n} of {wave}");
            pressure.begin(&key(n));
        }
        assert_eq!(pressure.wait(&key(50), now), Some(Wait::Turn), "{wave}");
        // The first answer of a wave is enough for the next.
        pressure.hear(News::Works, now, 0.0);
        assert_eq!(pressure.trouble(), None);
        for n in 0..wave {
            pressure.end(&key(n), now);
        }
    }
}

#[test]
fn pauses_double_up_to_half_a_minute_and_what_comes_in_one_adds_nothing() {
    let mut pressure = Pressure::default();
    let mut now = at(0);
    let mut waits = Vec::new();
    for _ in 0..8 {
        pressure.hear(failed(), now, 1.0);
        if let Some(until) = pressure.paused(now) {
            pressure.hear(overloaded(None), now, 1.0);
            pressure.hear(failed(), now, 1.0);
            assert_eq!(pressure.paused(now), Some(until));
            waits.push(until.since(now).as_secs());
            now = until;
        }
    }
    assert_eq!(waits, [2, 4, 8, 16, 30, 30], "the first two are doubts");
}

#[test]
fn what_the_api_asks_for_is_granted_up_to_five_minutes() {
    let until = |asked| {
        let mut pressure = Pressure::default();
        pressure.hear(overloaded(Some(asked)), at(0), 0.5);
        pressure.paused(at(0))
    };
    assert_eq!(until(20), Some(at(20_500)));
    assert_eq!(until(3600), Some(at(300_500)));
    assert_eq!(until(0), Some(at(1500)));
    // Also when it asks while a pause lasts.
    let mut pressure = paused();
    pressure.hear(overloaded(Some(20)), at(10_500), 0.0);
    assert_eq!(pressure.paused(at(10_500)), Some(at(30_500)));
}

#[test]
fn a_failure_or_two_are_no_bad_times_and_a_good_list_forgets_them() {
    let mut pressure = Pressure::default();
    for good in [News::Works, News::Listed] {
        pressure.hear(failed(), at(0), 0.0);
        pressure.hear(failed(), at(0), 0.0);
        assert_eq!(pressure.paused(at(0)), None);
        pressure.hear(good, at(0), 0.0);
    }
    (0..3).for_each(|_| drop(pressure.hear(failed(), at(0), 0.0)));
    assert_eq!(pressure.paused(at(0)), Some(at(1000)));
}

#[test]
fn what_was_sent_before_a_pause_does_not_end_it_and_a_list_ends_none() {
    let mut pressure = paused();
    pressure.hear(News::Works, at(10_500), 0.0);
    assert_eq!(pressure.paused(at(10_500)), Some(at(11_000)));
    pressure.hear(News::Listed, at(12_000), 0.0);
    assert!(pressure.trouble().is_some());
    // A single failure after it is bad times still, and longer.
    pressure.hear(failed(), at(12_000), 0.0);
    assert_eq!(pressure.paused(at(12_000)), Some(at(14_000)));
    assert_eq!(pressure.trouble().as_deref(), Some("HTTP 503"));
}

/// A fleet of `resources` that all want calls, during `bad` milliseconds in which each call fails after `takes` milliseconds.
/// How many calls are begun.
fn calls_in_bad_times(
    resources: usize,
    bad: u64,
    takes: u64,
    step: u64,
    mut draw: impl FnMut() -> f64,
    news: &News,
) -> usize {
    let mut pressure = Pressure::default();
    let mut begun = 0;
    let mut ends: Vec<(u64, ObjectKey)> = Vec::new();
    for now in (0..bad).step_by(usize::try_from(step).unwrap()) {
        let over: Vec<_> = ends.extract_if(.., |(end, _)| *end <= now).collect();
        for (_, key) in over {
            pressure.hear(news.clone(), at(now), draw());
            pressure.end(&key, at(now));
        }
        for n in 0..resources {
            let key = key(n);
            if !ends.iter().any(|(_, busy)| *busy == key) && pressure.wait(&key, at(now)).is_none()
            {
                pressure.begin(&key);
                ends.push((now + takes, key));
                begun += 1;
            }
        }
        assert!(ends.len() <= MOST);
    }
    begun
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn calls_in_bad_times_do_not_grow_with_the_fleet(
        resources in 1_usize..400,
        bad in 1_000_u64..300_000,
        takes in 1_u64..40_000,
        seed in any::<u64>(),
        unclear in any::<bool>(),
    ) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let news = if unclear { failed() } else { overloaded(None) };
        let begun = calls_in_bad_times(resources, bad, takes, 100, || rng.f64(), &news);
        let bound = MOST + 4 + usize::try_from(bad / 15_000).unwrap();
        prop_assert!(begun <= bound, "{begun} > {bound}");
    }
}
