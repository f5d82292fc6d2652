use cortecs_clock::Moment;
use cortecs_resources::{
    account::{InstanceCounts, PricePerHour},
    conditions::{find_condition, is_true},
    reason::Reason,
};

use super::*;
use crate::facts::{fleet_health::FleetError, fleet_key::FleetKey};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn usable() -> View<'static> {
    View {
        generation: 2,
        state: AccountState::Usable(FleetKey::new("https://cortecs.ai/api/v1", "id")),
        health: FleetHealth {
            last_good: Some(Moment::default()),
            ..FleetHealth::default()
        },
        ..View::default()
    }
}

fn failing(class: RetryClass, failures: u32) -> View<'static> {
    let mut view = usable();
    view.health.failures = failures;
    view.health.last_error = Some(FleetError {
        elsewhere: None,
        class,
        message: "list instances failed: HTTP 500".to_owned(),
    });
    view
}

fn status(view: &View<'_>) -> CortecsAccountStatus {
    next_status(&CortecsAccountStatus::default(), view, at(10)).unwrap()
}

#[track_caller]
fn assert_conditions(view: &View<'_>, reason: &str, expected: &[&str]) {
    let status = status(view);
    let conditions = &status.conditions;
    let ready = find_condition(conditions, READY).unwrap();
    assert_eq!(ready.reason, reason, "{}", ready.message);
    let present: Vec<_> = conditions
        .iter()
        .filter(|c| c.status == "True")
        .map(|c| c.type_.as_str())
        .collect();
    assert_eq!(present, expected);
    assert!(conditions.iter().all(|c| c.observed_generation == Some(2)));
    let kstatus = |kind| find_condition(conditions, kind).is_none_or(|c| c.status == "True");
    assert!(kstatus(RECONCILING) && kstatus(STALLED));
}

#[test]
fn what_the_api_says_about_money_is_told() {
    let view = View {
        unpaid: Some("HTTP 402: top up".to_owned()),
        ..usable()
    };
    assert_conditions(&view, "InsufficientBalance", &[STALLED]);
}

#[test]
fn a_list_that_lacks_what_the_api_finds_is_told() {
    let summary = Summary {
        unlisted: 2,
        ..Summary::default()
    };
    let view = View {
        summary: Some(&summary),
        ..usable()
    };
    assert_conditions(&view, "ListIncomplete", &[STALLED]);
}

/// A new process does not overwrite a finding before a list speaks against it.
#[test]
fn what_an_earlier_process_has_found_stays_shown_until_a_list_tells() {
    let mut again = usable();
    again.health.last_good = None;
    for before in [
        status(&usable()),
        status(&View {
            held: Some("why".to_owned()),
            ..usable()
        }),
    ] {
        let next = next_status(&before, &again, Timestamp::UNIX_EPOCH);
        assert_eq!(next.map(|next| next.conditions), None);
    }
    // Another spec was not judged yet.
    again.generation += 1;
    let next = next_status(&status(&usable()), &again, Timestamp::UNIX_EPOCH).unwrap();
    let ready = find_condition(&next.conditions, READY).unwrap();
    assert_eq!(ready.reason, "Verifying");
}

#[test]
fn each_situation_has_its_conditions() {
    assert_conditions(&usable(), "Verified", &[READY]);
    let pending = View {
        generation: 2,
        ..View::default()
    };
    assert_conditions(&pending, "Verifying", &[RECONCILING]);
    let mut first = usable();
    first.health.last_good = None;
    assert_conditions(&first, "Verifying", &[RECONCILING]);
    let unusable = View {
        state: AccountState::Unusable {
            reason: Reason::SecretInvalid,
            message: "Secret a/b: the key CLIENT_ID is missing".to_owned(),
        },
        ..usable()
    };
    assert_conditions(&unusable, "SecretInvalid", &[STALLED]);
    let mut deleting = unusable;
    deleting.deletion = Some(Deletion {
        used_by: 1,
        ..Deletion::default()
    });
    assert_conditions(&deleting, "InUse", &[RECONCILING]);
}

#[test]
fn a_passing_failure_is_not_worth_a_write() {
    assert_conditions(&failing(RetryClass::Transient, 2), "Verified", &[READY]);
    assert_conditions(
        &failing(RetryClass::Transient, 3),
        "RetryingAfterError",
        &[RECONCILING],
    );
    assert_conditions(&failing(RetryClass::Terminal, 3), "ListRefused", &[STALLED]);
    let mut never_good = failing(RetryClass::Transient, 1);
    never_good.health.last_good = None;
    assert_conditions(&never_good, "RetryingAfterError", &[RECONCILING]);
}

