use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
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
