//! How a hold begins and ends.

use cortecs_resources::account::Hold;

use super::*;

fn hold() -> Hold {
    next_hold(
        Situation {
            trip: Some((&fleet(), tripped())),
            ..calm()
        },
        now(),
    )
    .0
    .unwrap()
}

fn calm() -> Situation<'static> {
    Situation {
        hold: None,
        last_handled_resume: None,
        resume: None,
        trip: None,
        returned: false,
    }
}

#[test]
fn a_hold_begins_once_and_says_what_it_is_about() {
    let begun = hold();
    assert_eq!((begun.lost, begun.expected, begun.since), (4, 5, now()));
    assert!(holds(&begun, &fleet()) && !holds(&begun, &FleetKey::new(API, "other")));
    let later = now() + SETTLE;
    let again = Situation {
        hold: Some(&begun),
        trip: Some((&fleet(), tripped())),
        ..calm()
    };
    assert_eq!(next_hold(again, later).0, Some(begun.clone()));
    let other = FleetKey::new(API, "other");
    let elsewhere = Situation {
        hold: Some(&begun),
        trip: Some((&other, tripped())),
        ..calm()
    };
    assert_eq!(next_hold(elsewhere, later).0.unwrap().client_id, "other");
}

#[test]
fn it_ends_by_a_return_or_a_new_order() {
    let held = hold();
    let situation = Situation {
        hold: Some(&held),
        ..calm()
    };
    assert_eq!(next_hold(situation, now()), (Some(held.clone()), None));
    let returned = Situation {
        returned: true,
        ..situation
    };
    assert_eq!(next_hold(returned, now()), (None, None));
    let resumed = Situation {
        resume: Some("1"),
        ..situation
    };
    assert_eq!(next_hold(resumed, now()), (None, Some("1".into())));
}

#[test]
fn an_order_from_before_the_hold_releases_nothing() {
    let before = Situation {
        resume: Some("1"),
        ..calm()
    };
    assert_eq!(next_hold(before, now()), (None, Some("1".into())));
    let trip = Situation {
        trip: Some((&fleet(), tripped())),
        ..before
    };
    let (held, handled) = next_hold(trip, now());
    assert_eq!(handled.as_deref(), Some("1"));
    let after = Situation {
        hold: held.as_ref(),
        last_handled_resume: handled.as_deref(),
        resume: Some("1"),
        ..calm()
    };
    assert_eq!(next_hold(after, now()), (held.clone(), handled.clone()));
    let removed = Situation {
        resume: None,
        ..after
    };
    assert_eq!(
        next_hold(removed, now()),
        (held.clone(), handled.clone()),
        "and given anew it is still old"
    );
    let anew = Situation {
        resume: Some("2"),
        ..after
    };
    assert_eq!(next_hold(anew, now()), (None, Some("2".into())));
}

#[test]
fn a_mass_change_is_made_known_only_under_a_hold_that_nobody_is_ending() {
    let back = Measure {
        wanted: 5,
        ..Measure::default()
    };
    let lost = Measure {
        expected: 5,
        lost: 5,
        wanted: 5,
        down: 5,
        ..Measure::default()
    };
    // After the statuses have taken it over nothing is lost any more, and nothing is back either.
    let taken_over = Measure {
        expected: 0,
        lost: 0,
        ..lost
    };
    for (measure, held, releasing, known) in [
        (back, false, false, true),
        (lost, false, false, false),
        (taken_over, false, false, true),
        (lost, true, false, true),
        (taken_over, true, false, true),
        (taken_over, true, true, false),
        (lost, true, true, false),
        (back, true, true, true),
    ] {
        let case = format!("{measure:?}, held {held}, releasing {releasing}");
        assert_eq!(may_be_known(measure, held, releasing), known, "{case}");
    }
}