#[test]
fn nothing_is_written_while_nothing_but_the_poll_time_changes() {
    let summary = Summary::default();
    let mut view = View {
        summary: Some(&summary),
        listed_at: Some(at(9)),
        ..usable()
    };
    let written = status(&view);
    assert_eq!(written.last_poll_time, Some(at(9)));
    view.listed_at = Some(at(99));
    assert_eq!(next_status(&written, &view, at(100)), None);
    let news = Summary {
        counts: InstanceCounts {
            unmanaged: 1,
            ..InstanceCounts::default()
        },
        ..Summary::default()
    };
    view.summary = Some(&news);
    let next = next_status(&written, &view, at(100)).unwrap();
    assert_eq!(next.last_poll_time, Some(at(99)));
    assert_eq!(next.instances.unwrap().unmanaged, 1);
    assert_eq!(next.conditions, written.conditions);
}

#[test]
fn what_was_listed_stays_when_it_cannot_be_listed_any_more() {
    let summary = Summary {
        counts: InstanceCounts {
            running: 3,
            ..InstanceCounts::default()
        },
        ..Summary::default()
    };
    let written = status(&View {
        summary: Some(&summary),
        ..usable()
    });
    let next = next_status(&written, &failing(RetryClass::Transient, 3), at(20)).unwrap();
    assert_eq!(next.instances.unwrap().running, 3);
    assert!(!is_true(&next.conditions, READY));
}

/// A new process has asked for neither yet.
#[test]
fn balance_and_prices_stay_until_newer_ones_are_known() {
    let money = |amount: &str| Money {
        amount: amount.to_owned(),
        currency: "EUR".to_owned(),
    };
    let costs = |managed: &str| PricePerHour {
        currency: "EUR".to_owned(),
        managed: managed.to_owned(),
        unmanaged: "0.00".to_owned(),
    };
    let known = Summary {
        balance: Some(money("9.00")),
        price_per_hour: Some(vec![costs("1.20")]),
        ..Summary::default()
    };
    let view = |summary| View {
        summary: Some(summary),
        ..usable()
    };
    let written = status(&view(&known));
    let shown = |status: &CortecsAccountStatus| status.balance.clone().map(|b| b.amount);
    assert_eq!(shown(&written).as_deref(), Some("9.00"));
    assert_eq!(written.price_per_hour, [costs("1.20")]);
    let unknown = Summary::default();
    assert_eq!(next_status(&written, &view(&unknown), at(20)), None);
    // Nothing is billed any more.
    let stopped = Summary {
        price_per_hour: Some(Vec::new()),
        ..Summary::default()
    };
    let next = next_status(&written, &view(&stopped), at(20)).unwrap();
    assert_eq!(next.price_per_hour, []);
    assert_eq!(shown(&next).as_deref(), Some("9.00"));
    // A new process has asked anew.
    let spent = Summary {
        balance: Some(money("8.50")),
        ..known.clone()
    };
    let began = written.balance.as_ref().unwrap().last_update_time;
    let after = |minutes: i64| began + SignedDuration::from_mins(minutes);
    assert_eq!(next_status(&written, &view(&spent), after(9)), None);
    let next = next_status(&written, &view(&spent), after(10)).unwrap();
    assert_eq!(shown(&next).as_deref(), Some("8.50"));
    assert_eq!(next.balance.unwrap().last_update_time, after(10));
    assert_eq!(next_status(&written, &view(&known), after(99)), None);
}

#[test]
fn a_deletion_that_others_hold_up_names_their_finalizers() {
    let mut view = usable();
    view.deletion = Some(Deletion {
        finalizers: Some("finalizer of.others/x".to_owned()),
        ..Deletion::default()
    });
    let status = status(&view);
    let ready = find_condition(&status.conditions, READY).unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "Deleting")
    );
    assert!(ready.message.contains("of.others/x"), "{}", ready.message);
}

#[test]
fn an_api_url_that_leads_elsewhere_is_named_unless_a_list_was_good() {
    let mut view = usable();
    view.health.last_good = None;
    view.health.last_error = Some(FleetError {
        class: RetryClass::Transient,
        message: "list instances failed: no access token: HTTP 404".to_owned(),
        elsewhere: Some("POST https://x/oauth2/token was answered with HTTP 404".to_owned()),
    });
    let shown = status(&view);
    let stalled = find_condition(&shown.conditions, STALLED).unwrap();
    assert_eq!(stalled.reason, "ApiUrlInvalid");
    assert!(stalled.message.contains("POST https://x/oauth2/token"));
    view.health.last_good = Some(Moment::default());
    let shown = status(&view);
    assert!(find_condition(&shown.conditions, STALLED).is_none());
}

