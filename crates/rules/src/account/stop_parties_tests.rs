use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::account::stop_all::Order;
use crate::facts::stored::stored;

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

#[test]
fn what_is_not_known_yet_is_waited_for_and_an_order_that_cannot_be_recorded_is_refused() {
    let me = ObjectKey::new("ns", "a");
    let parties = [party("a")];
    let known = Situation {
        me: &me,
        mode: AccountMode::StopAll,
        parties: Some(&parties),
        is_dropped: false,
        is_listed: true,
        has_others: true,
        is_read: true,
    };
    let without = Situation {
        parties: None,
        ..known
    };
    let waits = |situation| matches!(asked(situation), Permit::Waits(_));
    assert_eq!(asked(known), Permit::Given);
    assert!(waits(without));
    let active = AccountMode::Active;
    assert_eq!(
        asked(Situation {
            mode: active,
            ..without
        }),
        Permit::NotAsked
    );
    assert!(waits(Situation {
        is_read: false,
        ..known
    }));
    let unlisted = Situation {
        is_listed: false,
        ..known
    };
    assert!(waits(unlisted));
    assert_eq!(
        asked(Situation {
            has_others: false,
            ..unlisted
        }),
        Permit::Given
    );
    let dropped = asked(Situation {
        is_dropped: true,
        ..known
    });
    assert_eq!(dropped, Permit::Refused(DROPPED.to_owned()));
    let others = [party("b")];
    let not_asked = Situation {
        parties: Some(&others),
        is_read: false,
        ..known
    };
    assert_eq!(asked(not_asked), Permit::NotAsked);
    for (permit, carries, order) in [
        (Permit::Given, true, Order::GoesOn),
        (Permit::Given, false, Order::Ends),
        (Permit::NotAsked, false, Order::Ends),
        (Permit::Waits(String::new()), true, Order::Unknown),
    ] {
        assert_eq!(Order::of(&permit, carries), order);
    }
}

const API: &str = "https://api.example/v1";

fn bound(name: &str, account: &str, client_id: &str, id: &str) -> Value {
    let account =
        json!({ "namespace": "ns", "name": account, "apiUrl": API, "clientId": client_id });
    json!({
        "apiVersion": "cortecs.ai/v1alpha1", "kind": "CortecsInstance",
        "metadata": { "namespace": "ns", "name": name, "uid": name, "resourceVersion": "1" },
        "spec": { "modelId": "org/name" },
        "status": stored(json!({ "account": account, "instanceId": id })),
    })
}

#[test]
fn an_account_with_another_client_id_is_concerned_by_an_instance_in_the_list() {
    let fleet = FleetKey::new(API, "client");
    let book = Book::of(&[
        bound("a", "main", "client", "i-1"),
        bound("b", "second", "another", "i-2"),
        bound("c", "third", "another", "i-elsewhere"),
    ]);
    let instances = ["i-1", "i-2", "i-stray"].map(|id| {
        let instance = json!({
            "instance_id": id, "instance_args": { "model_id": "m" }, "instance_status": { "status": "running" },
        });
        (id.to_owned(), Arc::new(serde_json::from_value(instance).unwrap()))
    });
    let list = Snapshot {
        instances: instances.into(),
        ..Snapshot::default()
    };
    let found = claiming_accounts(&book, &fleet, &list);
    assert_eq!(
        found,
        ["main", "second"]
            .map(|name| ObjectKey::new("ns", name))
            .into()
    );
}
