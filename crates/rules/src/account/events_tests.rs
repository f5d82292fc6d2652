use cortecs_resources::{
    account::{Hold, HoldReason},
    stop_all::StopAll,
    unmanaged::ResourceName,
};

use super::*;

fn held() -> CortecsAccountStatus {
    let hold = Hold {
        reason: HoldReason::MassChange,
        since: jiff::Timestamp::UNIX_EPOCH,
        expected: 5,
        lost: 4,
        api_url: String::new(),
        client_id: String::new(),
    };
    CortecsAccountStatus {
        hold: Some(hold),
        ..CortecsAccountStatus::default()
    }
}

fn unmanaged(of: Option<&str>) -> CortecsAccountStatus {
    let probably_of = of.map(|name| ResourceName {
        namespace: "ns".into(),
        name: name.into(),
    });
    let late = UnmanagedInstance {
        id: "i-1".into(),
        probably_of,
        ..UnmanagedInstance::default()
    };
    CortecsAccountStatus {
        unmanaged: vec![late],
        ..CortecsAccountStatus::default()
    }
}

fn told(old: &CortecsAccountStatus, new: &CortecsAccountStatus) -> Vec<(bool, String)> {
    let events = derive_events(&ObjectKey::new("ns", "main"), old, new);
    events.into_iter().map(|e| (e.warning, e.reason)).collect()
}

#[test]
fn a_hold_is_told_when_it_begins_and_when_it_ends() {
    let calm = CortecsAccountStatus::default();
    assert_eq!(told(&calm, &held()), [(true, "MassChange".into())]);
    assert_eq!(told(&held(), &held()), []);
    assert_eq!(told(&held(), &calm), [(false, "HoldEnded".into())]);
}

#[test]
fn each_late_instance_is_told_once() {
    let calm = CortecsAccountStatus::default();
    assert_eq!(told(&calm, &unmanaged(None)), []);
    for before in [calm, unmanaged(None)] {
        assert_eq!(
            told(&before, &unmanaged(Some("a"))),
            [(true, "LateInstance".into())]
        );
    }
    assert_eq!(told(&unmanaged(Some("a")), &unmanaged(Some("a"))), []);
}

#[test]
fn what_was_stopped_is_told_from_the_record() {
    let status = |since: i64, stopped| CortecsAccountStatus {
        stop_all: Some(StopAll {
            since: jiff::Timestamp::from_second(since).unwrap(),
            stopped,
            last_call_time: None,
            end_time: None,
            api_url: String::new(),
            client_id: String::new(),
        }),
        ..CortecsAccountStatus::default()
    };
    let said = |old: &CortecsAccountStatus, new: &CortecsAccountStatus| {
        let events = derive_events(&ObjectKey::new("ns", "main"), old, new);
        events.into_iter().map(|e| e.note).collect::<Vec<_>>()
    };
    let none = CortecsAccountStatus::default();
    assert!(said(&none, &status(1, 0)).is_empty());
    assert!(said(&none, &status(1, 7))[0].contains("7 instances"));
    assert!(said(&status(1, 7), &status(1, 8))[0].contains("1 instance of"));
    assert!(said(&status(1, 7), &status(1, 7)).is_empty());
    assert!(said(&status(1, 7), &status(2, 2))[0].contains("2 instances"));
    assert!(said(&status(1, 7), &none).is_empty());
}