#[test]
fn a_finalizer_that_is_refused_is_shown_with_the_refusers_words() {
    let mut view = usable();
    view.refused = Some("cannot change the finalizers: policy.example denied it".to_owned());
    let status = status(&view);
    let stalled = find_condition(&status.conditions, STALLED).unwrap();
    assert_eq!(stalled.reason, "WriteRefused");
    assert!(stalled.message.contains("policy.example"));
}

#[test]
fn a_deletion_that_waits_names_the_users() {
    let mut view = usable();
    view.deletion = Some(Deletion {
        used_by: 5,
        users: vec![ObjectKey::new("a", "x"), ObjectKey::new("b", "y")],
        finalizers: Some("finalizer of.others/x".to_owned()),
    });
    let status = status(&view);
    let message = &find_condition(&status.conditions, READY).unwrap().message;
    assert!(
        message.contains("5 CortecsInstances") && message.contains("(a/x, b/y, …)"),
        "{message}"
    );
}

#[test]
fn a_hold_is_shown_until_it_ends() {
    let held = View {
        held: Some("it is on hold".to_owned()),
        last_handled_resume: Some("1".to_owned()),
        ..usable()
    };
    assert_conditions(&held, "MassChange", &[STALLED]);
    let mut refused = held.clone();
    refused.state = AccountState::Unusable {
        reason: Reason::CredentialsInvalid,
        message: String::new(),
    };
    assert_conditions(&refused, "CredentialsInvalid", &[STALLED]);
    let before = status(&held);
    assert_eq!(before.last_handled_resume.as_deref(), Some("1"));
    let after = next_status(&before, &usable(), at(20)).unwrap();
    assert!(is_true(&after.conditions, READY));
    assert_eq!(find_condition(&after.conditions, STALLED), None);
}

/// The Secret may come a moment after the account.
#[test]
fn a_secret_that_is_not_there_is_waited_for_half_an_hour() {
    let view = View {
        state: AccountState::Unusable {
            reason: Reason::SecretNotFound,
            message: "Secret a/b does not exist".to_owned(),
        },
        ..usable()
    };
    assert_conditions(&view, "WaitingForSecret", &[RECONCILING]);
    let waiting = status(&view);
    assert_eq!(next_status(&waiting, &view, at(10 + 1799)), None);
    let stalled = next_status(&waiting, &view, at(10 + 1800)).unwrap();
    let is = |kind| is_true(&stalled.conditions, kind);
    assert!(is(STALLED) && !is(RECONCILING));
    assert_eq!(next_status(&stalled, &view, at(10 + 1801)), None);
    // Another spec, such as the name of another Secret, gets its own time.
    let changed = View {
        generation: 3,
        ..view
    };
    let again = next_status(&stalled, &changed, at(10 + 1801)).unwrap();
    assert!(is_true(&again.conditions, RECONCILING));
}

#[test]
fn what_the_mode_stops_is_told_once_the_instances_are_listed() {
    let why = || "why".to_owned();
    for (stage, reason, present) in [
        (Stage::Refused(why()), "StopAllRefused", STALLED),
        (Stage::CallRefused(why()), "CallRefused", STALLED),
        (Stage::Stopping(why()), "StoppingAll", RECONCILING),
        (Stage::Stopped, "AllStopped", READY),
    ] {
        let view = View { stage, ..usable() };
        assert_conditions(&view, reason, &[present]);
        let held = View {
            held: Some(why()),
            ..view
        };
        assert_conditions(&held, "MassChange", &[STALLED]);
    }
}

/// A new process does not know prices before its first list.
#[test]
fn the_prices_of_unmanaged_instances_stay_until_newer_ones_are_known() {
    let unmanaged = |state: &str, price: Option<&str>| UnmanagedInstance {
        id: "i".to_owned(),
        state: state.to_owned(),
        price_per_hour: price.map(str::to_owned),
        currency: price.map(|_| "EUR".to_owned()),
        ..UnmanagedInstance::default()
    };
    let summary = |instance, is_known: bool| Summary {
        unmanaged: vec![instance],
        price_per_hour: is_known.then(Vec::new),
        ..Summary::default()
    };
    let known = summary(unmanaged("running", Some("1.20")), true);
    let view = |summary| View {
        summary: Some(summary),
        ..usable()
    };
    let written = status(&view(&known));
    let unknown = summary(unmanaged("running", None), false);
    assert_eq!(next_status(&written, &view(&unknown), at(20)), None);
    for changed in [
        summary(unmanaged("stopped", None), false),
        summary(unmanaged("running", None), true),
    ] {
        let view = View {
            summary: Some(&changed),
            ..usable()
        };
        let next = next_status(&written, &view, at(20)).unwrap();
        assert_eq!(next.unmanaged, changed.unmanaged);
    }
}
